"""Sharing a run: who sees what through a link, and all who do not."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from simdeck_agent.api.sharing import SHARE_HEADER
from simdeck_agent.shares import share_header
from simdeck_deck.sharing import read_ticket, split_link, ticket_of

PARTS = ("", "/inputs", "/outputs", "/files", "/files/out/result.html", "/archive")
SUBMIT = {"workflow": "molecule.optimize"}


class World:
    """Alice, who shares a run, and clients of others."""

    def __init__(self, site, alice, run, other):
        self.site, self.alice, self.run, self.other = site, alice, run, other

    async def share(self, **wanted):
        answer = await self.alice.post("/shares", json={"run": self.run} | (wanted or {"people": ["bob"]}))
        assert answer.status_code == 201, answer.text
        return answer.json()

    def client(self, user="bob", *scopes, groups=()):
        token = self.site.hub.token(user, *(scopes or ("runs",)))
        self.site.hub.tokens[token]["groups"] = list(groups)
        return self.site.client(token)

    def database(self):
        return sqlite3.connect(self.site.launcher.home("alice").agent / "shares.sqlite")

    def change(self, share, **changes):
        """Change a share behind the agent's back."""
        with self.database() as db:
            (record,) = db.execute("SELECT record FROM shares WHERE id = ?", (share,)).fetchone()
            db.execute("UPDATE shares SET record = ? WHERE id = ?", (json.dumps(json.loads(record) | changes), share))

    async def agent(self, method="GET", path="/shared/run", **header):
        """Ask alice's agent as the deck does."""
        client = await self.site.deck.agents.client("alice")
        sent = {SHARE_HEADER: share_header(**header)} if header else {}
        return await client.request(method, path, headers=sent)


@pytest.fixture
async def world(site):
    async with site.client(site.hub.token("alice", "runs")) as alice:
        run = (await alice.post("/runs", json=SUBMIT | {"title": "Water"})).json()["id"]
        other = (await alice.post("/runs", json=SUBMIT | {"title": "A secret"})).json()["id"]
        for one in (run, other):
            await site.launcher.backend("alice").finish(one)
        yield World(site, alice, run, other)


def ticket(share):
    return split_link(share["link"])[0]


async def test_a_named_person_opens_the_link_and_sees_the_run(world):
    share = await world.share()
    async with world.client() as bob:
        opened = await bob.post("/shared", json={"link": share["link"]})
        assert (opened.status_code, opened.json()["title"], opened.json()["owner"]) == (201, "Water", "alice")
        for part in PARTS:
            assert (await bob.get(f"/shared/{ticket(share)}{part}")).status_code == 200, part
        run = (await bob.get(f"/shared/{ticket(share)}")).json()
        assert (run["title"], run["state"], run["owner"]) == ("Water", "finished", "alice")
        assert (await bob.get(f"/shared/{ticket(share)}/outputs")).json() == {"of": world.run}
        assert (await bob.get(f"/shared/{ticket(share)}/files/out/result.html")).content == b"<html"
        assert [item["title"] for item in (await bob.get("/shared")).json()["items"]] == ["Water"]


async def test_a_run_is_shown_without_what_leads_to_others(world):
    share = await world.share()
    async with world.client() as bob:
        await bob.post("/shared", json={"link": share["link"]})
        run = (await bob.get(f"/shared/{ticket(share)}")).json()
    assert set(run).isdisjoint({"retry_of", "process", "notify", "id"})


async def test_somebody_in_a_named_group_opens_the_link(world):
    share = await world.share(groups=["course"])
    async with world.client("bob", groups=["course", "x"]) as bob, world.client("eve", groups=["other"]) as eve:
        assert (await bob.post("/shared", json={"link": share["link"]})).status_code == 201
        assert (await eve.post("/shared", json={"link": share["link"]})).status_code == 404


async def test_who_has_left_the_group_sees_nothing_any_more(world):
    share = await world.share(groups=["course"])
    async with world.client("bob", groups=["course"]) as bob:
        await bob.post("/shared", json={"link": share["link"]})
    async with world.client("bob") as bob:
        assert (await bob.get(f"/shared/{ticket(share)}")).status_code == 404


async def everything_is_404(client, share, world):
    for part in PARTS:
        answer = await client.get(f"/shared/{ticket(share)}{part}")
        assert answer.status_code == 404, part
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Water" not in answer.text
    for part in ("", "/inputs", "/files", "/archive"):
        assert (await client.get(f"/runs/{world.run}{part}")).status_code == 404


async def test_an_unnamed_person_with_the_link_sees_nothing(world):
    share = await world.share()
    async with world.client("eve") as eve:
        assert (await eve.post("/shared", json={"link": share["link"]})).status_code == 404
        await everything_is_404(eve, share, world)
        assert (await eve.get("/shared")).json()["items"] == []


@pytest.mark.parametrize("key", ["", "x", "A" * 43])
async def test_a_named_person_with_a_wrong_key_sees_nothing(world, key):
    share = await world.share()
    async with world.client() as bob:
        assert (await bob.post("/shared", json={"link": f"{ticket(share)}#{key}"})).status_code == 404
        await everything_is_404(bob, share, world)


async def test_the_link_of_another_share_does_not_open_this_one(world):
    share, second = await world.share(), await world.share()
    async with world.client() as bob:
        key = split_link(second["link"])[1]
        assert (await bob.post("/shared", json={"link": f"{ticket(share)}#{key}"})).status_code == 404


async def test_a_revoked_share_opens_nothing(world):
    share = await world.share()
    async with world.client() as bob, world.client("eve") as eve:
        await bob.post("/shared", json={"link": share["link"]})
        revoked = (await world.alice.delete(f"/shares/{share['id']}")).json()
        assert revoked["ended"] is True
        for part in PARTS:
            answer = await bob.get(f"/shared/{ticket(share)}{part}")
            assert (answer.status_code, answer.json()["code"]) == (410, "share-ended"), part
        assert (await eve.post("/shared", json={"link": share["link"]})).status_code == 404


async def test_an_expired_share_opens_nothing(world):
    share = await world.share(people=["bob"], days=1)
    world.change(share["id"], expires=(datetime.now(UTC) - timedelta(seconds=1)).isoformat())
    async with world.client() as bob:
        assert (await bob.post("/shared", json={"link": share["link"]})).status_code == 410
    assert (await world.alice.get("/shares")).json()["items"][0]["ended"] is True


async def test_a_share_of_a_run_that_was_deleted_is_over(world):
    share = await world.share()
    async with world.client() as bob:
        await bob.post("/shared", json={"link": share["link"]})
        del world.site.launcher.backend("alice").runs[world.run]
        answer = await bob.get(f"/shared/{ticket(share)}")
    assert (answer.status_code, answer.json()["code"]) == (410, "share-ended")
    assert world.run not in answer.text


async def test_a_share_leads_to_no_other_run_of_its_owner(world):
    share = await world.share()
    async with world.client() as bob:
        await bob.post("/shared", json={"link": share["link"]})
        base = f"/shared/{ticket(share)}"
        for path in (f"/runs/{world.other}", f"/{world.other}", "/run", "/events", "/log", "/graph", "/cancel"):
            assert (await bob.get(base + path)).status_code == 404, path
        for path in (f"/files/../../runs/{world.other}/outputs", f"/files/%2e%2e/%2e%2e/runs/{world.other}/outputs",
                     f"/files/..%2f..%2fruns%2f{world.other}"):  # fmt: skip
            answer = await bob.get(base + path)
            assert answer.status_code == 404, path
            assert world.other not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_nothing_can_be_changed_through_a_share(world, method):
    share = await world.share()
    async with world.client() as bob:
        await bob.post("/shared", json={"link": share["link"]})
        for part in PARTS:
            answer = await bob.request(method, f"/shared/{ticket(share)}{part}", json={})
            assert answer.status_code == 405, part


async def test_forgetting_a_share_takes_it_off_the_list_and_leaves_the_owners(world):
    share = await world.share()
    async with world.client() as bob:
        await bob.post("/shared", json={"link": share["link"]})
        assert (await bob.delete(f"/shared/{ticket(share)}")).status_code == 204
        assert (await bob.get("/shared")).json()["items"] == []
        assert (await bob.get(f"/shared/{ticket(share)}")).status_code == 404
    assert (await world.alice.get(f"/runs/{world.run}")).status_code == 200
    assert (await world.alice.get("/shares")).json()["items"][0]["ended"] is False


async def test_another_persons_shares_are_nobody_elses(world):
    share = await world.share()
    async with world.client() as bob:
        assert (await bob.get("/shares")).json()["items"] == []
        assert (await bob.get(f"/shares/{share['id']}")).status_code == 404
        assert (await bob.delete(f"/shares/{share['id']}")).status_code == 404
        assert (await bob.post("/shares", json={"run": world.run, "people": ["eve"]})).status_code == 404
    assert (await world.alice.get(f"/shares/{share['id']}")).json()["revoked"] is None


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"people": [], "groups": []},
        {"people": ["a b"]},
        {"people": ["../x"]},
        {"people": ["bob"], "days": 0},
        {"people": ["bob"], "days": 4000},
        {"people": [f"p{n}" for n in range(51)]},
        {"people": ["bob"], "key": "chosen"},
    ],
)
async def test_a_share_that_makes_no_sense_is_refused(world, wanted):
    answer = await world.alice.post("/shares", json={"run": world.run} | wanted)
    assert answer.status_code == 422
    assert (await world.alice.get("/shares")).json()["items"] == []


async def test_a_run_that_is_not_there_cannot_be_shared(world):
    answer = await world.alice.post("/shares", json={"run": "no-such-run", "people": ["bob"]})
    assert answer.status_code == 404


async def test_who_may_only_read_cannot_share_or_revoke(world):
    share = await world.share()
    async with world.client("alice", "runs:read") as reader:
        assert (await reader.post("/shares", json={"run": world.run, "people": ["bob"]})).status_code == 403
        assert (await reader.delete(f"/shares/{share['id']}")).status_code == 403
        assert (await reader.post("/shared", json={"link": share["link"]})).status_code == 403
        assert (await reader.get("/shares")).status_code == 200


async def test_a_made_up_ticket_starts_nobodys_agent(world):
    made_up = ticket_of(world.site.deck.keys, "carol", "x")
    forged = made_up[:-1] + ("0" if made_up[-1] != "0" else "1")
    async with world.client() as bob:
        for one in (forged, made_up.partition(".")[0], "x", "x.y", "..", made_up.partition(".")[0] + "."):
            assert (await bob.post("/shared", json={"link": f"{one}#k"})).status_code == 404, one
    assert "carol" not in world.site.launcher.agents


async def test_a_ticket_is_read_as_it_was_made(world):
    keys = world.site.deck.keys
    assert read_ticket(keys, ticket_of(keys, "ä b/c", "s")) == ("ä b/c", "s")


async def test_no_answer_of_the_owner_alone_comes_through_the_deck(world):
    """The agent's routes for sharing are not among those the deck serves as they are."""
    async with world.client("alice") as alice:
        for path in ("/received", "/shared/run", "/shared/outputs"):
            answer = await alice.get(path)
            assert answer.status_code in (404, 405), path


async def test_a_header_of_the_callers_own_names_no_share(world):
    share = await world.share()
    name, key = share["id"], split_link(share["link"])[1]
    header = {SHARE_HEADER: share_header(name, key, "bob", [])}
    async with world.client() as bob:
        assert (await bob.get(f"/runs/{world.run}", headers=header)).status_code == 404
        assert (await bob.get(f"/shared/{ticket(share)}", headers=header)).status_code == 404


@pytest.mark.parametrize("lie", [[], "x", {"title": 3}, {"owner": "grace"}])
async def test_an_owners_agent_that_lies_is_not_believed(world, monkeypatch, lie):
    share = await world.share()
    async with world.client() as bob:
        await bob.post("/shared", json={"link": share["link"]})
        told = (await bob.get(f"/shared/{ticket(share)}")).json()
        body = told | lie if isinstance(lie, dict) else lie
        monkeypatch.setattr(httpx.Response, "json", lambda self, real=httpx.Response.json: (
            body if self.request.url.path == "/shared/run" else real(self)
        ))  # fmt: skip
        answer = await bob.get(f"/shared/{ticket(share)}")
        monkeypatch.undo()
    if isinstance(lie, dict) and "owner" in lie:
        assert answer.json()["owner"] == "alice"
    else:
        assert (answer.status_code, answer.json()["code"]) == (503, "share-owner-away")


# --- the agent's own refusals ----------------------------------------------------------------------------------------


async def test_the_agent_opens_only_the_routes_of_a_share_to_a_share(world):
    share = await world.share()
    named = {"share": share["id"], "key": split_link(share["link"])[1], "person": "bob", "groups": []}
    assert (await world.agent(**named)).status_code == 200
    for method, path in (
        ("GET", f"/runs/{world.run}"),
        ("GET", "/runs"),
        ("GET", "/shares"),
        ("GET", "/status"),
        ("DELETE", f"/shares/{share['id']}"),
        ("POST", f"/runs/{world.run}/cancel"),
        ("POST", "/shared/run"),
        ("DELETE", "/shared/run"),
        ("GET", "/shared/log"),
        ("GET", f"/shared/../runs/{world.run}"),
    ):
        assert (await world.agent(method, path, **named)).status_code == 404, (method, path)


@pytest.mark.parametrize(
    "change",
    [{"person": "eve"}, {"key": "wrong"}, {"share": "none"}, {"person": ""}, {"person": "eve", "groups": ["bob"]}],
)
async def test_the_agent_refuses_whom_the_share_does_not_name(world, change):
    share = await world.share()
    named = {"share": share["id"], "key": split_link(share["link"])[1], "person": "bob", "groups": []}
    answer = await world.agent(**named | change)
    assert (answer.status_code, answer.json()["code"]) == (404, "share-not-found")


async def test_the_agent_refuses_a_share_route_without_a_share(world):
    client = await world.site.deck.agents.client("alice")
    for header in ({}, {SHARE_HEADER: "[]"}, {SHARE_HEADER: "x"}, {SHARE_HEADER: "{}"}):
        assert (await client.get("/shared/run", headers=header)).status_code == 404


async def test_the_database_of_shares_is_the_owners_alone(world):
    await world.share()
    path = world.site.launcher.home("alice").agent / "shares.sqlite"
    assert path.stat().st_mode & 0o077 == 0


async def test_an_owner_whose_agent_is_away_is_named_and_no_more(world, monkeypatch):
    share = await world.share()
    async with world.client() as bob:
        await bob.post("/shared", json={"link": share["link"]})
        ensure = world.site.launcher.ensure

        async def fail(user):
            if user == "alice":
                raise world.site.launcher.unavailable(user, "/home/alice/secret")
            return await ensure(user)

        monkeypatch.setattr(world.site.launcher, "ensure", fail)
        async with asyncio.timeout(120):
            answer: httpx.Response = await bob.get(f"/shared/{ticket(share)}")
    assert (answer.status_code, answer.json()["code"]) == (503, "share-owner-away")
    assert "secret" not in answer.text
