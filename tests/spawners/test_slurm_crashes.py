"""The hub killed at each named line of a server's life: nothing is orphaned, lost or started twice."""

from __future__ import annotations

import pytest
from simdeck_spawners.testing import POINTS, World

pytestmark = pytest.mark.asyncio(loop_scope="function")

STARTING = POINTS[: POINTS.index("running") + 1]
STOPPING = ("before-scancel", "after-scancel", "before-end")


@pytest.mark.parametrize("point", [one for one in STARTING if one != "before-intent"])
async def test_a_hub_killed_while_a_server_starts_finds_it_again(world: World, point: str) -> None:
    if point in ("queued", "booting"):
        # Else the server may have announced itself before the hub has looked.
        world.servers.boots.clear()
    world.crash_at(point)
    await world.start("alice")
    await world.crash_and_return()
    world.servers.boots.set()
    await world.until_running("alice")
    world.check()


async def test_a_hub_killed_before_anything_was_written_down_has_nothing_to_find(world: World) -> None:
    world.crash_at("before-intent")
    await world.start("alice")
    await world.crash_and_return()
    assert world.jobs() == []
    await world.start("alice")
    await world.until_running("alice")
    world.check()


@pytest.mark.parametrize("point", STOPPING)
async def test_a_hub_killed_while_a_server_stops_ends_its_job_all_the_same(world: World, point: str) -> None:
    await world.start("alice")
    await world.until_running("alice")
    world.crash_at(point)
    await world.stop("alice")
    await world.crash_and_return()
    await world.until_gone("alice")
    assert world.jobs() == []
    world.check()


async def test_a_stop_the_hub_had_not_written_down_before_it_died_leaves_the_server_running(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    world.crash_at("before-ending")
    await world.stop("alice")
    await world.crash_and_return()
    await world.until_running("alice")
    world.check()
    assert await world.stop("alice") in (202, 204)
    await world.until_gone("alice")


async def test_a_hub_killed_again_while_it_takes_a_server_up_finds_it_the_third_time(world: World) -> None:
    world.servers.boots.clear()
    await world.start("alice")
    await world.until("the job runs", lambda: world.servers.begun)
    await world.kill_hub()
    world.crash_at("before-adopt")
    await world.hub_again()
    await world.crash_and_return()
    world.servers.boots.set()
    await world.until_running("alice")
    world.check()


async def test_running_servers_go_on_under_the_next_hub_without_a_new_route(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    before = world.target("alice")
    await world.kill_hub()
    await world.hub_again()
    await world.until_running("alice")
    assert world.target("alice") == before
    assert world.servers.begun == [world.jobs()[0].id]
    world.check()
