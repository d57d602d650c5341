"""What AiiDA's own database says was computed, asked past Simdeck: run by the backend's Python."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from simdeck_hub.places import Checkout

_ASK = """
import json
from aiida import load_profile, orm
load_profile()
query = orm.QueryBuilder()
query.append(orm.WorkflowNode, tag="run", project=["label", "uuid"])
answer = {}
for label, uuid in query.all():
    node = orm.load_node(uuid)
    if node.caller is not None:
        continue
    # What a crash left half submitted has no job: it never ran.
    stages = [called.inputs.parameters["stage"] for called in node.called
              if isinstance(called, orm.CalcJobNode) and called.get_job_id() is not None]
    answer.setdefault(label, []).append(stages)
print(json.dumps(answer))
"""


def calculations_by_run(workflows: Path) -> dict[str, list[str]]:
    """Return the stages of the calculations launched for each run id, finished or not, below a user's ``workflows`` folder.

    Raises
    ------
    AssertionError
        A run has more than one work chain: it was run twice.
    """
    done = subprocess.run(
        [str(Checkout.find().backend_python), "-c", _ASK],
        env={**os.environ, "AIIDA_PATH": str(workflows / "aiida")},
        capture_output=True, text=True, check=True, timeout=360,
    )  # fmt: skip
    answer: dict[str, list[list[str]]] = json.loads(done.stdout.splitlines()[-1])
    twice = {label: chains for label, chains in answer.items() if len(chains) != 1}
    assert not twice, f"run more than once: {twice}"
    return {label: chains[0] for label, chains in answer.items()}
