"""Several versions of an app: pins, and versions installed beside the one in use."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture
async def alice(site):
    """Alice's client; she has version 1.0 of an app."""
    async with site.client(site.hub.token("alice", "apps:install")) as client:
        await done(client, await client.post("/apps/molecule/install", json={"version": "1.0"}))
        yield client


async def done(client, answer):
    assert answer.status_code == 202, answer.text
    task = answer.json()["id"]
    async with asyncio.timeout(120):
        await client.get(f"/tasks/{task}/events")
    return (await client.get(f"/tasks/{task}")).json()


async def shown(client):
    return (await client.get("/apps/molecule")).json()


async def test_a_version_installed_beside_leaves_the_one_in_use(alice):
    task = await done(alice, await alice.post("/apps/molecule/install", json={"version": "0.9", "beside": True}))
    assert (task["kind"], task["version"]) == ("add", "0.9")
    app = await shown(alice)
    assert app["current"] == "1.0"
    assert sorted(app["versions"]) == ["0.9", "1.0"]


async def test_a_pinned_app_stays_at_its_version(alice):
    assert (await alice.put("/apps/molecule/pin", json={"version": "1.0"})).json()["pinned"] == "1.0"
    for refused in (
        await alice.post("/apps/molecule/install"),
        await alice.post("/apps/molecule/install", json={"version": "2.0"}),
        await alice.post("/apps/molecule/rollback"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "app-pinned")
    await done(alice, await alice.post("/apps/molecule/install", json={"version": "2.0", "beside": True}))
    app = await shown(alice)
    assert (app["current"], app["pinned"]) == ("1.0", "1.0")


async def test_an_unpinned_app_is_updated_again(alice):
    await alice.put("/apps/molecule/pin", json={"version": "1.0"})
    assert (await alice.delete("/apps/molecule/pin")).json()["pinned"] is None
    await done(alice, await alice.post("/apps/molecule/install", json={"version": "2.0"}))
    assert (await shown(alice))["current"] == "2.0"


async def test_only_the_version_in_use_is_pinned(alice):
    refused = await alice.put("/apps/molecule/pin", json={"version": "7.0"})
    assert (refused.status_code, refused.json()["field"]) == (422, "version")
    assert (await alice.put("/apps/nothing/pin", json={"version": "1.0"})).status_code == 404


async def test_removing_an_app_takes_its_pin_with_it(alice):
    await alice.put("/apps/molecule/pin", json={"version": "1.0"})
    await done(alice, await alice.delete("/apps/molecule"))
    await done(alice, await alice.post("/apps/molecule/install", json={"version": "1.0"}))
    assert (await shown(alice))["pinned"] is None


async def test_who_may_only_look_cannot_pin(site, alice):
    async with site.client(site.hub.token("alice", "apps:read")) as reader:
        assert (await reader.put("/apps/molecule/pin", json={"version": "1.0"})).status_code == 403
