"""What the site offers whom: two people, one of them in the group, over REST and in the pages."""

from __future__ import annotations

import json

import pytest
from simdeck_appstore import signing
from simdeck_appstore.policy import AppPolicy
from simdeck_appstore.registries import Registries, RegistrySource

POLICY = AppPolicy.model_validate(
    {"deny": ["games-*"], "rules": [{"app": "molecule", "groups": ["physics"], "retired": ["<2"]}]}
)


def write_registry(root):
    """Write a registry of three apps: one that all see, one for physicists, one denied."""
    (root / "api/v2/apps").mkdir(parents=True, exist_ok=True)
    ref = {"name": "x.whl", "path": "files/00/" + "0" * 64 + "/x.whl", "sha256": "0" * 64, "size": 1}
    apps = []
    for app, versions in {"molecule": ["2.0", "1.0"], "band": ["1.0"], "games-chess": ["1.0"]}.items():
        card = {"id": app, "title": app.title(), "summary": "s", "latest": versions[0], "versions": versions}
        releases = [
            {"version": version, "wheel": ref, "lock": ref, "package": app, "entry": {"kind": "command", "command": []}}
            for version in versions
        ]
        (root / f"api/v2/apps/{app}.json").write_text(json.dumps({**card, "releases": releases}))
        apps.append(card)
    (root / "api/v2/index.json").write_text(json.dumps({"revision": "r", "apps": apps}))


@pytest.fixture
async def shop(site, monkeypatch):
    """The site with that registry and policy; bob is a physicist, alice is not."""
    write_registry(site.deck.settings.registry)
    registries = Registries([site.deck.settings.registry], site.deck.settings.data / "trust", POLICY)
    settings = site.launcher.settings.model_copy(update={"apps": POLICY})
    monkeypatch.setattr(site.launcher, "settings", settings)
    monkeypatch.setattr(site.deck.store, "registries", registries)
    monkeypatch.setattr(site.deck, "registries", registries)
    return site


def client(shop, user, *groups, **headers):
    token = shop.hub.token(user, "apps:install")
    shop.hub.tokens[token]["groups"] = list(groups)
    return shop.client(token, **headers)


async def ids(http):
    return sorted(item["id"] for item in (await http.get("/store")).json()["items"])


async def test_each_sees_what_their_groups_may(shop):
    async with client(shop, "alice", "chemistry") as alice, client(shop, "bob", "physics") as bob:
        assert await ids(alice) == ["band"]
        assert await ids(bob) == ["band", "molecule"]
        assert [item["id"] for item in (await alice.get("/store?q=molecule")).json()["items"]] == []


async def test_an_app_of_another_group_does_not_exist_over_rest(shop):
    async with client(shop, "alice", "chemistry") as alice, client(shop, "bob", "physics") as bob:
        assert (await alice.get("/store/molecule")).status_code == 404
        refused = await alice.post("/apps/molecule/install")
        assert (refused.status_code, refused.json()["code"]) == (404, "app-not-found")
        assert (await alice.get("/tasks")).json()["items"] == []
        assert (await bob.get("/store/molecule")).status_code == 200
        assert (await bob.post("/apps/molecule/install")).status_code == 202


async def test_nobody_talks_themselves_into_a_group(shop):
    async with client(shop, "alice", **{"X-Simdeck-Groups": '["physics"]'}) as alice:
        assert (await alice.post("/apps/molecule/install")).status_code == 404


async def test_groups_are_those_that_the_hub_said_last(shop):
    async with client(shop, "alice", "physics") as alice:
        assert "molecule" in await ids(alice)
    shop.deck.auth.hub.cache.clear()
    async with client(shop, "alice") as alice:
        assert await ids(alice) == ["band"]
        assert (await alice.post("/apps/molecule/install")).status_code == 404


async def test_a_denied_app_is_not_there_for_anybody(shop):
    async with client(shop, "bob", "physics") as bob:
        assert (await bob.get("/store/games-chess")).status_code == 404
        assert (await bob.post("/apps/games-chess/install")).json()["code"] == "app-not-found"


async def test_a_retired_version_is_neither_listed_nor_installed(shop):
    async with client(shop, "bob", "physics") as bob:
        listed = (await bob.get("/store/molecule")).json()["app"]["releases"]
        assert [release["version"] for release in listed] == ["2.0"]
        refused = await bob.post("/apps/molecule/install", json={"version": "1.0"})
        assert (refused.status_code, refused.json()["code"]) == (403, "version-not-offered")


async def test_a_version_that_somebody_has_stays_theirs(shop):
    async with client(shop, "bob", "physics") as bob:
        await bob.get("/apps")
        shop.launcher.agents["bob"].app.state.agent.installer.apps["molecule"] = ["1.0", "2.0"]
        assert (await bob.post("/apps/molecule/install", json={"version": "1.0"})).status_code == 202


async def test_the_store_page_says_why_a_registry_is_refused(shop, tmp_path, monkeypatch):
    root = signing.init_keys(tmp_path / "keys")
    sources = [shop.deck.settings.registry, RegistrySource(name="signed", url=str(tmp_path / "other"), root=root)]
    write_registry(tmp_path / "other")
    monkeypatch.setattr(shop.deck, "registries", Registries(sources, tmp_path / "trust", POLICY))
    async with shop.signed_in("alice") as alice:
        page = (await alice.get("/services/deck/store")).text
    assert "The registry cannot be trusted" in page
    assert "it is not signed" in page
    assert "Band" in page
