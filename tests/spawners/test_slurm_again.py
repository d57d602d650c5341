"""Servers whose job Slurm starts again while nobody waits for them: they come back, or are given up with the reason."""

from __future__ import annotations

import pytest
from simdeck_spawners.book import Stage
from simdeck_spawners.judge import CLOCKS_APART
from simdeck_spawners.testing import World

pytestmark = pytest.mark.asyncio(loop_scope="function")


async def run_a_while(world: World) -> None:
    """Let more time pass since the server reported than the clocks of hub and controller may differ."""
    entry = world.entry("alice")
    assert entry is not None
    reported = entry.announced or 0.0
    await world.until("time to pass", lambda: world.clock.time() > reported + CLOCKS_APART + 1)


async def test_a_requeued_server_that_never_reports_again_is_given_up(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    await run_a_while(world)
    world.servers.silent = True
    world.slurm.requeue(world.jobs()[0].id)
    await world.until_gone("alice")
    assert world.entry("alice").failure["code"] == "server-boot-timeout"  # type: ignore[index]
    assert world.slurm.calls["scancel"] == 1
    world.check()


async def test_a_requeued_server_that_reports_and_does_not_answer_is_given_up(world: World) -> None:
    world.hub.fleet.handshake_timeout = 60
    await world.start("alice")
    await world.until_running("alice")
    await run_a_while(world)
    world.servers.deaf = True
    world.slurm.requeue(world.jobs()[0].id)
    await world.until_gone("alice")
    assert world.entry("alice").failure["code"] == "server-handshake-timeout"  # type: ignore[index]
    world.check()


async def test_a_requeued_server_that_answers_late_is_back_without_another_word_of_it(world: World) -> None:
    world.hub.fleet.handshake_timeout = 0
    await world.start("alice")
    await world.until_running("alice")
    spawner = world.hub.user("alice").spawners[""]
    answers, asked = spawner._answers, []

    async def late(url: str) -> bool:
        asked.append(url)
        return len(asked) > 3 and bool(await answers(url))

    spawner._answers = late
    world.slurm.requeue(world.jobs()[0].id)
    await world.until("it is seen", lambda: world.entry("alice").was_running)
    await world.until_running("alice")
    assert len(asked) > 3
    assert len(world.servers.begun) == 2
    world.check()


async def test_hours_in_the_queue_for_the_second_time_count_against_no_clock(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    world.no_room()
    world.slurm.requeue(world.jobs()[0].id)
    await world.until("it waits", lambda: world.entry("alice").stage is Stage.SUBMITTED)
    polls = world.slurm.calls["squeue"]
    world.clock.skip(86400)
    await world.until("the queue was asked again", lambda: world.slurm.calls["squeue"] > polls + 2)
    assert world.entry("alice").stage is Stage.SUBMITTED
    world.room()
    await world.until_running("alice")
    world.check()


async def test_a_server_whose_node_changed_while_the_hub_was_down_is_given_up_when_it_stays_silent(
    world: World,
) -> None:
    await world.start("alice")
    await world.until_running("alice")
    await world.kill_hub()
    (job,) = world.jobs()
    world.servers.silent = True
    world.slurm.machine.nodes[job.node].down = True
    world.slurm.requeue(job.id)
    await world.until("it runs elsewhere", lambda: world.jobs() and len(world.servers.begun) == 2)
    await world.hub_again()
    await world.until_gone("alice")
    assert world.entry("alice").failure["code"] == "server-boot-timeout"  # type: ignore[index]
    world.check()
