"""Crashes at the lines where they hurt: what they leave is adopted or cleaned away, never done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from simdeck_workflows.models import RunRequest, RunState
from toy_oven import WATER, Oven, until

pytestmark = pytest.mark.backend

# What a worker does between two lines when it begins a run, up to where the crash comes: the node's row is written
# (without a state), its state is, its checkpoint is; or much later, when its last state is, and it is not yet sealed.
BEGIN = """
import os, sys
from pathlib import Path
from simdeck_common.layout import UserHome
from simdeck_workflows.engine import profile
home = UserHome(Path(sys.argv[1]), Path(sys.argv[2]))
profile.set_environment(home)
sys.path.insert(0, str(home.apps / "toy/current/workflows"))
profile.load(home)
from aiida import orm
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from toy_workflows import AddWorkChain
written = orm.ProcessNode.set_process_state
def crash_early(node, state):
    if node.is_stored:
        print(node.uuid, flush=True)
        os._exit(9)
    written(node, state)
if sys.argv[4] == "row":
    orm.ProcessNode.set_process_state = crash_early
runner = get_manager().create_runner(communicator=None, with_persistence=sys.argv[4] == "checkpoint")
process = instantiate_process(runner, AddWorkChain, a=orm.Int(1), metadata={"label": sys.argv[3]})
if sys.argv[4] == "end":
    process.node.set_exit_status(0)
    process.node.set_process_state("finished")
print(process.node.uuid, flush=True)
os._exit(9)
"""

LAUNCH = """
import sys
from pathlib import Path
from simdeck_workflows.engine.scheduler import launch, processes_of
job = launch(Path(sys.argv[1]), "job.sh")
print(job, bool(processes_of(job)))
"""


async def _python(oven: Oven, code: str, *arguments: object) -> str:
    argv = [str(oven.toy.BACKEND_PYTHON), "-c", code, *map(str, arguments)]
    return (await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True)).stdout.strip()


async def _begun_and_crashed(oven: Oven, upto: str) -> tuple[str, str]:
    """Have a run accepted while no worker lives, and begun by one that crashes: (run's id, process's UUID)."""
    await oven.backend.reload()
    await until(lambda: oven.worker_pid() is None)
    await oven.backend.stop()
    run = oven.backend.submit(RunRequest(workflow="toy.add", inputs={"a": 1}))
    process = (await _python(oven, BEGIN, oven.home.root, oven.home.runtime, run.id, upto)).splitlines()[-1]
    oven.renew()
    await oven.backend.start()
    return run.id, process


async def test_a_process_begun_but_not_noted_is_adopted(oven: Oven) -> None:
    run, process = await _begun_and_crashed(oven, "checkpoint")
    ended = await oven.end(oven.backend.run(run))
    assert (ended.state, ended.process) == (RunState.FINISHED, process)


@pytest.mark.parametrize("upto", ["row", "state"])
async def test_a_process_stored_but_not_begun_is_replaced(oven: Oven, upto: str) -> None:
    run, process = await _begun_and_crashed(oven, upto)
    ended = await oven.end(oven.backend.run(run))
    assert ended.state is RunState.FINISHED
    assert ended.process != process
    assert "it is put away" in (oven.home.workflows / "worker.log").read_text()


async def test_a_process_that_ended_but_was_not_closed_is_closed(oven: Oven) -> None:
    run, process = await _begun_and_crashed(oven, "end")
    ended = await oven.end(oven.backend.run(run))
    assert (ended.state, ended.process) == (RunState.FINISHED, process)
    assert oven.open_processes() == []


@pytest.mark.parametrize("early", [False, True])
async def test_a_child_submitted_in_a_step_that_is_repeated_runs_once(oven: Oven, early: bool) -> None:
    ledger = oven.ledger.with_name(f"ledger-{early}")
    inputs = {"structure": WATER, "ledger": str(ledger), "early": early}
    run = oven.backend.submit(RunRequest(workflow="toy.blackout", inputs=inputs))
    assert (await oven.end(run)).state is RunState.FINISHED
    assert ledger.with_name(f"{ledger.name}.blackout").exists()
    assert len(ledger.read_text().split()) == 1
    graph = await oven.backend.graph(run.id)
    states = sorted((node["label"], node["state"]) for node in graph["nodes"] if "state" in node)
    assert states == [
        ("BakeCalculation", "finished"),
        ("BakeWorkChain", "finished"),
        ("BakeWorkChain", "killed"),
        ("BlackoutWorkChain", "finished"),
    ]


async def test_a_job_launched_twice_runs_once(oven: Oven, tmp_path: Path) -> None:
    (tmp_path / "job.sh").write_text("echo begun >> ledger; exec sleep 60\n")
    first, second = await asyncio.gather(_python(oven, LAUNCH, tmp_path), _python(oven, LAUNCH, tmp_path))
    assert first == second
    assert first.endswith("True")
    assert (tmp_path / "ledger").read_text() == "begun\n"
    os.kill(int(first.split("-")[0]), signal.SIGKILL)


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Path]:
    """A directory whose job's process id now belongs to a process that started at another time."""
    other = subprocess.Popen(["sleep", "60"])
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    stat = Path(f"/proc/{other.pid}/stat").read_text().split()
    stat[21] = str(int(stat[21]) - 1)
    (tmp_path / ".simdeck-job").write_text(f"{boot} {' '.join(stat)}\n")
    yield tmp_path
    other.kill()
    other.wait()


async def test_a_recycled_process_id_is_not_taken_for_the_job(oven: Oven, stranger: Path) -> None:
    assert (await _python(oven, LAUNCH, stranger)).endswith("False")
