"""Schemathesis on the whole API, writes included, on a throw-away Simdeck: what the documents say is what is answered.

Never an error of ours, no answer that the document does not describe, nothing taken that it forbids. The requests are
the same in every run; ``SIMDECK_CHAOS_ROUNDS`` (``make nightly``) asks for that many of each operation, for every edge of
every schema and for chains of requests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from stack import missing

from api_matrix.people import API, WAAS, People

LONG = "SIMDECK_CHAOS_ROUNDS" in os.environ
EXAMPLES = os.environ.get("SIMDECK_CHAOS_ROUNDS", "6")
# Every edge of every schema in turn, and chains of requests, are minutes of requests.
PHASES = "coverage,fuzzing,stateful" if LONG else "fuzzing"
pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(7200 if LONG else 900),
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]
LEFT_OUT = (
    # Who may ask for what is the cross-user matrix's question.
    "ignored_auth",
    # Things go by other operations than the ones that Schemathesis would link them to.
    "use_after_free",
    "ensure_resource_availability",
    # What a workflow takes is said by its own schema, which an operation's cannot repeat.
    "positive_data_acceptance",
)
"""Checks that would ask for what the API does not promise."""


@pytest.mark.parametrize("base", [API, WAAS], ids=["api", "hpcwaas"])
def test_every_operation_answers_as_its_document_says(people: People, base: str, tmp_path: Path) -> None:
    url = people.stack.url + base
    argv = [
        str(Path(sys.executable).parent / "st"), "run", f"{url}/openapi.json", "--url", url, "--no-color",
        "--phases", PHASES, "--max-examples", EXAMPLES,
        "--generation-deterministic", "--exclude-checks", ",".join(LEFT_OUT), "--continue-on-failure",
        "--request-timeout", "120", "--warnings", "off",
    ]  # fmt: skip
    env = dict(
        os.environ,
        SCHEMATHESIS_HOOKS="api_matrix.schemathesis_hooks",
        PYTHONPATH=str(Path(__file__).parents[1]),
        NO_PROXY="127.0.0.1",
        API_TOKEN=people.stack.cli_token("alice"),
        API_THINGS=json.dumps(people.things),
        API_COSTLY="1" if LONG else "0",
    )
    # From a folder of its own: Schemathesis would take up a settings file that lies about.
    done = subprocess.run(
        argv, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
