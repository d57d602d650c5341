"""The deck's part against the real hub's routes: a JupyterHub with the Slurm spawner over a simulated scheduler."""

from __future__ import annotations

import asyncio

import pytest
from simdeck_clusters.models import JobState
from simdeck_common.problems import Problem
from simdeck_deck.auth import SessionUser
from simdeck_deck.choices import Choices
from simdeck_deck.hub_api import HubAPI
from simdeck_deck.hub_servers import HubServers
from simdeck_spawners.testing import make_world, world

__all__ = ["make_world", "world"]
pytestmark = pytest.mark.asyncio(loop_scope="function")


class NoRegistry:
    def app(self, app):
        raise Problem("app-not-found", app=app)


@pytest.fixture
def deck(world, tmp_path):
    """The deck's side of the hub in ``world``."""
    return HubServers(HubAPI(f"http://127.0.0.1:{world.hub.port}/hub/api"), Choices(tmp_path / "deck"), NoRegistry())


def person(world, name):
    # What a session of the deck may do at the hub.
    token = world.hub.user(name).new_api_token(scopes=["servers!user", "read:users:name!user"])
    return SessionUser(name, False, (), frozenset(), token)


async def until(world, deck, user, name, phase):
    """Return the server's view when it is in ``phase``."""
    async with asyncio.timeout(120):
        while (found := await deck.server(user, name)).phase != phase:  # noqa: ASYNC110 - the hub tells no event here
            await asyncio.sleep(0.02)
    return found


async def test_clusters_and_estimates_are_understood(world, deck):
    alice = person(world, "alice")
    (cluster,) = await deck.clusters(alice)
    assert cluster.name == "sim"
    assert cluster.partitions
    assert cluster.partitions[0].limits.cores == 8
    found = await deck.estimate(alice, {"cores": 2, "app": "molecule"})
    assert found.cost.core_hours == 4.0
    begun = await deck.beginning(alice, "molecule", [cluster])
    assert begun.options["cluster"] == "sim"


async def test_a_value_that_is_refused_names_its_field_at_estimate_and_start(world, deck):
    alice = person(world, "alice")
    await deck.clusters(alice)
    for work in (deck.estimate(alice, {"cores": 99}), deck.start(alice, "side", {"cores": 99})):
        with pytest.raises(Problem) as caught:
            await work
        assert (caught.value.field, caught.value.status) == ("cores", 422)
    assert world.jobs() == []


async def test_a_server_waits_runs_and_is_continued(world, deck):
    alice, bob = person(world, "alice"), person(world, "bob")
    world.no_room()
    await deck.start(alice, "side", {"cores": 2, "app": "molecule"})
    waiting = await until(world, deck, alice, "side", "queued")
    assert waiting.job.id
    assert waiting.job.cluster == "sim"
    assert waiting.options["app"] == "molecule"
    assert waiting.url is None
    assert {one.name for one in await deck.servers(alice)} == {"-", "side"}
    with pytest.raises(Problem) as caught:
        await deck.server(bob, "side")
    assert caught.value.code == "server-not-found"
    world.room()
    runs = await until(world, deck, alice, "side", "running")
    assert runs.url.endswith("/user/alice/side/")
    again = await deck.continue_(alice, "side", {})
    assert again.name == "side-2"
    await until(world, deck, alice, "side-2", "running")
    await deck.stop(alice, "side")
    await world.until_gone("alice", "side")
    world.check()


async def test_a_server_that_waits_is_replaced_by_another_request(world, deck):
    alice = person(world, "alice")
    world.no_room()
    await deck.start(alice, "-", {"cores": 4})
    before = await until(world, deck, alice, "-", "queued")
    await deck.replace(alice, "-", {"cores": 1})
    after = await until(world, deck, alice, "-", "queued")
    assert after.options["cores"] == 1
    assert after.job.name != before.job.name
    assert [job.name for job in world.jobs()] == [after.job.name]
    world.room()
    await until(world, deck, alice, "-", "running")
    world.check()


async def test_the_events_of_a_start_carry_the_servers_view(world, deck):
    alice = person(world, "alice")
    world.no_room()
    await deck.start(alice, "-", {"cores": 1})
    await until(world, deck, alice, "-", "queued")
    phases = []
    async for event in deck.hub.progress(alice.name, alice.token):
        phases.append(event.data.get("server", {}).get("phase"))
        if "queued" in phases:
            world.room()
        if event.type == "ready":
            break
    assert "queued" in phases


async def test_a_server_that_ran_out_of_memory_says_so_and_has_papers(world, deck):
    alice = person(world, "alice")
    await deck.start(alice, "-", {"cores": 1, "memory": "1 GiB"})
    await until(world, deck, alice, "-", "running")
    (job,) = world.jobs()
    world.slurm.finish(job.id, state=JobState.OUT_OF_MEMORY, signal=9)
    over = await until(world, deck, alice, "-", "failed")
    assert over.failure.code == "server-out-of-memory"
    assert over.failure.evidence
    async with deck.bundle(alice, "-") as answer:
        assert (await answer.aread())[:2] == b"PK"
