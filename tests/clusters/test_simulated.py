"""The simulated cluster behaves as one does, and fails as it is told to."""

import asyncio

import pytest
from simdeck_clusters.cluster import Cluster
from simdeck_clusters.models import JobState
from simdeck_clusters.request import GpuRequest, ResourceRequest
from simdeck_clusters.settings import ClusterSettings, Environment
from simdeck_clusters.simulated import SimulatedNode, SimulatedSlurm
from simdeck_clusters.slurm.script import JobSpec, job_script
from simdeck_common.problems import Problem


def make(**slurm):
    made = SimulatedSlurm(**slurm)
    return made, Cluster(ClusterSettings(name="hpc", command_timeout=10), made)


async def submit(cluster, user="alice", server="s1", requeue=True, **changes):
    request = ResourceRequest(
        **{"cluster": "hpc", "partition": "normal", "environment": "default", "memory_mb": 100, **changes}
    )
    spec = JobSpec(f"simdeck-abcd1234-{server}", server, "abcd1234", ("/bin/server",), requeue=requeue)
    return await cluster.submit(user, server, job_script(request, spec, Environment(name="default")))


async def test_jobs_run_end_at_their_time_and_make_room():
    slurm, cluster = make(nodes=1)
    first = await submit(cluster, cores=32, walltime_minutes=10)
    second = await submit(cluster, server="s2", cores=32)
    assert (slurm.job(first).state, slurm.job(second).reason) == (JobState.RUNNING, "Resources")
    await slurm.clock.advance(601)
    assert (slurm.job(first).state, slurm.job(second).state) == (JobState.TIMEOUT, JobState.RUNNING)


async def test_it_tells_when_jobs_begin_and_end_to_run():
    slurm, cluster = make(nodes=1)
    heard = []
    slurm.machine.on_start = lambda job: heard.append(("start", job.id, job.node))
    slurm.machine.on_end = lambda job: heard.append(("end", job.id, job.state))
    job = await submit(cluster)
    await cluster.cancel("alice", job)
    assert heard == [("start", job, "cn1"), ("end", job, JobState.CANCELLED)]


async def test_nobody_ends_anothers_job():
    slurm, cluster = make()
    job = await submit(cluster)
    with pytest.raises(Problem):
        await cluster.cancel("mallory", job)
    assert slurm.job(job).state is JobState.RUNNING


async def test_a_job_on_a_failed_node_starts_again_or_ends():
    slurm, cluster = make(nodes=1)
    again, once = await submit(cluster), await submit(cluster, server="s2", requeue=False)
    slurm.node_down("cn1")
    assert (slurm.job(again).state, slurm.job(once).state) == (JobState.PENDING, JobState.NODE_FAIL)
    slurm.node_up("cn1")
    await slurm.clock.advance(121)
    assert (slurm.job(again).state, slurm.job(again).restarts) == (JobState.RUNNING, 1)


async def test_preemption_puts_a_job_back_or_ends_it():
    slurm, cluster = make(nodes=1)
    again, once = await submit(cluster), await submit(cluster, server="s2", requeue=False)
    slurm.preempt(again)
    slurm.preempt(once)
    assert (slurm.job(again).state, slurm.job(once).state) == (JobState.PENDING, JobState.PREEMPTED)


async def test_a_held_job_waits_until_it_is_let_go():
    slurm, cluster = make(nodes=1)
    await submit(cluster, cores=32, walltime_minutes=10)
    job = await submit(cluster, server="s2", cores=32)
    slurm.hold(job)
    await slurm.clock.advance(700)
    assert (slurm.job(job).state, slurm.job(job).reason) == (JobState.PENDING, "JobHeldAdmin")
    slurm.hold(job, "")
    assert slurm.job(job).state is JobState.RUNNING


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"partition": "nope"}, "Invalid partition"), ({"cores": 64}, "not available"),
        ({"walltime_minutes": 100}, "time limit"), ({"gpus": GpuRequest(type="h100", count=1)}, "not available"),
        ({"account": "other"}, "Invalid account"),
    ],
)  # fmt: skip
async def test_it_refuses_what_slurm_refuses(changes, said):
    nodes = [SimulatedNode("cn1", gpu_type="a100", gpus=2)]
    _, cluster = make(nodes=nodes, accounting=True, accounts={"alice": ["chem"]}, max_minutes={"normal": 60})
    with pytest.raises(Problem, match=said):
        await submit(cluster, **{"walltime_minutes": 10, **changes})


async def test_accounts_are_those_it_was_given():
    _, cluster = make(accounting=True, accounts={"alice": ["chem", "phys"]})
    assert [(one.account, one.default) for one in await cluster.associations()] == [("chem", True), ("phys", False)]


async def test_the_controller_forgets_and_accounting_does_not():
    slurm, cluster = make(accounting=True)
    job = await submit(cluster)
    slurm.finish(job, code=5)
    await slurm.clock.advance(301)
    assert await cluster.job(job) is None
    assert (await cluster.history(job)).exit_code == 5


async def test_a_fault_lasts_as_often_as_asked():
    slurm, cluster = make()
    slurm.fault("squeue", "error", times=2)
    for _ in range(2):
        with pytest.raises(Problem):
            await cluster.queue()
    assert await cluster.queue() == []


async def test_a_slow_answer_comes_and_a_too_slow_one_does_not():
    slurm, cluster = make()
    for seconds, comes in ((5, True), (50, False)):
        slurm.fault("squeue", "slow", seconds=seconds)
        asked = asyncio.create_task(cluster.queue())
        await slurm.clock.advance(11)
        assert (asked.exception() is None) is comes


async def test_a_kind_of_fault_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="kinds of faults"):
        SimulatedSlurm().fault("squeue", "gremlins")


async def test_waits_on_its_clock_end_in_the_order_of_their_time():
    slurm = SimulatedSlurm()
    heard = []

    async def wait(seconds):
        await slurm.clock.wait(asyncio.Event(), seconds)
        heard.append((seconds, slurm.clock.time()))

    begin = slurm.clock.time()
    tasks = [asyncio.create_task(wait(seconds)) for seconds in (30, 10, 20)]
    await slurm.clock.advance(25)
    assert heard == [(10, begin + 10), (20, begin + 20)]
    await slurm.clock.advance(10)
    await asyncio.gather(*tasks)
