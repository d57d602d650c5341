"""What whoever looks after the site sees of its apps: over REST and on a page; nobody else sees it."""

from __future__ import annotations

import json

import pytest
from deck_api.test_deck_app_policy import POLICY, write_registry
from simdeck_appstore import signing
from simdeck_appstore.audit import Audit
from simdeck_appstore.registries import Registries, RegistrySource
from simdeck_deck.office import Office

PATHS = ("/admin/registries", "/admin/apps", "/admin/site-apps", "/admin/audit")


@pytest.fixture
async def desk(site, tmp_path, monkeypatch):
    """A site with a policy, an own registry, one that nobody has signed, an app for everybody, and a past."""
    root = signing.init_keys(tmp_path / "keys")
    write_registry(tmp_path / "own")
    write_registry(tmp_path / "other")
    sources = [
        RegistrySource(name="own", url=str(tmp_path / "own")),
        RegistrySource(name="institute", url=str(tmp_path / "other"), root=root),
    ]
    audit = Audit(tmp_path / "audit.jsonl")
    audit.tell(audit.ask("bob", "install", "molecule", "2.0"), "done")
    audit.tell(audit.ask("alice", "install", "band"), "failed", detail="install-hash")
    home = tmp_path / "apps" / "wave" / "versions" / "1.0"
    home.mkdir(parents=True)
    record = {
        "id": "wave", "title": "Wave", "summary": "s", "version": "1.0", "package": "wave", "kernel": "k",
        "entry": {"kind": "command", "command": []}, "lock_sha256": "0", "installed": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    (home / "app.json").write_text(json.dumps(record))
    (home.parents[1] / "current").symlink_to("versions/1.0")
    settings = site.deck.settings.agent_settings.model_copy(update={"site_apps": tmp_path / "apps"})
    monkeypatch.setattr(site.deck, "office", Office(Registries(sources, tmp_path / "trust", POLICY), audit, settings))
    return site


def admin(desk):
    return desk.client(desk.hub.token("root", "admin"))


@pytest.mark.parametrize("path", PATHS)
async def test_only_who_looks_after_the_site_is_answered(desk, path):
    async with desk.client(desk.hub.token("alice", "runs", "apps:install", "server")) as alice, admin(desk) as http:
        assert (await alice.get(path)).status_code == 403
        assert (await http.get(path)).status_code == 200


async def test_registries_are_told_with_their_keys_and_why_one_is_refused(desk):
    async with admin(desk) as http:
        own, institute = (await http.get("/admin/registries")).json()["items"]
    assert (own["apps"], own["signed"], own["problem"]) == (3, False, None)
    assert (institute["problem"]["code"], len(institute["key"])) == ("registry-untrusted", 16)


async def test_every_app_is_told_with_what_the_policy_makes_of_it(desk):
    async with admin(desk) as http:
        found = {item["id"]: item for item in (await http.get("/admin/apps")).json()["items"]}
    assert (found["band"]["offered"], found["band"]["groups"]) == (True, [])
    assert (found["games-chess"]["offered"], found["games-chess"]["reason"]) == (False, "denied")
    assert (found["molecule"]["groups"], found["molecule"]["withheld"]) == (["physics"], ["1.0"])


async def test_what_is_for_everybody_and_what_was_done_is_listed(desk):
    async with admin(desk) as http:
        assert [item["id"] for item in (await http.get("/admin/site-apps")).json()["items"]] == ["wave"]
        assert [item["who"] for item in (await http.get("/admin/audit")).json()["items"]] == ["alice", "bob"]
        assert [item["app"] for item in (await http.get("/admin/audit?user=bob")).json()["items"]] == ["molecule"]


async def test_the_page_shows_all_of_it(desk):
    async with desk.signed_in("root", "admin", "apps:install") as browser:
        page = (await browser.get("/services/deck/admin")).text
        front = (await browser.get("/services/deck/account")).text
    for words in ("institute", "is refused", "physics", "Wave", "install-hash"):
        assert words in page
    assert "/services/deck/admin" in front


async def test_nobody_else_sees_the_page_or_a_link_to_it(desk):
    async with desk.signed_in("alice") as browser:
        answer = await browser.get("/services/deck/admin")
        front = (await browser.get("/services/deck/account")).text
    assert answer.status_code == 403
    assert "institute" not in answer.text
    assert "/services/deck/admin" not in front


async def test_the_page_stands_when_no_registry_can_be_read(desk, tmp_path, monkeypatch):
    nothing = Registries([tmp_path / "none"], tmp_path / "trust")
    office = Office(nothing, Audit(tmp_path / "audit.jsonl"), desk.deck.settings.agent_settings)
    monkeypatch.setattr(desk.deck, "office", office)
    async with desk.signed_in("root", "admin") as browser:
        answer = await browser.get("/services/deck/admin")
    assert answer.status_code == 200
    assert "there is no registry" in answer.text
