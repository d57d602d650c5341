"""Sharing an app: whoever is named opens that version without owning it, and nobody else anything."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from simdeck_appstore.policy import AppPolicy
from simdeck_deck.sharing import split_link

SUBMIT = {"workflow": "molecule.optimize", "title": "Water"}


class World:
    """Alice, who has two versions of an app and a run of it, and clients of others."""

    def __init__(self, site, alice, run):
        self.site, self.alice, self.run = site, alice, run

    async def share(self, **wanted):
        body = {"app": "molecule", "people": ["bob"]} | wanted
        answer = await self.alice.post("/shares", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def client(self, user="bob", *scopes, groups=()):
        token = self.site.hub.token(user, *(scopes or ("runs", "apps:install")))
        self.site.hub.tokens[token]["groups"] = list(groups)
        return self.site.client(token)

    def installer(self, user="bob"):
        return self.site.launcher.installer(user)

    def expire(self, share):
        """Let a share end behind the agents' backs."""
        past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        for user, table, where in (("alice", "shares", "id"), ("bob", "received", "ticket")):
            name = share["id"] if where == "id" else ticket(share)
            with sqlite3.connect(self.site.launcher.home(user).agent / "shares.sqlite") as db:
                (record,) = db.execute(f"SELECT record FROM {table} WHERE {where} = ?", (name,)).fetchone()
                changed = json.dumps(json.loads(record) | {"expires": past})
                db.execute(f"UPDATE {table} SET record = ? WHERE {where} = ?", (changed, name))


@pytest.fixture
async def world(site):
    async with site.client(site.hub.token("alice", "runs", "apps:install")) as alice:
        run = (await alice.post("/runs", json=SUBMIT)).json()["id"]
        await site.launcher.backend("alice").finish(run)
        site.launcher.installer("alice").apps["molecule"] = ["1.0", "2.0"]
        yield World(site, alice, run)


def ticket(share):
    return split_link(share["link"])[0]


async def ready(client, share):
    """Open the link and have the app made ready; return what the last answer said."""
    assert (await client.post("/shared", json={"link": share["link"]})).status_code == 201
    answer = await client.post(f"/shared/{ticket(share)}/app")
    assert answer.status_code == 202, answer.text
    for _ in range(500):
        found = (await client.get(f"/shared/{ticket(share)}/app")).json()
        if found["state"] != "preparing":
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(found)


async def gone(installer):
    for _ in range(1000):
        if not installer.guests():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(installer.guests())


async def test_a_named_person_has_the_version_made_ready_and_does_not_own_it(world):
    share = await world.share()
    assert (share["app"], share["version"], share["run"], share["opened"]) == ("molecule", "2.0", None, [])
    async with world.client() as bob:
        found = await ready(bob, share)
        assert (found["state"], found["owner"], found["app"], found["version"]) == ("ready", "alice", "molecule", "2.0")
        assert (await bob.get("/apps")).json()["items"] == []
        assert (await bob.get("/apps/molecule")).status_code == 404
    assert [(one.app, one.version) for one in world.installer().guests()] == [("molecule", "2.0")]


async def test_an_app_comes_with_the_version_page_and_parameters_that_its_owner_chose(world):
    share = await world.share(version="1.0", page="second", parameters={"system": "water"})
    async with world.client() as bob:
        await bob.post("/shared", json={"link": share["link"]})
        found = (await bob.get(f"/shared/{ticket(share)}/app")).json()
    assert (found["version"], found["page"], found["parameters"]) == ("1.0", "second", {"system": "water"})
    assert (found["state"], found["run"], found["kept"]) == ("missing", False, True)


async def test_the_owner_sees_who_has_opened_it(world):
    share = await world.share(people=["bob", "eve"])
    async with world.client() as bob:
        await bob.post("/shared", json={"link": share["link"]})
        await bob.get(f"/shared/{ticket(share)}/app")
    found = (await world.alice.get(f"/shares/{share['id']}")).json()
    assert [one["person"] for one in found["opened"]] == ["bob"]


async def test_who_has_the_version_opens_their_own(world):
    share = await world.share()
    await world.site.launcher.ensure("bob")
    world.installer().apps["molecule"] = ["2.0"]
    async with world.client() as bob:
        assert (await ready(bob, share))["state"] == "own"
    assert world.installer().guest_versions == {}


@pytest.mark.parametrize(
    "policy",
    [
        {"deny": ["molecule"]},
        {"allow": ["band"]},
        {"rules": [{"app": "molecule", "retired": ["2.0"]}]},
        {"rules": [{"app": "molecule", "pinned": "<2"}]},
        {"rules": [{"app": "molecule", "groups": ["physics"]}]},
    ],
)
async def test_what_the_site_does_not_offer_is_refused_in_plain_words(world, monkeypatch, policy):
    share = await world.share()
    changed = world.site.launcher.settings.model_copy(update={"apps": AppPolicy.model_validate(policy)})
    monkeypatch.setattr(world.site.launcher, "settings", changed)
    async with world.client("bob", groups=["chemistry"]) as bob:
        await bob.post("/shared", json={"link": share["link"]})
        answer = await bob.post(f"/shared/{ticket(share)}/app")
        assert (answer.status_code, answer.json()["code"]) == (403, "shared-app-not-offered")
        assert "alice shares molecule 2.0 with you" in answer.json()["detail"]
    assert world.installer().guest_versions == {}


async def test_a_stranger_sees_nothing_of_a_shared_app(world):
    share = await world.share()
    async with world.client("eve") as eve:
        assert (await eve.post("/shared", json={"link": share["link"]})).status_code == 404
        for method in ("GET", "POST"):
            answer = await eve.request(method, f"/shared/{ticket(share)}/app")
            assert answer.status_code == 404
            assert "molecule" not in answer.text
    assert world.installer("eve").guests() == []


async def test_revoking_takes_the_version_away_from_whoever_opened_it(world):
    share = await world.share()
    async with world.client() as bob:
        await ready(bob, share)
        assert (await world.alice.delete(f"/shares/{share['id']}")).json()["ended"] is True
        await gone(world.installer())
        for method in ("GET", "POST"):
            assert (await bob.request(method, f"/shared/{ticket(share)}/app")).status_code == 410
        assert (await bob.get("/shared")).json()["items"][0]["ended"] is not None


async def test_a_version_with_a_page_open_stays_until_that_is_closed(world):
    share = await world.share()
    async with world.client() as bob:
        await ready(bob, share)
        world.installer().open_pages.add("molecule")
        await world.alice.delete(f"/shares/{share['id']}")
        assert (await bob.get(f"/shared/{ticket(share)}/app")).status_code == 410
        assert world.installer().guests()
        world.installer().open_pages.clear()
        assert (await bob.get(f"/shared/{ticket(share)}/app")).status_code == 410
        await gone(world.installer())


async def test_an_expired_share_is_over_and_its_version_goes(world):
    share = await world.share()
    async with world.client() as bob:
        await ready(bob, share)
        world.expire(share)
        assert (await bob.get(f"/shared/{ticket(share)}/app")).status_code == 410
        await gone(world.installer())


async def test_forgetting_the_share_takes_the_version_away(world):
    share = await world.share()
    async with world.client() as bob:
        await ready(bob, share)
        assert (await bob.delete(f"/shared/{ticket(share)}")).status_code == 204
        assert world.installer().guests() == []
        assert (await bob.get(f"/shared/{ticket(share)}/app")).status_code == 404


async def test_a_version_that_is_kept_stays_when_the_share_is_over(world):
    share = await world.share()
    async with world.client() as bob:
        await ready(bob, share)
        world.installer().apps["molecule"] = ["2.0"]
        await world.alice.delete(f"/shares/{share['id']}")
        assert (await bob.get(f"/shared/{ticket(share)}/app")).status_code == 410
        assert [app["current"] for app in (await bob.get("/apps")).json()["items"]] == ["2.0"]


async def test_the_share_goes_on_when_its_owner_has_removed_the_app(world):
    share = await world.share()
    del world.site.launcher.installer("alice").apps["molecule"]
    async with world.client() as bob:
        found = await ready(bob, share)
    assert (found["state"], found["kept"]) == ("ready", False)


async def test_a_result_that_comes_with_the_app_is_read_where_the_app_looks_for_runs(world):
    share = await world.share(run=world.run)
    async with world.client() as bob:
        await bob.post("/shared", json={"link": share["link"]})
        assert (await bob.get(f"/shared/{ticket(share)}/app")).json()["run"] is True
        at = f"/runs/{ticket(share)}"
        run = (await bob.get(at)).json()
        assert (run["id"], run["title"], run["state"], run["process"]) == (ticket(share), "Water", "finished", None)
        assert (await bob.get(f"{at}/outputs")).json() == {"of": world.run}
        assert (await bob.get(f"{at}/files/out/result.html")).content == b"<html"
        events = (await bob.get(f"{at}/events")).text
        assert "event: end" in events
        assert '"finished"' in events


@pytest.mark.parametrize(
    ("method", "part"), [("POST", "/retry"), ("POST", "/cancel"), ("PATCH", ""), ("DELETE", ""), ("POST", "/pause")]
)
async def test_nothing_of_a_shared_result_can_be_changed(world, method, part):
    share = await world.share(run=world.run)
    async with world.client() as bob:
        await bob.post("/shared", json={"link": share["link"]})
        body = {"json": {"title": "mine"}} if method != "DELETE" else {}
        answer = await bob.request(method, f"/runs/{ticket(share)}{part}", **body)
    assert (answer.status_code, answer.json()["code"]) == (403, "share-read-only")
    assert (await world.alice.get(f"/runs/{world.run}")).json()["title"] == "Water"


async def test_a_strangers_ticket_is_no_run(world):
    share = await world.share(run=world.run)
    async with world.client("eve") as eve:
        for part in ("", "/outputs", "/events", "/files", "/archive", "/log"):
            assert (await eve.get(f"/runs/{ticket(share)}{part}")).status_code == 404, part
        assert (await eve.post(f"/runs/{ticket(share)}/retry")).status_code == 404


@pytest.mark.parametrize("part", ["/log", "/graph", "/deletion", "/notices", "/history"])
async def test_what_of_a_run_is_not_shared_does_not_exist(world, part):
    share = await world.share(run=world.run)
    async with world.client() as bob:
        await bob.post("/shared", json={"link": share["link"]})
        assert (await bob.get(f"/runs/{ticket(share)}{part}")).status_code == 404


@pytest.mark.parametrize(
    "wanted",
    [
        {"app": None},
        {"app": "nowhere"},
        {"version": "9.9"},
        {"app": None, "run": "x", "version": "1.0"},
        {"parameters": {"bad name": "x"}},
        {"people": []},
    ],
)
async def test_an_app_share_that_makes_no_sense_is_refused(world, wanted):
    answer = await world.alice.post("/shares", json={"app": "molecule", "people": ["bob"]} | wanted)
    assert answer.status_code in (404, 422)
    assert (await world.alice.get("/shares")).json()["items"] == []


async def test_who_may_only_look_at_runs_prepares_nothing(world):
    share = await world.share()
    async with world.client("bob", "runs") as bob:
        await bob.post("/shared", json={"link": share["link"]})
        assert (await bob.get(f"/shared/{ticket(share)}/app")).status_code == 200
        assert (await bob.post(f"/shared/{ticket(share)}/app")).status_code == 403
