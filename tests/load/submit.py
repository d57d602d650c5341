"""A run submitted by REST, accepted and durable, against ``aiida.engine.submit`` in process on the same profile."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from simdeck_hub.places import Checkout
from simdeck_workflows.client import Client
from stack import Stack

ROUNDS = 15
HYDROGEN: dict[str, Any] = {
    "structure": {"symbols": ["H", "H"], "positions": [[0.0, 0.0, 0.0], [0.0, 0.0, 0.8]]},
    "frequencies": False,
}
# The profile, code node and work chain that the service itself uses; the worker that runs them is the service's.
_IN_PROCESS = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from aiida import load_profile, orm
load_profile()
from aiida.engine import submit
from aiida.plugins import WorkflowFactory
chain = WorkflowFactory("molecule.optimize")
code = orm.QueryBuilder().append(orm.InstalledCode).first(flat=True)
seconds = []
for _ in range(int(sys.argv[2]) + 1):
    structure = orm.StructureData(cell=[[9, 0, 0], [0, 9, 0], [0, 0, 9]], pbc=(False, False, False))
    structure.append_atom(symbols="H", position=(0, 0, 0))
    structure.append_atom(symbols="H", position=(0, 0, 0.8))
    begun = time.perf_counter()
    submit(chain, structure=structure, code=code, frequencies=orm.Bool(False))
    seconds.append(time.perf_counter() - begun)
print(json.dumps(seconds[1:]))
"""


def measure() -> list[dict[str, Any]]:
    """One after the other, each with an idle worker at its side."""
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        stack.run("install", "molecule", "--wait")
        home = stack.data.users / stack.users[0]
        with Client(stack.api, stack.cli_token()) as client:
            client.wait(client.submit("molecule.optimize", HYDROGEN).id, timeout=120)
            seconds = []
            runs = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                runs.append(client.submit("molecule.optimize", HYDROGEN).id)
                seconds.append(time.perf_counter() - begun)
            for run_id in runs:
                client.wait(run_id, timeout=300)
        done = subprocess.run(
            [str(Checkout.find().backend_python), "-c", _IN_PROCESS, str(home / "apps/molecule/current/workflows"), str(ROUNDS)],
            env={**os.environ, "AIIDA_PATH": str(home / "workflows" / "aiida")},
            capture_output=True, text=True, check=True, timeout=300,
        )  # fmt: skip
    ours = statistics.median(seconds)
    engine = statistics.median(json.loads(done.stdout.splitlines()[-1]))
    return [
        {
            "what": "submit a run by REST, accepted and durable (p50)",
            "ours": f"{ours * 1000:.1f} ms",
            "reference": f"aiida.engine.submit in process, {engine * 1000:.1f} ms",
            "ratio": round(ours / engine, 3),
            "budget": "≤ 1.2",
        }
    ]
