"""The store's routes: the registry joined with what the caller has installed."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

API = "/services/deck/api/v1"
LOGO = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


def logo_path():
    digest = hashlib.sha256(LOGO).hexdigest()
    return f"files/{digest[:2]}/{digest}/logo.svg"


@pytest.fixture
async def alice(site):
    """Alice's client, before a registry of two apps of which one has a logo."""
    root = site.deck.settings.registry
    (root / "api/v2/apps").mkdir(parents=True)
    (root / logo_path()).parent.mkdir(parents=True)
    (root / logo_path()).write_bytes(LOGO)
    apps = [
        {"id": "molecule", "title": "Molecule", "summary": "Optimise a molecule", "categories": ["chemistry"],
         "latest": "2.0", "versions": ["2.0", "1.0"], "logo": logo_path()},
        {"id": "band", "title": "Band structure", "summary": "Bands of a crystal", "categories": ["solids"],
         "latest": "1.0", "versions": ["1.0"]},
    ]  # fmt: skip
    index = {"revision": "r", "categories": {"chemistry": {"title": "Chemistry"}}, "apps": apps}
    (root / "api/v2/index.json").write_text(json.dumps(index))
    ref = {"name": "logo.svg", "path": logo_path(), "sha256": hashlib.sha256(LOGO).hexdigest(), "size": len(LOGO)}
    app = {"id": "molecule", "title": "Molecule", "summary": "s", "latest": "2.0", "releases": [], "logo": ref}
    (root / "api/v2/apps/molecule.json").write_text(json.dumps(app))
    async with site.client(site.hub.token("alice", "apps:install")) as client:
        yield client


async def test_the_store_lists_the_apps_and_what_the_caller_has(alice):
    task = (await alice.post("/apps/molecule/install", json={"version": "1.0"})).json()
    async with asyncio.timeout(120):
        await alice.get(f"/tasks/{task['id']}/events")
    found = (await alice.get("/store")).json()
    cards = {item["id"]: (item["installed"], item["update"]) for item in found["items"]}
    assert cards == {"molecule": ("1.0", True), "band": (None, False)}
    assert found["installed_known"] is True
    assert found["total"] == 2


@pytest.mark.parametrize(("query", "ids"), [("q=crystal", ["band"]), ("category=chemistry", ["molecule"]), ("q=x", [])])
async def test_the_store_is_searched(alice, query, ids):
    found = (await alice.get(f"/store?{query}")).json()
    assert [item["id"] for item in found["items"]] == ids


async def test_the_store_stands_when_the_agent_does_not(site, alice, monkeypatch):
    async def fail(user):
        raise site.launcher.unavailable(user, "gone")

    monkeypatch.setattr(site.launcher, "ensure", fail)
    found = (await alice.get("/store")).json()
    assert len(found["items"]) == 2
    assert found["installed_known"] is False


async def test_an_apps_page_tells_its_pictures_and_installation(alice):
    found = (await alice.get("/store/molecule")).json()
    assert found["app"]["latest"] == "2.0"
    assert found["installed"] is None
    picture = await alice.get(found["logo"].removeprefix(API))
    assert picture.content == LOGO
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "immutable" in picture.headers["cache-control"]
    assert "sandbox" in picture.headers["content-security-policy"]


async def test_an_app_that_nobody_offers_is_404(alice):
    response = await alice.get("/store/nothing")
    assert (response.status_code, response.json()["code"]) == (404, "app-not-found")


@pytest.mark.parametrize("path", ["x", "../../deck.key", "ab/" + "0" * 64 + "/logo.svg"])
async def test_only_the_registrys_own_files_are_served(alice, path):
    assert (await alice.get(f"/store/files/{path}")).status_code == 404


async def test_a_missing_registry_is_said_so(site):
    async with site.client(site.hub.token("bob", "apps:read")) as bob:
        response = await bob.get("/store")
    assert (response.status_code, response.json()["code"]) == (503, "registry-unreachable")


async def test_the_store_counts_its_users_without_naming_them(site, alice):
    for user in ("alice", "bob"):
        async with site.client(site.hub.token(user, "apps:install")) as client:
            task = (await client.post("/apps/molecule/install")).json()
            async with asyncio.timeout(120):
                await client.get(f"/tasks/{task['id']}/events")
            await client.get("/store")
    assert (await alice.get("/store/molecule")).json()["used"] == 2
    folder = site.deck.settings.data / "deck"
    kept = b"".join(path.read_bytes() for path in folder.glob("usage.sqlite*"))
    assert b"molecule" in kept
    assert b"alice" not in kept
    assert b"bob" not in kept
    task = (await alice.delete("/apps/molecule")).json()
    async with asyncio.timeout(120):
        await alice.get(f"/tasks/{task['id']}/events")
    await alice.get("/store")
    assert (await alice.get("/store/molecule")).json()["used"] == 1


async def test_the_stores_facets_count_what_is_found(alice):
    found = (await alice.get("/store?category=chemistry")).json()
    assert found["facets"]["categories"] == {"chemistry": 1, "solids": 1}
    assert [item["id"] for item in found["items"]] == ["molecule"]
    assert "text" not in found["items"][0]
