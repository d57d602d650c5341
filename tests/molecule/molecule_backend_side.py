"""Runs the app's work chain in the backend's environment: ``python molecule_backend_side.py SCRATCH SITE APP_PYTHON PYTHONPATH``.

An own AiiDA profile below SCRATCH; the app's wheel lies unpacked in SITE. Answers with one JSON object of all cases.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

scratch, site, app_python, python_path = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
os.environ["AIIDA_PATH"] = str(scratch)
sys.path.insert(0, site)

import psutil
from aiida import load_profile, orm
from aiida.engine import run_get_node
from aiida.manage.configuration import create_profile, get_config
from aiida.plugins import WorkflowFactory
from ase import Atoms
from ase.build import bulk, molecule


def profile() -> orm.Computer:
    config = get_config(create=True)
    create_profile(
        config, name="molecule", email="nobody@localhost", storage_backend="core.sqlite_dos",
        storage_config={"filepath": str(scratch / "store")}, broker_backend=None, broker_config=None,
    )  # fmt: skip
    config.set_option("runner.poll.interval", 1)  # without a broker a work chain looks after its children by polling
    load_profile("molecule", allow_switch=True)
    computer = orm.Computer(
        label="localhost", hostname="localhost", transport_type="core.local", scheduler_type="core.direct",
        workdir=str(scratch / "work"),
    ).store()  # fmt: skip
    computer.set_minimum_job_poll_interval(0.2)
    computer.set_default_mpiprocs_per_machine(1)
    computer.configure(safe_interval=0.0, use_login_shell=False)
    return computer


computer = profile()
OptimizeWorkChain = WorkflowFactory("molecule.optimize")


def code(label: str, executable: str, path: str) -> orm.InstalledCode:
    return orm.InstalledCode(
        label=label, computer=computer, filepath_executable=executable, prepend_text=f"export PYTHONPATH={path}"
    ).store()


APP = code("app", app_python, python_path)
BARE = code("bare", app_python, "")
NOTHING = code("nothing", "/bin/true", "")


def run(atoms: Atoms, with_code: orm.InstalledCode = APP, **inputs: Any) -> dict[str, Any]:
    """One run to its end, as JSON."""
    outputs, node = run_get_node(OptimizeWorkChain, structure=orm.StructureData(ase=atoms), code=with_code, **inputs)
    told = {}
    for name, value in outputs.items():
        if isinstance(value, orm.ArrayData):
            told[name] = {array: list(value.get_array(array).shape) for array in value.get_arraynames()}
        elif isinstance(value, orm.StructureData):
            told[name] = value.get_formula()
        else:
            told[name] = value.get_dict() if isinstance(value, orm.Dict) else value.value
    called = [(child.label, child.exit_status) for child in node.called if isinstance(child, orm.CalcJobNode)]
    reports = [log.message for log in orm.Log.collection.get_logs_for(node)]
    return {
        "exit": node.exit_status, "message": node.exit_message, "outputs": told, "calculations": called,
        "reports": reports, "files": sorted(node.called[-1].outputs.retrieved.list_object_names())
        if isinstance(node.called[-1], orm.CalcJobNode) else [],
    }  # fmt: skip


def refused(atoms: Atoms, **inputs: Any) -> str:
    """What the process spec says."""
    try:
        run_get_node(OptimizeWorkChain, structure=orm.StructureData(ase=atoms), code=APP, **inputs)
    except ValueError as error:
        return str(error)
    return "accepted"


def kill_once(stage: str, field: str, at: int) -> None:
    """Kill the first engine whose progress passes a mark, as a power cut would."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for process in psutil.process_iter(["cmdline"]):
            if "simdeck_molecule.engine" not in (process.info["cmdline"] or []):
                continue
            try:
                folder = Path(process.cwd())
                lines = (folder / "progress.jsonl").read_text().split("\n")[:-1]
                inside = folder.is_relative_to(scratch)
                if inside and any(d.get("stage") == stage and d.get(field, 0) >= at for d in map(json.loads, lines)):
                    process.kill()
                    return
            except (OSError, psutil.Error):
                continue
        time.sleep(0.01)


def killed(atoms: Atoms, stage: str, field: str, at: int) -> dict[str, Any]:
    killer = threading.Thread(target=kill_once, args=(stage, field, at), daemon=True)
    killer.start()
    result = run(atoms)
    killer.join(timeout=1)
    return {**result, "killed": not killer.is_alive()}


water = molecule("H2O")
chain = Atoms("H5000", positions=[[k * 2.0, 0, 0] for k in range(5000)])
answers = {
    "water": run(water),
    "geometry only": run(water, frequencies=False),
    "out of steps": run(water, max_steps=1),
    "no app in the environment": run(water, BARE),
    "always interrupted": run(water, NOTHING),
    "killed vibrations": killed(molecule("biphenyl"), "vibrations", "displacement", 10),
    "refused": {
        "multiplicity": refused(water, multiplicity=2),
        "charge": refused(water, charge=8),
        "limit": refused(water, fmax=7.0),
        "crystal": refused(bulk("Cu")),
        "huge": refused(chain),
        "overlap": refused(Atoms("OHH", positions=[[0, 0, 0], [1, 0, 0], [1, 0.1, 0]])),
        "large with frequencies": refused(chain[:200]),
    },
}
print("ANSWERS" + json.dumps(answers))
