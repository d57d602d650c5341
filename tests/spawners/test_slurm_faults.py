"""What goes wrong between hub and cluster, and what a person gets of it: nothing, or the truth."""

from __future__ import annotations

import pytest
from simdeck_clusters.models import JobState
from simdeck_clusters.simulated import SimulatedNode
from simdeck_spawners.book import Stage
from simdeck_spawners.testing import World

pytestmark = pytest.mark.asyncio(loop_scope="function")


def stage(world: World, user: str = "alice") -> Stage:
    return world.entry(user).stage


@pytest.mark.parametrize("kind", ["error", "garbage", "empty", "cut", "hang"])
async def test_a_queue_that_cannot_be_read_ends_no_server(world: World, kind: str) -> None:
    await world.start("alice")
    await world.until_running("alice")
    world.slurm.fault("squeue", kind)
    world.slurm.fault("scontrol", kind)
    world.slurm.fault("sacct", kind)
    before = world.slurm.calls["squeue"]
    world.clock.skip(3600)
    await world.until("the queue was asked again", lambda: world.slurm.calls["squeue"] > before + 1)
    assert world.ready("alice")
    world.slurm.heal()
    world.check()


async def test_a_long_outage_while_a_job_waits_costs_nothing_but_time(world: World) -> None:
    world.no_room()
    await world.start("alice")
    await world.until("it waits", lambda: stage(world) is Stage.SUBMITTED)
    world.slurm.fault("*", "error")
    world.clock.skip(7200)
    watcher = world.hub.fleet.watchers["sim"]
    await world.until("the outage is noticed", lambda: watcher.unknown_since is not None)
    view = await server_view(world)
    assert (view["phase"], view["unknown_since"] is not None) == ("unknown", True)
    world.slurm.heal()
    world.room()
    await world.until_running("alice")
    world.check()


async def test_a_hub_that_comes_back_during_an_outage_keeps_what_runs_and_what_waits(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    world.no_room()
    await world.start("bob")
    await world.until("bob waits", lambda: stage(world, "bob") is Stage.SUBMITTED)
    world.slurm.fault("*", "error")
    await world.kill_hub()
    await world.hub_again()
    await world.until_running("alice")
    assert stage(world, "bob") is Stage.SUBMITTED
    world.slurm.heal()
    world.room()
    await world.until_running("bob")
    world.check()


async def test_a_submission_whose_answer_was_lost_is_found_by_its_name_and_not_repeated(world: World) -> None:
    world.slurm.fault("sbatch", "lost", times=1)
    await world.start("alice")
    await world.until_running("alice")
    world.check()


async def test_a_submission_the_scheduler_could_not_take_is_made_when_it_answers_again(world: World) -> None:
    world.slurm.fault("sbatch", "error", times=2)
    await world.start("alice")
    await world.until_running("alice")
    world.check()


async def test_a_refused_submission_fails_at_once_and_names_the_field(world: World) -> None:
    world.slurm.fault("sbatch", "refuse", message="sbatch: error: Invalid qos specification")
    await world.start("alice")
    await world.until("it failed", lambda: stage(world) is Stage.ENDED)
    failure = world.entry("alice").failure
    assert failure is not None
    assert (failure["code"], failure["field"]) == ("cluster-refused", "qos")
    await world.until_gone("alice")


async def test_a_server_moved_to_another_node_is_reached_there_without_a_click(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    (job,) = world.jobs()
    before = world.target("alice")
    node = world.slurm.machine.nodes[job.node]
    node.down = True
    world.slurm.requeue(job.id)
    await world.until("the proxy leads to the other node", lambda: world.target("alice") not in (None, before))
    await world.until_running("alice")
    assert world.jobs()[0].node != node.name
    world.check()


async def test_a_server_requeued_while_it_starts_is_taken_where_it_comes_up(world: World) -> None:
    world.servers.boots.clear()
    await world.start("alice")
    await world.until("the job runs", lambda: world.servers.begun)
    world.slurm.requeue(world.jobs()[0].id)
    world.servers.boots.set()
    await world.until_running("alice")
    world.check()


async def test_a_server_requeued_while_the_hub_was_down_is_found_where_it_is_now(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    await world.kill_hub()
    (job,) = world.jobs()
    world.slurm.machine.nodes[job.node].down = True
    world.slurm.requeue(job.id)
    await world.hub_again()
    await world.until_running("alice")
    assert world.hub.fleet.book.live("alice", "").node == world.jobs()[0].node  # type: ignore[union-attr]
    world.check()


async def test_a_job_cancelled_behind_our_back_is_off_the_proxy_with_the_reason_kept(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    world.slurm.cancel(world.jobs()[0].id, by="root")
    await world.until_gone("alice")
    view = await server_view(world)
    assert view["phase"] == "failed"
    assert view["failure"]["code"].startswith("server-cancelled")
    world.check()


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (JobState.TIMEOUT, "server-time-limit"),
        (JobState.OUT_OF_MEMORY, "server-out-of-memory"),
        (JobState.NODE_FAIL, "server-node-failure"),
        (JobState.PREEMPTED, "server-preempted"),
    ],
)
async def test_a_job_that_ends_by_itself_leaves_its_cause(world: World, state: JobState, code: str) -> None:
    await world.start("alice")
    await world.until_running("alice")
    world.slurm.finish(world.jobs()[0].id, code=1, state=state)
    await world.until_gone("alice")
    failure = (await server_view(world))["failure"]
    assert failure["code"] == code
    assert failure["evidence"]


async def test_a_server_that_reaches_its_walltime_is_gone_and_may_be_started_again(world: World) -> None:
    await world.start("alice", walltime="5m")
    await world.until_running("alice")
    world.clock.skip(301)
    await world.until_gone("alice")
    assert world.entry("alice").failure["code"] == "server-time-limit"  # type: ignore[index]
    await world.start("alice")
    await world.until_running("alice")
    world.check()


async def test_a_job_that_dies_before_it_reports_fails_the_start_at_once(world: World) -> None:
    world.servers.boots.clear()
    await world.start("alice")
    await world.until("the job runs", lambda: world.servers.begun)
    world.slurm.files[("alice", world.jobs()[0].name)]["job.log"] = "Lmod has detected the following error\n"
    world.slurm.finish(world.jobs()[0].id, code=1)
    await world.until_gone("alice")
    failure = (await server_view(world))["failure"]
    assert failure["code"] == "server-died-before-ready"
    assert "Lmod" in failure["log"]


async def test_a_server_that_never_reports_is_ended_when_its_boot_clock_runs_out(world: World) -> None:
    world.servers.silent = True
    await world.start("alice")
    await world.until("the job is seen to run", lambda: world.entry("alice").started)
    world.clock.skip(200)
    await world.until_gone("alice")
    assert world.entry("alice").failure["code"] == "server-boot-timeout"  # type: ignore[index]
    assert world.slurm.calls["scancel"] == 1
    world.check()


async def test_a_server_that_cannot_be_reached_is_ended_when_its_handshake_clock_runs_out(world: World) -> None:
    world.servers.deaf = True
    world.hub.fleet.handshake_timeout = 60
    await world.start("alice")
    await world.until_gone("alice")
    assert world.entry("alice").failure["code"] == "server-handshake-timeout"  # type: ignore[index]
    world.check()


async def test_hours_in_the_queue_count_against_no_clock(world: World) -> None:
    world.no_room()
    await world.start("alice")
    await world.until("it waits", lambda: stage(world) is Stage.SUBMITTED)
    polls = world.slurm.calls["squeue"]
    world.clock.skip(2 * 86400)
    await world.until("the queue was asked again", lambda: world.slurm.calls["squeue"] > polls + 2)
    assert stage(world) is Stage.SUBMITTED
    world.room()
    await world.until_running("alice")


async def test_a_site_may_limit_the_wait(make_world) -> None:  # type: ignore[no-untyped-def]
    world: World = await make_world(nodes=[SimulatedNode("localhost", down=True)], fleet={"queue_timeout": 600})
    await world.start("alice")
    await world.until("it waits", lambda: stage(world) is Stage.SUBMITTED)
    world.clock.skip(500)
    await world.until_gone("alice")
    assert world.entry("alice").failure["code"] == "server-queue-timeout"  # type: ignore[index]


async def test_stray_jobs_with_our_mark_are_ended_and_other_jobs_left_alone(world: World) -> None:
    script = "#!/bin/bash\n#SBATCH --job-name={}\n#SBATCH --comment={}\n#SBATCH --partition=normal\n"
    ours = script.format("simdeck-01234567-0123456789ab", "simdeck:0123456789abcdef")
    other = script.format("simdeck-89abcdef-0123456789ab", "simdeck:89abcdef01234567")
    world.servers.silent = True
    world.slurm.files[("carol", "x")] = {"server.json": '{"environment": {}}'}
    for text in (ours, other):
        await world.slurm.run(["simdeck-launch", "sbatch", "x", "sim"], user="carol", stdin=text.encode())
    world.hub.fleet.tender.look_soon("sim")
    await world.until("the stray is gone", lambda: len(world.jobs("carol")) == 1)
    assert world.jobs("carol")[0].name == "simdeck-89abcdef-0123456789ab"


@pytest.mark.parametrize("phase", ["queued", "booting", "connecting"])
async def test_a_start_cancelled_in_any_phase_ends_its_job_exactly_once(world: World, phase: str) -> None:
    if phase == "queued":
        world.no_room()
    world.servers.boots.clear() if phase == "booting" else world.servers.boots.set()
    world.servers.deaf = phase == "connecting"
    await world.start("alice")

    async def seen() -> str:
        return str((await server_view(world))["phase"])

    async def reached() -> bool:
        return await seen() == phase

    for _ in range(500):
        if await reached():
            break
        await world.hub.fleet.changed(world.entry("alice").id, 0.02)
    assert await seen() == phase
    assert await world.stop("alice") in (202, 204)
    await world.until_gone("alice")
    assert world.slurm.calls["scancel"] == 1
    assert world.jobs() == []
    assert (await server_view(world))["phase"] == "none"


async def test_a_stop_while_the_scheduler_is_out_is_done_when_it_answers(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    world.slurm.fault("*", "error")
    await world.stop("alice")
    assert stage(world) is Stage.ENDING
    world.slurm.heal()
    await world.until_gone("alice")
    assert world.jobs() == []


async def server_view(world: World, user: str = "alice") -> dict:  # type: ignore[type-arg]
    async with world.hub.client(user) as client:
        answer = await client.get("/simdeck/servers/-")
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]
