"""Runs the app's work chain in the backend's environment: ``python qe_backend_side.py SCRATCH PATH PYTHON CASES.json``.

An own AiiDA profile below SCRATCH; the app is on PATH (folders joined by colons). CASES is ``{name: {"structure": {symbols,
positions, cell}, "inputs": {…}, "kill": stage to be killed once?}}``. Answers with one JSON object by name.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

scratch, path, python, cases_file = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
os.environ["AIIDA_PATH"] = str(scratch)
sys.path[:0] = path.split(":")

import psutil
from aiida import load_profile, orm
from aiida.engine import run_get_node
from aiida.manage.configuration import create_profile, get_config
from ase import Atoms
from simdeck_quantum_espresso.workflows import PropertiesWorkChain
from simdeck_workflows.engine.citations import citations
from simdeck_workflows.engine.values import to_json


def profile() -> orm.Computer:
    config = get_config(create=True)
    create_profile(
        config, name="qe", email="nobody@localhost", storage_backend="core.sqlite_dos",
        storage_config={"filepath": str(scratch / "store")}, broker_backend=None, broker_config=None,
    )  # fmt: skip
    config.set_option("runner.poll.interval", 1)  # without a broker a work chain looks after its children by polling
    load_profile("qe", allow_switch=True)
    computer = orm.Computer(
        label="localhost", hostname="localhost", transport_type="core.local", scheduler_type="core.direct",
        workdir=str(scratch / "work"),
    ).store()  # fmt: skip
    computer.set_minimum_job_poll_interval(0.2)
    computer.set_default_mpiprocs_per_machine(1)
    computer.configure(safe_interval=0.0, use_login_shell=False)
    return computer


computer = profile()
code = orm.InstalledCode(
    label="app", computer=computer, filepath_executable=python, prepend_text=f"export PYTHONPATH={path}"
).store()


def run(case: dict[str, Any]) -> dict[str, Any]:
    """One run to its end, as JSON."""
    given = case["structure"]
    atoms = Atoms(given["symbols"], positions=given["positions"], cell=given["cell"], pbc=given.get("pbc", True))
    for name, value in case.get("environment", {}).items():
        os.environ[name] = value
    try:
        outputs, node = run_get_node(
            PropertiesWorkChain, structure=orm.StructureData(ase=atoms), code=code, **case["inputs"]
        )
    except ValueError as error:
        return {"refused": str(error)}
    finally:
        for name in case.get("environment", {}):
            os.environ.pop(name)
    jobs = [job for job in node.called_descendants if isinstance(job, orm.CalcJobNode)]
    jobs.sort(key=lambda job: job.pk)
    return {
        "exit": node.exit_status, "message": node.exit_message, "outputs": to_json(dict(outputs)),
        "citations": citations(node, scratch), "calculations": [(job.label, job.exit_status) for job in jobs],
        "reports": [log.message for log in orm.Log.collection.get_logs_for(node)],
        "progress": [line for job in jobs for line in progress_of(job)],
    }  # fmt: skip


def progress_of(job: orm.CalcJobNode) -> list[dict[str, Any]]:
    """What the engine told; the working directory is emptied at the end of a run, so only of failed ones."""
    file = Path(job.get_remote_workdir() or "/nowhere") / "progress.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def kill_once(stage: str) -> None:
    """Kill the first engine of a stage that has begun to iterate, as a power cut would."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if "simdeck_quantum_espresso.engine" not in words or stage not in words:
                continue
            try:
                folder = Path(process.cwd())
                if folder.is_relative_to(scratch) and '"step"' in (folder / "progress.jsonl").read_text():
                    process.kill()
                    return
            except (OSError, psutil.Error):
                continue
        time.sleep(0.01)


def main() -> None:
    """All cases, one after the other."""
    answers = {}
    for name, case in json.loads(Path(cases_file).read_text()).items():
        began = time.monotonic()
        if case.get("kill"):
            threading.Thread(target=kill_once, args=(case["kill"],), daemon=True).start()
        answers[name] = run(case)
        answers[name]["seconds"] = time.monotonic() - began
    print("ANSWERS" + json.dumps(answers))


main()
