"""One watcher for everybody: flat cost, and "unknown" is never "gone"."""

import asyncio

import pytest
from clusters.watched import SETTINGS, Site
from simdeck_clusters.models import JobState
from simdeck_clusters.request import GpuRequest
from simdeck_clusters.simulated import SimulatedNode


async def test_a_submitted_job_is_seen_running(site):
    name, job = await site.submit()
    await site.clock.advance(5)
    seen = site.watcher.find(name)
    assert (seen.job.id, seen.job.state, seen.job.batch_host, seen.gone) == (job, JobState.RUNNING, "cn1", False)


async def test_a_waiting_job_has_a_position_and_moves_up(site):
    for number in range(2):
        await site.submit(server=f"big{number}", cores=32, track=False)
    _, first = await site.submit(server="first", cores=32, minutes=10, track=False)
    name, _ = await site.submit(server="second", cores=32)
    await site.clock.advance(5)
    assert (site.watcher.find(name).position, site.watcher.find(name).job.reason) == (2, "Priority")
    site.slurm.cancel(first)
    await site.clock.advance(5)
    assert (site.watcher.find(name).position, site.watcher.find(name).job.reason) == (1, "Resources")


async def test_an_ended_job_is_gone_with_how_it_ended(site):
    name, job = await site.submit()
    await site.clock.advance(5)
    site.slurm.finish(job, code=7)
    await site.clock.advance(40)
    seen = site.watcher.find(name)
    assert (seen.gone, seen.end.exit_code, seen.end.state) == (True, 7, JobState.FAILED)


@pytest.mark.parametrize("kind", ["error", "hang", "garbage", "cut", "lost"])
async def test_no_answer_of_any_kind_makes_a_job_gone(site, kind):
    name, _ = await site.submit(minutes=600)
    await site.clock.advance(5)
    site.slurm.fault("*", kind)
    await site.clock.advance(7200)
    seen = site.watcher.find(name)
    assert (seen.gone, seen.job.state) == (False, JobState.RUNNING)
    assert seen.unknown_since is not None
    assert site.watcher.unknown_since == seen.unknown_since


async def test_after_an_outage_everything_is_known_again(site):
    name, _ = await site.submit(minutes=600)
    await site.clock.advance(5)
    known = site.watcher.snapshot.taken
    site.slurm.fault("squeue", "error")
    await site.clock.advance(3600)
    assert site.watcher.unknown_since == pytest.approx(known, abs=31)
    site.slurm.heal()
    await site.clock.advance(80)
    seen = site.watcher.find(name)
    assert (seen.unknown_since, seen.gone, site.watcher.failures) == (None, False, 0)


async def test_a_job_that_ended_during_an_outage_is_told_after_it(site):
    name, job = await site.submit()
    await site.clock.advance(5)
    site.slurm.fault("*", "error")
    await site.clock.advance(60)
    site.slurm.cancel(job)
    await site.clock.advance(120)
    assert not site.watcher.find(name).gone
    site.slurm.heal()
    await site.clock.advance(80)
    assert site.watcher.find(name).end.state is JobState.CANCELLED


async def test_an_empty_answer_alone_makes_nothing_gone(site):
    name, _ = await site.submit(minutes=600)
    await site.clock.advance(5)
    site.slurm.fault("squeue", "empty")
    await site.clock.advance(600)
    assert not site.watcher.find(name).gone


async def test_a_job_nobody_remembers_is_gone_only_after_it_was_missed_twice(site):
    name, job = await site.submit()
    await site.clock.advance(5)
    site.slurm.finish(job)
    site.slurm.forget(job)
    before = site.slurm.calls["squeue"]
    while site.slurm.calls["squeue"] == before:
        await site.clock.advance(1)
    assert not site.watcher.find(name).gone
    await site.clock.advance(40)
    seen = site.watcher.find(name)
    assert (seen.gone, seen.end) == (True, None)


async def test_where_the_controller_forgot_accounting_tells():
    site = Site(accounting=True)
    await site.watcher.start()
    name, job = await site.submit()
    await site.clock.advance(5)
    site.slurm.finish(job, code=3)
    site.slurm.forget(job)
    await site.clock.advance(60)
    seen = site.watcher.find(name)
    await site.watcher.stop()
    assert (seen.gone, seen.end.source, seen.end.exit_code) == (True, "sacct", 3)


async def test_while_accounting_does_not_answer_a_forgotten_job_still_ends():
    site = Site(settings=SETTINGS.model_copy(update={"accounting": "on"}))
    await site.watcher.start()
    name, job = await site.submit()
    await site.clock.advance(5)
    site.slurm.finish(job)
    site.slurm.forget(job)
    await site.clock.advance(100)
    gone = site.watcher.find(name).gone
    await site.watcher.stop()
    assert gone


async def test_a_job_whose_id_was_lost_is_found_by_its_name(site):
    site.slurm.fault("sbatch", "lost", times=1)
    with pytest.raises(Exception, match="did not answer in time"):
        await site.submit()
    await site.clock.advance(5)
    seen = site.watcher.find("simdeck-abcd1234-s1")
    assert seen.job.state is JobState.RUNNING


async def test_a_job_that_never_came_to_be_is_gone_without_an_end(site):
    site.watcher.track("simdeck-abcd1234-never", "alice")
    await site.clock.advance(60)
    seen = site.watcher.find("simdeck-abcd1234-never")
    assert (seen.gone, seen.job, seen.end) == (True, None, None)


async def test_another_users_job_of_the_same_name_is_not_taken_for_ours(site):
    await site.submit(user="mallory", track=False)
    site.watcher.track("simdeck-abcd1234-s1", "alice")
    await site.clock.advance(60)
    assert site.watcher.find("simdeck-abcd1234-s1").job is None


async def test_a_double_start_is_seen(site):
    name, first = await site.submit(track=False)
    await site.clock.advance(1)
    _, second = await site.submit()
    await site.clock.advance(5)
    seen = site.watcher.find(name)
    assert (seen.job.id, [job.id for job in seen.others]) == (second, [first])


async def test_a_requeued_job_is_followed_to_its_new_node(site):
    name, job = await site.submit()
    await site.clock.advance(5)
    site.slurm.node_down("cn1")
    await site.clock.advance(40)
    waiting = site.watcher.find(name)
    assert (waiting.job.state, waiting.gone) == (JobState.PENDING, False)
    await site.clock.advance(200)
    seen = site.watcher.find(name)
    assert (seen.job.id, seen.job.state, seen.job.batch_host) == (job, JobState.RUNNING, "cn2")


async def test_who_waits_is_told_of_a_change(site):
    name, job = await site.submit()
    await site.clock.advance(5)
    now = site.watcher.find(name)
    waiting = asyncio.create_task(site.watcher.wait_for_change(name, now.serial))
    await site.clock.advance(60)
    assert not waiting.done()
    site.slurm.cancel(job)
    await site.clock.advance(60)
    assert (await waiting).gone


async def test_who_waits_no_longer_than_asked_gets_what_is_known(site):
    name, _ = await site.submit()
    await site.clock.advance(5)
    serial = site.watcher.find(name).serial
    waiting = asyncio.create_task(site.watcher.wait_for_change(name, serial, seconds=3))
    await site.clock.advance(4)
    assert (await waiting).serial == serial


async def test_forgetting_a_job_ends_the_wait_for_it(site):
    name, _ = await site.submit()
    await site.clock.advance(5)
    waiting = asyncio.create_task(site.watcher.wait_for_change(name, 10**6))
    await site.clock.advance(1)
    site.watcher.forget(name)
    assert await waiting is None


async def test_the_cost_does_not_grow_with_users():
    site = Site(nodes=4)
    await site.watcher.start()
    for number in range(200):
        await site.submit(user=f"u{number}", server=f"s{number}", cores=4)
    await site.clock.advance(300)
    waiting = sum(site.watcher.find(f"simdeck-abcd1234-s{number}").job.state.waiting for number in range(200))
    rate = site.slurm.rate("squeue", 250)
    others = site.slurm.rate("scontrol", 250)
    await site.watcher.stop()
    assert waiting == 168
    assert rate <= 0.5
    assert others <= 0.1


async def test_a_thousand_jobs_are_followed_by_one_squeue_each_time():
    site = Site(nodes=20)
    await site.watcher.start()
    for number in range(1000):
        await site.submit(user=f"u{number}", server=f"s{number}")
    await site.clock.advance(60)
    before = site.slurm.calls["squeue"]
    await site.clock.advance(60)
    states = {site.watcher.find(f"simdeck-abcd1234-s{number}").job.state for number in range(1000)}
    calls = site.slurm.calls["squeue"] - before
    await site.watcher.stop()
    assert states == {JobState.RUNNING, JobState.PENDING}
    assert 10 <= calls <= 30


async def test_while_nobody_waits_it_asks_seldom(site):
    await site.submit(minutes=6000)
    await site.clock.advance(60)
    before = site.slurm.calls["squeue"]
    await site.clock.advance(600)
    assert site.slurm.calls["squeue"] - before <= 25


async def test_while_agents_are_busy_it_asks_as_often_as_while_somebody_waits():
    busy = [True]
    site = Site(busy=lambda: bool(busy))
    await site.watcher.start()
    await site.clock.advance(60)
    before = site.slurm.calls["squeue"]
    await site.clock.advance(60)
    often = site.slurm.calls["squeue"] - before
    busy.clear()
    await site.clock.advance(60)
    before = site.slurm.calls["squeue"]
    await site.clock.advance(60)
    assert often > 10 > 4 > site.slurm.calls["squeue"] - before
    await site.watcher.stop()


@pytest.mark.parametrize("fault", [None, "error"])
async def test_the_first_to_ask_waits_until_the_limits_are_known_or_the_scheduler_does_not_answer(fault):
    site = Site()
    if fault is not None:
        site.slurm.fault("squeue", fault)
    waiting = asyncio.create_task(site.watcher.first_facts(seconds=60))
    await site.clock.advance(1)
    assert not waiting.done()
    await site.watcher.start()
    await site.clock.advance(1)
    assert waiting.done()
    assert bool(site.watcher.snapshot.partitions) is (fault is None)
    await site.watcher.stop()


async def test_while_the_scheduler_fails_it_asks_ever_less_but_comes_back_within_a_minute(site):
    site.slurm.fault("squeue", "error")
    await site.clock.advance(600)
    before = site.slurm.calls["squeue"]
    await site.clock.advance(600)
    assert 8 <= site.slurm.calls["squeue"] - before <= 12


async def test_many_who_want_news_share_one_answer(site):
    await site.clock.advance(60)
    before = site.slurm.calls["squeue"]
    waiting = [asyncio.create_task(site.watcher.refresh()) for _ in range(50)]
    await site.clock.advance(3)
    assert all(task.done() for task in waiting)
    assert site.slurm.calls["squeue"] - before <= 2


async def test_news_that_do_not_come_are_not_waited_for_longer_than_asked(site):
    site.slurm.fault("squeue", "error")
    await site.clock.advance(10)
    waiting = asyncio.create_task(site.watcher.refresh(seconds=5))
    await site.clock.advance(6)
    assert (await waiting).unknown_since is not None


async def test_it_outlives_a_bug_in_what_it_calls(site, monkeypatch):
    async def broken():
        raise RuntimeError("bug")

    name, _ = await site.submit()
    await site.clock.advance(5)
    with monkeypatch.context() as patch:
        patch.setattr(site.cluster, "queue", broken)
        await site.clock.advance(60)
        assert site.watcher.unknown_since is not None
    await site.clock.advance(80)
    assert site.watcher.unknown_since is None
    assert not site.watcher.find(name).gone


async def test_a_gpu_job_goes_where_the_gpus_are():
    site = Site(nodes=[SimulatedNode("cn1"), SimulatedNode("gn1", gpu_type="a100", gpus=1)])
    await site.watcher.start()
    name, _ = await site.submit(gpus=GpuRequest(type="a100", count=1))
    await site.clock.advance(5)
    seen = site.watcher.find(name)
    await site.watcher.stop()
    assert seen.job.batch_host == "gn1"
