"""The app on a real Slurm: its calculations are jobs, through the code of its version on that cluster, with MPI inside the job."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest
from ase.build import bulk
from conftest import APP, ROOT, lacking
from simdeck_common.layout import user_home

sys.path.insert(0, str(Path(__file__).parents[1] / "workflows" / "fixtures"))

from simdeck_workflows.codes import RunCode
from simdeck_workflows.models import RunRequest, RunState
from toy_fixtures import toy_fixture
from workflows_slurm.cluster_oven import ClusterOven
from workflows_slurm.conftest import shared, slurm

__all__ = ["shared", "slurm", "toy_fixture"]

pytestmark = [pytest.mark.jobs, pytest.mark.timeout(900)]

ENTRY_POINTS = "[aiida.workflows]\nquantum_espresso.bands = simdeck_quantum_espresso.workflows:PropertiesWorkChain\n"


def install(toy: ModuleType, apps: Path) -> None:
    """Leave the app as the store would, with the backend's Python for its engine, which needs nothing but Python."""
    folder = apps / "quantum-espresso" / "versions" / "1.0.0"
    workflows, info = folder / "workflows", folder / "workflows" / "simdeck_app_quantum_espresso-1.0.0.dist-info"
    info.mkdir(parents=True)
    shutil.copytree(APP / "simdeck_quantum_espresso", workflows / "simdeck_quantum_espresso")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: simdeck-app-quantum-espresso\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    python = folder / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    path = f"{workflows}:{ROOT / 'workflows'}:{ROOT / 'common'}"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{path}" exec "{toy.BACKEND_PYTHON}" "$@"\n')
    python.chmod(0o755)
    record = {"id": "quantum-espresso", "version": "1.0.0", "resources": {"cores": 1, "memory": "500 MiB"}}
    (folder / "app.json").write_text(json.dumps(record))
    (folder / "workflows.json").write_bytes(toy.describe(workflows))
    (apps / "quantum-espresso" / "current").symlink_to("versions/1.0.0")


@pytest.fixture(scope="module")
async def oven(shared: Path, slurm: object, toy: ModuleType) -> AsyncIterator[ClusterOven]:
    if reason := lacking():
        pytest.skip(reason)
    home = user_home(shared / "data", "alice")
    install(toy, home.apps)
    found = ClusterOven(home, toy, slurm, shared / "tools")
    await found.backend.start()
    yield found
    await found.backend.stop()
    found.clear()
    shutil.rmtree(home.runtime, ignore_errors=True)


async def test_silicon_is_a_job_on_two_cores_with_live_convergence(oven: ClusterOven) -> None:
    silicon = bulk("Si", a=5.43)
    inputs = {
        "structure": {
            "symbols": silicon.get_chemical_symbols(), "positions": silicon.positions.tolist(),
            "cell": silicon.cell.tolist(), "pbc": [True] * 3,
        },
        "protocol": "fast", "functional": "LDA", "bands": False, "dos": False, "cores": 2, "walltime": 5,
    }  # fmt: skip
    run = oven.backend.submit(RunRequest(workflow="quantum_espresso.bands", inputs=inputs))
    await oven.event(run, "progress", step=1)
    ended = await oven.end(run, 240.0)
    assert ended.state is RunState.FINISHED, ended.problem
    (job,) = oven.queue()
    assert "NumCPUs=2" in oven.slurm.slurm("scontrol", "--oneliner", "show", "job", job[0])
    (folder,) = oven.folders()
    assert "running on     2 processors" in (folder / "aiida.out").read_text()


async def test_a_node_without_the_program_fails_with_what_to_install(oven: ClusterOven) -> None:
    engine = oven.home.apps / "quantum-espresso" / "versions" / "1.0.0" / "env" / "bin" / "python"
    whole = engine.read_text()
    # As on a node that has no Quantum ESPRESSO: the engine finds no program.
    engine.write_text(whole.replace("PYTHONPATH=", "PATH=/nowhere PYTHONPATH="))
    other = bulk("Si", a=5.40)
    structure = {
        "symbols": other.get_chemical_symbols(),
        "positions": other.positions.tolist(),
        "cell": other.cell.tolist(),
    }
    inputs = {"structure": structure, "protocol": "fast", "functional": "LDA", "bands": False, "dos": False}
    try:
        ended = await oven.end(oven.backend.submit(RunRequest(workflow="quantum_espresso.bands", inputs=inputs)), 240.0)
    finally:
        engine.write_text(whole)
    assert ended.state is RunState.FAILED
    assert ended.problem is not None
    assert "pw.x is not installed on" in ended.problem["detail"]


async def test_the_sites_code_brings_modules_and_the_words_for_several_cores_into_the_job(
    oven: ClusterOven, shared: Path
) -> None:
    program = shared / "qe" / "pw.x"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$OWN_LINE" >>"{shared}/called"\nexec "{shutil.which("pw.x")}" "$@"\n')
    program.chmod(0o755)
    init = shared / "module-init.sh"
    init.write_text(f'module() {{ [ "$2" = qe/7.3 ] && export PATH="{program.parent}:$PATH"; }}\n')
    code = RunCode(
        label="pw", cluster=oven.cluster.name, executable="pw.x", modules=("qe/7.3",), module_init=str(init),
        prepend=("export OWN_LINE='by the site'",), mpi=("mpirun", "--oversubscribe", "-np", "{cores}"),
    )  # fmt: skip
    await oven.change_agent(codes=(code,))
    silicon = bulk("Si", a=5.44)
    structure = {
        "symbols": silicon.get_chemical_symbols(), "positions": silicon.positions.tolist(), "cell": silicon.cell.tolist(),
    }  # fmt: skip
    inputs = {"structure": structure, "protocol": "fast", "functional": "LDA", "bands": False, "dos": False, "cores": 2}
    ended = await oven.end(oven.backend.submit(RunRequest(workflow="quantum_espresso.bands", inputs=inputs)), 240.0)
    assert ended.state is RunState.FINISHED, (ended.problem or {}).get("detail")
    # Once for each of the processes that mpirun started.
    assert (shared / "called").read_text() == "by the site\n" * 2
