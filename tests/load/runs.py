"""Runs: processes an hour through the service against AiiDA's own daemon, idle memory a user, the list of very many runs.

Service and daemon take turns on storage of the same kind (SQLite with a write-ahead log, ZeroMQ) with the same empty work
chain and one worker each. Of both the clock runs from the first submission until the last end is known to the caller,
after one run to warm up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "workflows" / "fixtures"))

import toy_app
from simdeck_common.layout import user_home
from simdeck_workflows.models import RunRequest, RunState
from simdeck_workflows.store import Store, new_run
from toy_oven import Oven

PROCESSES = int(os.environ.get("SIMDECK_BENCH_PROCESSES", "200"))
MANY, FEW = 100_000, 100
LOOKS = 40
_DAEMON = """
import sys, time
from aiida import load_profile, orm
load_profile()
from aiida.engine import submit
from aiida.plugins import WorkflowFactory
add = WorkflowFactory("toy.add")

def drain(count):
    nodes = [submit(add, a=orm.Int(number)) for number in range(count)]
    for node in nodes:
        while not node.is_terminated:
            time.sleep(0.05)
    assert all(node.is_finished_ok for node in nodes)

drain(1)
begun = time.perf_counter()
drain(int(sys.argv[1]))
print("seconds", time.perf_counter() - begun)
"""


def measure() -> list[dict[str, Any]]:
    """One after the other; nothing of the one lives while the other is measured."""
    with tempfile.TemporaryDirectory(prefix="sdbr-") as folder:
        ours, our_memory = asyncio.run(_service(Path(folder)))
        theirs, their_memory = _daemon(Path(folder))
        few, many = _listing(Path(folder) / "few", FEW), _listing(Path(folder) / "many", MANY)
    return [
        {
            "what": f"{PROCESSES} empty work chains: processes an hour",
            "ours": f"{PROCESSES / ours * 3600:.0f}",
            "reference": f"AiiDA's daemon with one worker, {PROCESSES / theirs * 3600:.0f}",
            "ratio": round(theirs / ours, 3),
            "budget": "≥ 0.95",
        },
        {
            "what": "memory of an idle user's engine (PSS)",
            "ours": f"{our_memory:.0f} MB",
            "reference": f"AiiDA's daemon (circus, broker, worker), {their_memory:.0f} MB",
            "ratio": round(our_memory / their_memory, 3),
            "budget": "≤ 60 MB",
        },
        {
            "what": f"first page of {MANY} runs (p50)",
            "ours": f"{many * 1000:.1f} ms",
            "reference": f"of {FEW} runs, {few * 1000:.1f} ms",
            "ratio": round(many / few, 3),
            "budget": "flat",
        },
    ]


async def _service(folder: Path) -> tuple[float, float]:
    """Seconds for the runs from first submission to last end, as a caller sees it; megabytes of the idle worker."""
    home = user_home(folder, "bench")
    toy_app.install(home.apps)
    oven = Oven(home, toy_app)
    await oven.backend.start()
    try:

        async def drain(count: int) -> None:
            requests = [RunRequest(workflow="toy.add", inputs={"a": number}) for number in range(count)]
            runs = [await asyncio.to_thread(oven.backend.submit, request) for request in requests]
            for run in runs:
                ended = await oven.end(run, patience=600)
                assert ended.state is RunState.FINISHED

        await drain(1)
        pid = oven.worker_pid()
        assert pid is not None
        memory = _pss(pid)
        begun = time.perf_counter()
        await drain(PROCESSES)
        return time.perf_counter() - begun, memory
    finally:
        await oven.backend.stop()
        await oven.kill_worker()
        oven.clear()


def _daemon(folder: Path) -> tuple[float, float]:
    """The same by ``verdi daemon`` on a profile of its own."""
    home = folder / "stock"
    home.mkdir()
    programs = toy_app.BACKEND_PYTHON.parent
    workflows = next((folder / "users" / "bench" / "apps" / "toy" / "versions").glob("*/workflows"))
    environment = {
        **os.environ,
        "AIIDA_PATH": str(home),
        "PYTHONPATH": str(workflows),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }

    def verdi(*words: str) -> str:
        return subprocess.run(
            [programs / "verdi", *words], env=environment, check=True, capture_output=True, text=True
        ).stdout

    verdi("presto", "-n", "--use-zeromq")
    verdi("config", "set", "daemon.worker_process_slots", "100000")
    for database in (home / ".aiida" / "repository").glob("*/database.sqlite"):
        with contextlib.closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    verdi("daemon", "start", "1")
    try:
        script = subprocess.run(
            [programs / "python", "-c", _DAEMON, "0"], env=environment, check=True, capture_output=True, text=True
        )
        memory = sum(map(_pss, _family(home)))
        script = subprocess.run(
            [programs / "python", "-c", _DAEMON, str(PROCESSES)],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return float(script.stdout.split()[-1]), memory
    finally:
        family = _family(home)
        with contextlib.suppress(subprocess.CalledProcessError):
            verdi("daemon", "stop")
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _family(home: Path) -> list[int]:
    """AiiDA's daemon in ``home`` with its children: circus, broker, worker."""
    found = [int(path.read_text()) for path in home.rglob("circus-*.pid")]
    for pid in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _pss(pid: int) -> float:
    """Megabytes of a process, shared pages divided among those that share them."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _listing(folder: Path, count: int) -> float:
    """Median seconds for a page of a list of so many runs, made up."""
    store = Store(folder / "runs.sqlite")
    rows = []
    for number in range(count):
        run = new_run("toy.add", "toy", "1.0", f"Add {number}").model_copy(update={"state": RunState.FINISHED})
        rows.append({**run.model_dump(mode="json", exclude={"cancelling"}), "inputs": {"a": number}, "outputs": {}})
    from simdeck_workflows.store_tables import RUNS

    with store.writing() as connection:
        connection.execute(RUNS.insert(), rows)
    seconds = []
    for look in range(LOOKS):
        begun = time.perf_counter()
        page = store.page(limit=50, workflow="toy.add" if look % 2 else None)
        seconds.append(time.perf_counter() - begun)
        assert len(page.items) == min(50, count)
    store.close()
    return statistics.median(seconds)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
