"""The Quantum ESPRESSO app starts the code that the site offers: by modules, and inside a container."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from simdeck_common.layout import user_home
from simdeck_workflows.codes import RunCode
from simdeck_workflows.models import Run, RunRequest, RunState

sys.path.append(str(Path(__file__).parents[1] / "workflows" / "fixtures"))
import toy_app
from toy_oven import Oven

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "apps" / "quantum-espresso" / "simdeck_quantum_espresso"
POINTS = "[aiida.workflows]\nquantum_espresso.bands = simdeck_quantum_espresso.workflows:PropertiesWorkChain\n"
PSEUDOPOTENTIALS = Path("/usr/share/espresso/pseudo")

pytestmark = [pytest.mark.backend, pytest.mark.timeout(900)]


def lacking() -> str | None:
    """In a line why these tests cannot run here, or None."""
    if not toy_app.BACKEND_PYTHON.exists():
        return "the workflow backend's environment is missing: make up makes it"
    if shutil.which("pw.x") is None or not PSEUDOPOTENTIALS.is_dir():
        return "`apt-get install quantum-espresso quantum-espresso-data` adds these tests"
    return None


def has_containers() -> bool:
    """Whether bubblewrap runs here."""
    argv = [shutil.which("bwrap") or "/bin/false", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def install(apps: Path) -> None:
    """Leave the app as the store would, with the backend's Python for its engine."""
    folder = apps / "quantum-espresso" / "versions" / "1.0.0"
    workflows, info = folder / "workflows", folder / "workflows" / "simdeck_app_quantum_espresso-1.0.0.dist-info"
    info.mkdir(parents=True)
    shutil.copytree(APP, workflows / APP.name, ignore=shutil.ignore_patterns("__pycache__"))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: simdeck-app-quantum-espresso\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    python = folder / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{workflows}" exec "{toy_app.BACKEND_PYTHON}" "$@"\n')
    python.chmod(0o755)
    (folder / "app.json").write_text(json.dumps({"id": "quantum-espresso", "version": "1.0.0"}))
    (folder / "workflows.json").write_bytes(toy_app.describe(workflows))
    (apps / "quantum-espresso" / "current").symlink_to("versions/1.0.0")


@pytest.fixture(scope="module")
async def oven() -> AsyncIterator[Oven]:
    if reason := lacking():
        pytest.skip(reason)
    # Where a container keeps its working directory too: it gets a /tmp of its own.
    with tempfile.TemporaryDirectory(prefix="sdqe-", dir="/var/tmp") as folder:
        home = user_home(Path(folder), "alice")
        install(home.apps)
        found = Oven(home, toy_app)
        await found.backend.start()
        yield found
        await found.backend.stop()
        found.clear()
        shutil.rmtree(home.runtime, ignore_errors=True)


async def field_of_silicon(oven: Oven, lattice: float) -> Run:
    """Run a quick field to its end."""
    atoms = bulk("Si", a=lattice)
    structure = {
        "symbols": atoms.get_chemical_symbols(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell.tolist(),
        "pbc": [True] * 3,
    }
    quick = {"protocol": "fast", "functional": "LDA", "bands": False, "dos": False, "cores": 1, "walltime": 5}
    request = RunRequest(workflow="quantum_espresso.bands", inputs={"structure": structure, **quick})
    return await oven.end(oven.backend.submit(request), 240.0)


def scripts(oven: Oven) -> list[str]:
    """The scripts of the calculations so far, oldest first."""
    found = (oven.home.workflows / "scratch").glob("*/*/*/_aiidasubmit.sh")
    return [path.read_text() for path in sorted(found, key=lambda path: path.stat().st_mtime)]


async def offer(oven: Oven, **described: Any) -> None:
    """Another agent, that knows this code."""
    code = RunCode.model_validate({"label": "pw", "title": "Quantum ESPRESSO", **described})
    await oven.change_agent(codes=(code,))


@pytest.fixture
def module_init(tmp_path: Path) -> Path:
    """A `module` command with one module, whose pw.x writes down that it was called."""
    program = tmp_path / "qe" / "pw.x"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$QE_SAYS" >>"{tmp_path}/called"\nexec "{shutil.which("pw.x")}" "$@"\n')
    program.chmod(0o755)
    path = tmp_path / "module-init.sh"
    path.write_text(f'module() {{ [ "$2" = qe/7.3 ] && export PATH="{program.parent}:$PATH"; }}\n')
    return path


async def test_modules_and_own_lines_of_the_code_bring_its_program(oven: Oven, module_init: Path) -> None:
    lines = ["export QE_SAYS='loaded'"]
    await offer(oven, executable="pw.x", modules=["qe/7.3"], module_init=str(module_init), prepend=lines)
    run = await field_of_silicon(oven, 5.40)
    assert run.state is RunState.FINISHED, run.problem
    assert (module_init.parent / "called").read_text() == "loaded\n"


async def test_a_module_that_is_not_there_is_named_at_once(oven: Oven, module_init: Path) -> None:
    await offer(oven, executable="pw.x", modules=["qe/9"], module_init=str(module_init))
    before = len(scripts(oven))
    run = await field_of_silicon(oven, 5.41)
    assert run.state is RunState.FAILED
    assert run.problem is not None
    assert "The environment module qe/9 cannot be loaded" in run.problem["detail"]
    assert len(scripts(oven)) == before + 1


async def test_a_code_in_a_container_runs_inside_it(oven: Oven) -> None:
    if not has_containers():
        pytest.skip("bwrap does not run here: `apt-get install bubblewrap` adds this test")
    container = {"runtime": "bwrap", "image": "/"}
    await offer(oven, executable=shutil.which("pw.x"), container=container)
    run = await field_of_silicon(oven, 5.42)
    assert run.state is RunState.FINISHED, run.problem
    assert "bwrap --ro-bind / /" in scripts(oven)[-1]
