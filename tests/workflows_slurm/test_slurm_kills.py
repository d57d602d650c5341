"""Workers killed around a submission, and schedulers that fall silent: no job twice, none lost."""

from __future__ import annotations

import pytest
from simdeck_workflows.models import Run, RunState
from toy_oven import until
from workflows_slurm.cluster_oven import ClusterOven

pytestmark = [pytest.mark.jobs, pytest.mark.timeout(900)]

# Each is what happens the first time sbatch is called; from then on the real one is in its place.
FIRST_SBATCH = {
    "before the controller has heard of the job": "kill -9 $PPID; sleep 1; exit 1",
    "after the controller took the job": '"$REAL" "$@" >/dev/null; kill -9 $PPID; sleep 1; exit 1',
    "while sbatch still waits": '(trap "" HUP; sleep 2; "$REAL" "$@") >/dev/null 2>&1 & sleep 0.2; kill -9 $PPID; sleep 1',
}
SILENT = "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1"


def mended(script: str) -> str:
    """A script for the first call only."""
    return f'ln -sf "$REAL" "$TOOLS/.again" && mv "$TOOLS/.again" "$TOOLS/sbatch"\n{script}'


async def computed_once(oven: ClusterOven, run: Run, before: int) -> None:
    ended = await oven.end(run)
    assert ended.state is RunState.FINISHED
    assert len(oven.computed()) == before + 1


@pytest.mark.parametrize("moment", FIRST_SBATCH)
async def test_a_worker_killed_at_submission_leaves_one_job(oven: ClusterOven, moment: str) -> None:
    before = len(oven.computed())
    names = {record["name"] for record in oven.records()}
    oven.break_tool("sbatch", mended(FIRST_SBATCH[moment]))
    run = oven.bake(steps=3, pause=1.0)
    await computed_once(oven, run, before)
    (name,) = {record["name"] for record in oven.records()} - names
    await until(lambda: not oven.living())
    # What a late sbatch sent behind our back must at least not have computed.
    done = [job for job in oven.queue(name) if job[2] == "COMPLETED"]
    assert done


async def test_a_worker_killed_while_the_job_runs_finds_it_again(oven: ClusterOven) -> None:
    before = len(oven.computed())
    run = oven.bake(steps=6, pause=0.5)
    await oven.event(run, "progress", step=2)
    await oven.kill_worker()
    await computed_once(oven, run, before)
    steps = [event.data["step"] async for event in oven.backend.events(run.id) if event.type == "progress"]
    assert steps == [1, 2, 3, 4, 5, 6]


async def test_a_job_submitted_twice_computes_once(oven: ClusterOven) -> None:
    before = len(oven.computed())
    oven.break_tool("sbatch", mended('"$REAL" "$@" >/dev/null; exec "$REAL" "$@"'))
    await computed_once(oven, oven.bake(steps=4, pause=0.5), before)
    await until(lambda: not oven.living())


async def test_a_silent_scheduler_ends_no_run(oven: ClusterOven) -> None:
    before = len(oven.computed())
    run = oven.bake(steps=20, pause=0.5)
    await oven.event(run, "progress", step=1)
    oven.break_tool("squeue", f"touch $TOOLS/asked; {SILENT}")
    await until(lambda: (oven.tools / "asked").exists())
    await oven.kill_worker()
    (oven.tools / "asked").unlink()
    await until(lambda: (oven.tools / "asked").exists())
    await oven.event(run, "progress", step=20)
    assert oven.backend.run(run.id).state is RunState.RUNNING
    oven.mend_tool("squeue")
    await computed_once(oven, run, before)


async def test_a_submission_waits_for_a_controller_that_is_down(oven: ClusterOven) -> None:
    before = len(oven.computed())
    oven.break_tool("sbatch", f"touch $TOOLS/tried; {SILENT}")
    run = oven.bake(steps=1)
    await until(lambda: (oven.tools / "tried").exists())
    assert oven.backend.run(run.id).state is RunState.RUNNING
    oven.mend_tool("sbatch")
    await computed_once(oven, run, before)


async def test_a_run_is_cancelled_only_when_the_cluster_has_heard_it(oven: ClusterOven) -> None:
    run = oven.trouble(pause=55.0)
    job = await oven.job()
    oven.break_tool("scancel", f"touch $TOOLS/cancelled; {SILENT}")
    oven.break_tool("squeue", SILENT)
    await oven.backend.cancel(run.id)
    await until(lambda: (oven.tools / "cancelled").exists())
    assert job[0] in [living[0] for living in oven.living()]
    assert not oven.backend.run(run.id).state.ended
    oven.mend_tool("scancel")
    oven.mend_tool("squeue")
    assert (await oven.end(run)).state is RunState.CANCELLED
    assert oven.living() == []


async def test_an_outage_longer_than_the_engines_patience_ends_no_run(oven: ClusterOven) -> None:
    before = len(oven.computed())
    tries = oven.tools / "tries"
    oven.break_tool("sbatch", f"echo x >>$TOOLS/tries; {SILENT}")
    run = oven.bake(steps=1)
    # The engine gives up after five tries, some of which are refused before sbatch is called, and pauses the process.
    await until(lambda: tries.exists() and len(tries.read_text().split()) >= 5)
    assert oven.backend.run(run.id).state is RunState.RUNNING
    oven.mend_tool("sbatch")
    await computed_once(oven, run, before)
