"""Runs on a real Slurm: what a person sees of them."""

from __future__ import annotations

import pytest
from commands import command_app
from simdeck_common.problems import Problem
from simdeck_workflows.models import RunRequest, RunState
from workflows_slurm.cluster_oven import MEMORY_MB, ClusterOven

pytestmark = [pytest.mark.jobs, pytest.mark.timeout(900)]


async def test_a_run_is_a_job_of_the_cluster_with_live_progress(oven: ClusterOven) -> None:
    run = oven.bake(steps=4, pause=0.2)
    await oven.event(run, "progress", step=1)
    assert oven.living(), "progress comes while the job runs"
    ended = await oven.end(run)
    assert ended.state is RunState.FINISHED
    assert ended.summary is not None
    assert ended.summary["energy"]["value"] == -4.0
    (record,) = oven.records()
    assert [job[0] for job in oven.queue(record["name"])] == [record["job"]]


async def test_the_apps_manifest_sets_cores_and_memory_and_the_cluster_the_time(oven: ClusterOven) -> None:
    run = oven.trouble(pause=2.0)
    number = (await oven.job())[0]
    shown = oven.slurm.slurm("scontrol", "--oneliner", "show", "job", number)
    assert "NumCPUs=2" in shown
    assert f"MinMemoryNode={MEMORY_MB}M" in shown
    assert "TimeLimit=00:01:00" in shown
    assert (await oven.end(run)).state is RunState.FINISHED


async def test_a_job_gets_a_small_environment_and_as_many_threads_as_cores(oven: ClusterOven) -> None:
    await oven.end(oven.trouble())
    written = max(oven.folders(), key=lambda path: path.stat().st_mtime) / "job.out"
    assert written.read_text() == "2 0\n"


async def test_the_cluster_is_an_input_with_a_default(oven: ClusterOven) -> None:
    schema = oven.backend.workflow("toy.bake").input_schema["properties"]["cluster"]
    assert (schema["enum"], schema["default"]) == (["oven"], "oven")
    assert (await oven.end(oven.bake(steps=1, cluster="oven"))).state is RunState.FINISHED


async def test_an_unknown_cluster_is_refused_by_field(oven: ClusterOven) -> None:
    with pytest.raises(Problem) as refused:
        oven.backend.submit(RunRequest(workflow="trouble.make", inputs={"cluster": "elsewhere"}))
    assert refused.value.field == "cluster"


async def test_a_cancelled_run_leaves_no_job(oven: ClusterOven) -> None:
    run = oven.trouble(pause=50.0)
    await oven.job()
    await oven.backend.cancel(run.id)
    assert (await oven.end(run)).state is RunState.CANCELLED
    assert oven.living() == []


async def test_a_job_that_slurm_refuses_says_so_in_slurms_words(oven: ClusterOven) -> None:
    oven.break_tool("sbatch", 'exec $REAL --partition=nowhere "$@"')
    ended = await oven.end(oven.trouble())
    oven.mend_tool("sbatch")
    assert ended.state is RunState.FAILED
    assert ended.problem is not None
    assert ended.problem["code"] == "job-refused"
    assert "nvalid partition" in ended.problem["detail"]


async def test_a_described_program_is_a_job_with_the_resources_it_asks_for(oven: ClusterOven) -> None:
    command_app.install(oven.home.apps, oven.toy)
    await oven.backend.reload()
    ledger = str(oven.home.root / "described")
    inputs = {"ledger": ledger, "seconds": 50, "cores_wanted": 2}
    waiting = oven.backend.submit(RunRequest(workflow="described.wait", inputs=inputs))
    shown = oven.slurm.slurm("scontrol", "--oneliner", "show", "job", (await oven.job())[0])
    assert "NumCPUs=2" in shown
    assert "TimeLimit=00:05:00" in shown
    await oven.backend.cancel(waiting.id)
    assert (await oven.end(waiting)).state is RunState.CANCELLED
    assert oven.living() == []
    table = {"name": "t", "content": "1\n2\n6\n"}
    done = await oven.end(oven.backend.submit(RunRequest(workflow="described.mean", inputs={"table": table})))
    assert (done.problem, oven.backend.outputs(done.id)["mean"]) == (None, 3.0)
    inputs = {"table": table, "column": 12}
    failed = await oven.end(oven.backend.submit(RunRequest(workflow="described.mean", inputs=inputs)))
    assert failed.problem is not None
    assert "The table has no such column" in failed.problem["detail"]
