"""Publishing through the API: who may, what is answered, what is written down."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from simdeck_appstore.audit import Audit
from simdeck_appstore.developer.release import make_release
from simdeck_appstore.publishing import Receiver, Receivers
from simdeck_appstore.registry import Registry
from simdeck_appstore.registry_new import create_registry
from simdeck_deck import publications
from simdeck_deck.publications import Publications

sys.path.insert(0, str(Path(__file__).parents[1] / "appstore"))
from synthetic import write_app, write_stand_in

GROUP = "makers"


class Desk:
    """A deck whose site has one registry, ``ours``, for the group ``makers``."""

    def __init__(self, site: Any, base: Path) -> None:
        self.site, self.base = site, base
        create_registry(base / "site", "Apps of a test")
        self.source, self.built = base / "site/source", base / "site/built"
        self.receivers = Receivers(
            items=[Receiver(name="ours", source=self.source, publishers=[GROUP])],
            simdeck=write_stand_in(base / "simdeck"),
        )
        self.audit = Audit(base / "audit.jsonl")
        self.folder = base / "deck"

    def publications(self) -> Publications:
        return Publications(self.folder, self.receivers, self.audit)

    def client(self, user: str = "alice", *scopes: str, groups: tuple[str, ...] = (GROUP,)) -> httpx.AsyncClient:
        token = self.site.hub.token(user, *(scopes or ("apps:publish",)))
        self.site.hub.tokens[token]["groups"] = list(groups)
        return self.site.client(token)

    def form(self, version: str = "1.0.0", **told: Any) -> dict[str, Any]:
        project = self.base / f"demo-{version}"
        if not project.exists():
            write_app(project, version=version)
        wheel = make_release(project, project / "dist", Path(sys.executable)).wheel
        content = wheel.read_bytes()
        file = {"name": wheel.name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        manifest = json.dumps({"app": "demo", "version": version, "file": file} | told)
        return {"files": {"release": (wheel.name, content)}, "data": {"manifest": manifest}}


@pytest.fixture
async def desk(site: Any, tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(site, tmp_path)
    kept, site.deck.publications = site.deck.publications, made.publications()
    yield made
    await site.deck.publications.close()
    site.deck.publications = kept


async def ended(client: httpx.AsyncClient, publication: str) -> list[tuple[str, dict[str, Any]]]:
    """Follow a publication to its end; return its events."""
    found: list[tuple[str, dict[str, Any]]] = []
    kind = ""
    async with client.stream("GET", f"/publications/{publication}/events") as answer:
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                found.append((kind, json.loads(value)))
    return found


async def test_a_member_publishes_and_follows_it_into_the_registry(desk: Desk) -> None:
    async with desk.client() as client:
        answer = await client.post("/registries/ours/releases", **desk.form())
        assert answer.status_code == 202, answer.text
        made = answer.json()
        assert answer.headers["location"] == f"/publications/{made['id']}"
        events = await ended(client, made["id"])
        assert [data["step"] for kind, data in events if kind == "step"] == ["check", "build"]
        assert events[-1] == ("end", {"state": "done", "problem": None})
        assert (await client.get("/publications")).json()["items"][0]["state"] == "done"
    assert Registry(desk.built).app("demo").latest == "1.0.0"
    entry = desk.audit.read()[0]
    assert (entry.who, entry.what, entry.app, entry.version, entry.outcome) == (
        "alice",
        "publish",
        "demo",
        "1.0.0",
        "done",
    )
    assert list((desk.folder / "quarantine").iterdir()) == []


async def test_what_the_build_refuses_is_said_and_written_down(desk: Desk) -> None:
    async with desk.client() as client:
        for wanted in ("done", "failed"):
            made = (await client.post("/registries/ours/releases", **desk.form())).json()
            await ended(client, made["id"])
            found = (await client.get(f"/publications/{made['id']}")).json()
            assert found["state"] == wanted
    assert found["problem"]["code"] == "version-published"
    assert (desk.audit.read()[0].outcome, desk.audit.read()[0].detail) == ("failed", "version-published")


async def test_the_same_key_and_release_are_one_publication_and_another_release_is_a_conflict(desk: Desk) -> None:
    async with desk.client() as client:
        key = {"Idempotency-Key": "once"}
        first = await client.post("/registries/ours/releases", headers=key, **desk.form())
        again = await client.post("/registries/ours/releases", headers=key, **desk.form())
        assert first.json()["id"] == again.json()["id"]
        other = await client.post("/registries/ours/releases", headers=key, **desk.form("2.0.0"))
        assert (other.status_code, other.json()["code"]) == (409, "idempotency-conflict")
        await ended(client, first.json()["id"])
        assert len((await client.get("/publications")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("groups", "registry", "status", "code"),
    [
        (("others",), "ours", 403, "publish-not-allowed"),
        ((), "ours", 403, "publish-not-allowed"),
        ((GROUP,), "theirs", 404, "registry-not-found"),
    ],
)
async def test_who_is_in_no_group_of_the_registry_sends_nothing(
    desk: Desk, groups: tuple[str, ...], registry: str, status: int, code: str
) -> None:
    async with desk.client(groups=groups) as client:
        answer = await client.post(f"/registries/{registry}/releases", **desk.form())
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        offered = (await client.get("/registries")).json()["items"]
    assert [one["name"] for one in offered] == (["ours"] if GROUP in groups else [])
    assert desk.audit.read() == []
    assert list((desk.folder / "quarantine").iterdir()) == []


async def test_installing_apps_is_not_enough_to_publish_them(desk: Desk) -> None:
    async with desk.client("alice", "apps:install", "runs", "server") as client:
        answer = await client.post("/registries/ours/releases", **desk.form())
    assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope")


@pytest.mark.parametrize(
    ("spoil", "status", "code"),
    [
        ({"data": {}}, 422, "invalid-input"),
        ({"data": {"manifest": "[]"}}, 422, "invalid-input"),
        ({"data": {"manifest": '{"app": "../x", "version": "1", "file": {}}'}}, 422, "invalid-input"),
        ({"files": {"other": ("a.whl", b"x")}}, 422, "invalid-input"),
        ({"files": {"release": ("a.whl", b"x")}}, 422, "publish-unlike"),
        ({"files": {"release": ("a.whl", bytes(2 * 2**20))}}, 413, "too-large"),
    ],
)
async def test_a_form_that_is_no_release_is_refused_and_leaves_nothing(
    desk: Desk, spoil: dict[str, Any], status: int, code: str
) -> None:
    async with desk.client() as client:
        answer = await client.post("/registries/ours/releases", **(desk.form() | spoil))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list((desk.folder / "quarantine").iterdir()) == []
    assert desk.audit.read() == []


async def test_a_person_cannot_fill_the_quarantine(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publications, "MOST_UNFINISHED", 1)
    desk.site.deck.publications.begin = lambda *_, **__: None
    async with desk.client() as client:
        assert (await client.post("/registries/ours/releases", **desk.form())).status_code == 202
        answer = await client.post("/registries/ours/releases", **desk.form("2.0.0"))
    assert (answer.status_code, answer.json()["code"]) == (409, "publish-busy")
    assert len(list((desk.folder / "quarantine").iterdir())) == 1


async def test_a_publication_is_its_senders_alone(desk: Desk) -> None:
    async with desk.client() as alice, desk.client("bob") as bob:
        made = (await alice.post("/registries/ours/releases", **desk.form())).json()
        for path in (f"/publications/{made['id']}", f"/publications/{made['id']}/events"):
            assert (await bob.get(path)).status_code == 404
        assert (await bob.get("/publications")).json()["items"] == []
        await ended(alice, made["id"])


async def test_what_was_accepted_before_the_service_ended_is_taken_by_the_next(desk: Desk) -> None:
    deck = desk.site.deck
    deck.publications.begin = lambda *_, **__: None  # The service ends before it comes to it.
    async with desk.client() as client:
        made = (await client.post("/registries/ours/releases", **desk.form())).json()
        await deck.publications.close()
        deck.publications = desk.publications()
        await deck.publications.start()
        assert (await ended(client, made["id"]))[-1][1]["state"] == "done"
    assert Registry(desk.built).app("demo").latest == "1.0.0"


async def test_what_vanished_from_quarantine_is_told_as_interrupted(desk: Desk) -> None:
    deck = desk.site.deck
    deck.publications.begin = lambda *_, **__: None
    async with desk.client() as client:
        made = (await client.post("/registries/ours/releases", **desk.form())).json()
        for sent in (desk.folder / "quarantine").rglob("*.whl"):
            sent.unlink()
        await deck.publications.close()
        deck.publications = desk.publications()
        await deck.publications.start()
        assert (await ended(client, made["id"]))[-1][1]["problem"]["code"] == "publication-interrupted"
