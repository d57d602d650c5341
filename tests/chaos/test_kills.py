"""Processes killed with -9 or frozen at random moments while runs are in flight: no run lost, none run twice.

``SIMDECK_CHAOS_ROUNDS`` sets the number of rounds (20 by default, more in ``make nightly``), ``SIMDECK_CHAOS_SEED`` the seed;
a failure names its seed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from provenance import calculations_by_run
from simdeck_common.problems import Problem
from simdeck_workflows.client import Client
from simdeck_workflows.models import Run
from stack import Stack, missing, wait_for

ROUNDS = int(os.environ.get("SIMDECK_CHAOS_ROUNDS", "20"))
pytestmark = [
    pytest.mark.chaos,
    pytest.mark.stack,
    pytest.mark.timeout(900 + 90 * ROUNDS),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

SEED = int(os.environ.get("SIMDECK_CHAOS_SEED", str(random.SystemRandom().randrange(10**6))))
VICTIMS = ("agent", "worker", "deck", "hub", "frozen agent", "frozen worker")
# AiiDA's broker takes a worker for dead that says nothing for 6 s.
FROZEN_SECONDS = 30.0 if "SIMDECK_CHAOS_ROUNDS" in os.environ else 7.0
RUNS_A_ROUND = 2
# A calculation takes a second or two: the moment of death falls anywhere from the submission to the end of the run.
LONGEST_PAUSE = 4.0
ENDED = {"finished", "failed", "cancelled", "rejected"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running Simdeck with the molecule app installed."""
    with Stack(tmp_path_factory.mktemp("chaos")) as running:
        running.run("install", "molecule", "--wait")
        yield running


def hydrogen(length: float) -> dict[str, Any]:
    """Inputs of a run that takes seconds: H2 with a bond of ``length`` Å, no frequencies."""
    return {
        "structure": {"symbols": ["H", "H"], "positions": [[0.0, 0.0, 0.0], [0.0, 0.0, length]]},
        "frequencies": False,
    }


def submit_until_accepted(client: Client, length: float) -> Run:
    """Submit as a person does whose connection breaks: again and again with one key."""
    key = uuid.uuid4().hex

    def accepted() -> Run | None:
        try:
            return client.submit("molecule.optimize", hydrogen(length), idempotency_key=key)
        except (httpx.TransportError, Problem) as error:
            if isinstance(error, Problem) and error.status < 500 and error.status != 401:
                raise
            return None

    return wait_for("a submission to be accepted", accepted, seconds=120)


def ended(client: Client, run_id: str) -> Run | None:
    """The run once it has ended; None while it has not, or while nobody can be asked."""
    try:
        run = client.run(run_id)
    except (httpx.TransportError, Problem):
        return None
    return run if run.state in ENDED else None


def test_no_run_is_lost_or_run_twice_when_any_part_is_killed(stack: Stack, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    submitted: list[str] = []
    history: list[dict[str, Any]] = []
    with Client(stack.api, stack.cli_token()) as client:
        for number in range(ROUNDS):
            # Every part gets its turns; their order and moments are random.
            if number % len(VICTIMS) == 0:
                order = dice.sample(VICTIMS, len(VICTIMS))
            victim = order[number % len(VICTIMS)]
            pause = dice.uniform(0.0, LONGEST_PAUSE)
            history.append({"round": number, "victim": victim, "after": round(pause, 3)})
            killer = threading.Timer(pause, lambda name=victim: kill_if_alive(stack, name))
            killer.start()
            submitted += [submit_until_accepted(client, dice.uniform(0.6, 1.1)).id for _ in range(RUNS_A_ROUND)]
            killer.join()
        note = f"seed {SEED}; {json.dumps(history)}"
        runs = [
            wait_for(f"run {run_id} to end ({note})", lambda run_id=run_id: ended(client, run_id), seconds=240)
            for run_id in submitted
        ]
        listed = [run.id for run in client.runs()]

    assert Counter(run.state for run in runs) == {"finished": len(submitted)}, note
    assert sorted(listed) == sorted(submitted), note
    energies = [run.summary["energy"]["value"] for run in runs if run.summary]
    # GFN2-xTB's H2 at its minimum; every start must end there: eV.
    assert energies == pytest.approx([energies[0]] * len(submitted), abs=1e-4), note
    done = calculations_by_run(stack.data.users / stack.users[0] / "workflows")
    assert {run_id: done[run_id] for run_id in submitted} == {run_id: ["optimise"] for run_id in submitted}, note


def kill_if_alive(stack: Stack, part: str) -> None:
    """`kill -9`, or freeze for a while, one process of ``part``; nothing where it does not run (an idle worker)."""
    frozen, _, name = part.rpartition(" ")
    if not stack.processes(name):
        return
    if not frozen:
        stack.kill(name)
        return
    victim = stack.kill(name, signal.SIGSTOP)
    try:
        threading.Event().wait(FROZEN_SECONDS)
    finally:
        if victim.alive():
            victim.send(signal.SIGCONT)
