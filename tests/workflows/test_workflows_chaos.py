"""Workers killed at random moments with runs in flight: each run ends once, and nothing is computed twice."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter

import pytest
from simdeck_workflows.models import RunState
from toy_oven import Oven, until

pytestmark = [pytest.mark.backend, pytest.mark.chaos, pytest.mark.timeout(900)]

ROUNDS = int(os.environ.get("SIMDECK_CHAOS_ROUNDS", "3"))
RUNS = 3


async def test_killed_workers_lose_no_run_and_run_none_twice(oven: Oven) -> None:
    dice = random.Random(os.environ.get("SIMDECK_CHAOS_SEED"))
    runs = []
    for _round in range(ROUNDS):
        runs += [oven.bake(steps=6, pause=0.05) for _ in range(RUNS)]
        for _kill in range(2):
            # Counted from when it answers: most kills come while it begins runs and carries them on.
            await until(lambda: oven.worker_state() == "running" or not oven.backend.active())
            await asyncio.sleep(dice.uniform(0.0, 1.2))
            await oven.kill_worker()
        # An agent lets a worker that keeps dying rest for longer and longer; another agent begins anew.
        await oven.change_agent()
    ended = [await oven.end(run, patience=240) for run in runs]
    assert [run.state for run in ended] == [RunState.FINISHED] * len(runs)
    for run in runs:
        events = [event async for event in oven.backend.events(run.id)]
        states = [event.data["state"] for event in events if event.type == "state"]
        assert states == ["accepted", "running", "finished"]
        assert [event.data["step"] for event in events if event.type == "progress"] == [1, 2, 3, 4, 5, 6]
        finished = [event for event in events if event.data.get("exit_status") == 0]
        assert [event.data["kind"] for event in finished] == ["calculation", "workflow"]
    # One line for each calculation that began to compute, in a working directory of its own.
    assert len(oven.computed()) == len(runs)
    assert set(Counter(oven.computed()).values()) == {1}
    # What the crashes left is closed, not only what the runs needed.
    await until(lambda: not oven.open_processes())
