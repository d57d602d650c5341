"""The audit log of what people do with apps, over REST and in the pages."""

from __future__ import annotations

import asyncio
import os

import pytest
from simdeck_appstore.audit import Audit
from simdeck_deck import trail
from simdeck_deck.trail import Trail

PREFIX = "/services/deck"


@pytest.fixture
async def audit(site, tmp_path, monkeypatch):
    """The site with an audit log of this test alone, and a follower that looks often."""
    monkeypatch.setattr(trail, "LOOK_SECONDS", 0.05)
    kept = Audit(tmp_path / "audit.jsonl")
    monkeypatch.setattr(site.deck.agents, "trail", Trail(kept, site.deck.agents))
    yield kept
    site.deck.agents.trail.close()


async def settled(audit):
    """Return the newest entry once its end has been told."""
    async with asyncio.timeout(120):
        while True:
            found = audit.read(limit=1)
            if found and found[0].outcome not in ("asked", "begun"):
                return found[0]
            await asyncio.sleep(0.02)


async def test_an_install_is_written_down_with_its_end(site, audit):
    async with site.client(site.hub.token("alice", "apps:install")) as alice:
        task = (await alice.post("/apps/wave/install", json={"version": "1.2"})).json()
        entry = await settled(audit)
    assert (entry.who, entry.what, entry.app, entry.version) == ("alice", "install", "wave", "1.2")
    assert (entry.outcome, entry.task) == ("done", task["id"])


async def test_a_failed_install_is_written_down_with_its_code(site, audit):
    async with site.client(site.hub.token("alice", "apps:install")) as alice:
        await alice.post("/apps/nowhere/install")
        entry = await settled(audit)
    assert (entry.outcome, entry.detail) == ("failed", "app-not-found")


async def test_a_removal_is_written_down(site, audit):
    async with site.client(site.hub.token("alice", "apps:install")) as alice:
        await alice.post("/apps/wave/install")
        await settled(audit)
        await alice.delete("/apps/wave")
        entry = await settled(audit)
    assert (entry.what, entry.app, entry.outcome) == ("remove", "wave", "done")


async def test_pins_are_written_down(site, audit):
    async with site.client(site.hub.token("alice", "apps:install")) as alice:
        await alice.post("/apps/wave/install")
        await settled(audit)
        await alice.put("/apps/wave/pin", json={"version": "1.0"})
        await alice.delete("/apps/wave/pin")
    assert [entry.what for entry in audit.read()] == ["unpin", "pin", "install"]


async def test_what_was_refused_is_written_down_too(site, audit):
    async with site.client(site.hub.token("alice", "apps:install")) as alice:
        assert (await alice.delete("/apps/nothing")).status_code == 404
        entry = await settled(audit)
    assert (entry.what, entry.app, entry.outcome, entry.detail) == ("remove", "nothing", "refused", "404")


async def test_an_install_by_the_page_is_written_down(site, audit):
    async with site.signed_in("alice") as browser:
        form = {"_xsrf": site.xsrf(browser)}
        assert (await browser.post(PREFIX + "/store/wave/install", data=form)).status_code == 303
        entry = await settled(audit)
    assert (entry.who, entry.what, entry.outcome) == ("alice", "install", "done")


async def test_looking_is_not_written_down(site, audit):
    async with site.client(site.hub.token("alice", "apps:install")) as alice:
        await alice.get("/apps")
        await alice.get("/tasks")
    assert audit.read() == []


async def test_what_cannot_be_written_down_is_not_done(site, audit, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Audit, "_append", full)
    async with site.client(site.hub.token("alice", "apps:install")) as alice:
        refused = await alice.post("/apps/wave/install")
        assert (refused.status_code, refused.json()["code"]) == (503, "audit-unavailable")
        assert (await alice.get("/apps")).json()["items"] == []


async def test_a_service_that_comes_back_tells_what_went_on_without_it(site, audit):
    async with site.client(site.hub.token("alice", "apps:install")) as alice:
        await alice.get("/apps")
        site.launcher.agents["alice"].app.state.agent.installer.hold = True
        await alice.post("/apps/wave/install")
        site.deck.agents.trail.close()
        assert audit.read()[0].outcome == "begun"
        site.launcher.agents["alice"].app.state.agent.installer.release.set()
        again = Trail(audit, site.deck.agents)
        await again.resume()
        assert (await settled(audit)).outcome == "done"
        again.close()


async def test_a_request_that_was_never_answered_is_unknown(site, audit):
    audit.ask("alice", "install", "wave")
    await site.deck.agents.trail.resume()
    assert (await settled(audit)).outcome == "unknown"
    assert "alice" not in site.launcher.agents


async def test_the_person_sees_what_their_apps_take_and_no_others(site, audit):
    alice = site.client(site.hub.token("alice", "apps:install"))
    bob = site.client(site.hub.token("bob", "apps:install"))
    async with alice, bob:
        await alice.post("/apps/wave/install")
        await settled(audit)
        found = (await alice.get("/usage/apps")).json()
        assert ([item["app"] for item in found["items"]], found["size"], found["own"]) == (["wave"], 4096, 1024)
        assert (await bob.get("/usage/apps")).json()["items"] == []
