"""Runs on a real Slurm: what a person sees of them."""

from __future__ import annotations

import pytest
from simdeck_workflows.models import RunState
from workflows_slurm.cluster_oven import ClusterOven

pytestmark = [pytest.mark.backend, pytest.mark.slurm, pytest.mark.timeout(300)]


async def test_a_run_is_a_job_of_the_cluster_with_live_progress(oven: ClusterOven) -> None:
    run = oven.bake(steps=4, pause=0.2)
    await oven.event(run, "progress", step=1)
    assert oven.living_jobs(), "progress comes while the job runs"
    ended = await oven.end(run)
    assert ended.state is RunState.FINISHED
    assert ended.summary is not None
    assert ended.summary["energy"]["value"] == -4.0
    (record,) = oven.records()
    assert [job[0] for job in oven.jobs(record["name"])] == [record["job"]]
