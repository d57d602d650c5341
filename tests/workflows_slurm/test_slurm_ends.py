"""A job that the cluster ended says why, in plain words on the run."""

from __future__ import annotations

import contextlib
import subprocess

import pytest
from simdeck_workflows.models import Run, RunState
from workflows_slurm.cluster_oven import ClusterOven

pytestmark = [pytest.mark.jobs, pytest.mark.timeout(900)]


def failed(run: Run, code: str) -> str:
    assert run.state is RunState.FAILED
    assert run.problem is not None
    assert run.problem["code"] == code, run.problem
    return str(run.problem["detail"])


async def test_too_little_memory_names_the_limit(oven: ClusterOven) -> None:
    run = await oven.end(oven.trouble(memory=700, pause=30.0))
    assert "(300 MiB" in failed(run, "job-out-of-memory")


async def test_a_job_cancelled_from_outside_says_so(oven: ClusterOven) -> None:
    run = oven.trouble(pause=50.0)
    oven.slurm.slurm("scancel", (await oven.job())[0])
    failed(await oven.end(run), "job-cancelled")


async def test_a_node_that_fails_is_named(oven: ClusterOven) -> None:
    run = oven.trouble(pause=50.0)
    _number, _name, _state, node = await oven.job()
    oven.slurm.slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        detail = failed(await oven.end(run), "job-node-failed")
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):  # it may have come back by itself
            oven.slurm.slurm("scontrol", "update", f"nodename={node}", "state=resume")
        oven.slurm.wait_idle()
    assert node in detail


async def test_the_time_limit_is_named(oven: ClusterOven) -> None:
    run = await oven.end(oven.trouble(pause=200.0), patience=200.0)
    assert "(1 min)" in failed(run, "job-time-limit")
