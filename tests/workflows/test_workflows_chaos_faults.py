"""Faults of the whole machine with dozens of processes in flight: each run ends once, none is lost, none ends twice.

One random fault a round: the worker killed, the worker frozen for longer than its broker's heartbeat, everything of the
user's killed at once as a reboot does, a full disk, a clock that jumps; and at the end of each round another agent.
``SIMDECK_CHAOS_ROUNDS`` and ``SIMDECK_CHAOS_SEED`` choose more rounds, and the same ones again.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import faults
import pytest
from simdeck_common.layout import user_home
from simdeck_workflows.models import Run, RunRequest, RunState
from toy_oven import Oven, until

pytestmark = [pytest.mark.backend, pytest.mark.chaos, pytest.mark.timeout(7200)]

ROUNDS = int(os.environ.get("SIMDECK_CHAOS_ROUNDS", "4"))
SEED = int(os.environ.get("SIMDECK_CHAOS_SEED", str(random.SystemRandom().randrange(10**6))))
LONG = "SIMDECK_CHAOS_ROUNDS" in os.environ
# AiiDA's broker takes a worker for dead that says nothing for 6 s.
FROZEN_SECONDS = 30.0 if LONG else 7.0
FULL_SECONDS = 5.0 if LONG else 2.0
BAKES, ADDITIONS = (12, 24) if LONG else (3, 6)
"""Runs a round. A bake is three processes, an addition is one."""
JUMPS = (3600, -3600, 86400, -60, 0)


class Site:
    """A home on a disk of its own, with a clock of its own, where root and packages allow."""

    def __init__(self, oven: Oven, clock: faults.Clock | None, disk: Path | None, still: str | None) -> None:
        self.oven = oven
        self.still = still
        self.clock = clock
        self.disk = disk
        self.runs: list[Run] = []

    def submit(self) -> None:
        """Submit bakes and additions; one that is refused was never accepted."""
        for number in range(BAKES + ADDITIONS):
            try:
                if number < BAKES:
                    run = self.oven.bake(steps=5, pause=0.1)
                else:
                    request = RunRequest(workflow="toy.add", inputs={"a": number})
                    run = self.oven.backend.submit(request)
            except OSError:
                # Only a full disk refuses; see `test_a_full_disk_refuses_…`.
                continue
            self.runs.append(run)


@pytest.fixture(scope="module")
async def site(toy: ModuleType, described: bytes) -> AsyncIterator[Site]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sdcf-")))
        disk = None
        if faults.why_no_small_disk() is None:
            disk = folder / "disk"
            disk.mkdir()
            stack.enter_context(faults.small_disk(disk))
        clock, still = None, faults.why_no_clock(toy.BACKEND_PYTHON, folder)
        if still is None:
            clock = faults.Clock(folder / "clock")
            for name, value in clock.environment.items():
                patch.setenv(name, value)
        home = user_home(disk or folder, "alice")
        toy.install(home.apps, described=described)
        oven = Oven(home, toy)
        await oven.backend.start()
        yield Site(oven, clock, disk, still)
        await oven.backend.stop()
        faults.power_cut(home.root)
        await until(lambda: not faults.of_home(home.root))
        shutil.rmtree(home.runtime, ignore_errors=True)


async def killed(site: Site, _: random.Random) -> None:
    await site.oven.kill_worker()


async def frozen(site: Site, _: random.Random) -> None:
    pid = site.oven.worker_pid()
    if pid is None:
        return
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(FROZEN_SECONDS)
    os.kill(pid, signal.SIGCONT)


async def rebooted(site: Site, _: random.Random) -> None:
    """The agent goes with all the others: another one begins where files alone tell what was."""
    await site.oven.backend.stop()
    faults.power_cut(site.oven.home.root)
    await until(lambda: not faults.of_home(site.oven.home.root))
    site.oven.renew()
    await site.oven.backend.start()


async def disk_full(site: Site, _: random.Random) -> None:
    if site.disk is None:
        return
    with faults.full(site.disk):
        await asyncio.sleep(FULL_SECONDS)


async def clock_jumped(site: Site, dice: random.Random) -> None:
    if site.clock is not None:
        site.clock.jump(dice.choice(JUMPS))


FAULTS: dict[str, Callable[[Site, random.Random], Awaitable[None]]] = {
    "killed": killed, "frozen": frozen, "rebooted": rebooted, "disk full": disk_full, "clock jumped": clock_jumped,
}  # fmt: skip


def possible(site: Site) -> list[str]:
    left_out = {"disk full": site.disk is None, "clock jumped": site.clock is None}
    return [name for name in FAULTS if not left_out.get(name)]


def test_every_fault_can_be_made_here(site: Site) -> None:
    """Says in the run's summary what was left out, and why."""
    reasons = [reason for reason in (faults.why_no_small_disk(), site.still) if reason]
    if reasons:
        pytest.skip("; ".join(reasons))
    assert possible(site) == list(FAULTS)


async def test_whatever_befalls_the_machine_each_run_ends_once(site: Site) -> None:
    dice = random.Random(SEED)
    history: list[str] = []
    befallen: set[str] = set()
    names = possible(site)
    for number in range(ROUNDS):
        if number % len(names) == 0:
            order = dice.sample(names, len(names))
        fault = order[number % len(names)]
        befallen.add(fault)
        site.submit()
        await until(lambda: site.oven.worker_state() == "running" or not site.oven.backend.active())
        await asyncio.sleep(dice.uniform(0.0, 1.5))
        in_flight = sum(not site.oven.backend.run(run.id).state.ended for run in site.runs)
        history.append(f"{fault} with {in_flight} runs in flight")
        await FAULTS[fault](site, dice)
        if dice.random() < 0.5:
            await site.oven.change_agent()
    note = f"seed {SEED}: {history}"
    ended = [await site.oven.end(run, patience=300) for run in site.runs]
    # Calculations that a reboot or a full disk ended are done again, or say that they failed.
    allowed = {RunState.FINISHED} | ({RunState.FAILED} if {"rebooted", "disk full"} & befallen else set())
    assert {run.state for run in ended} <= allowed, note
    assert Counter(run.state for run in ended)[RunState.FINISHED] > len(ended) / 2, note
    for run in site.runs:
        events = [event async for event in site.oven.backend.events(run.id)]
        states = [event.data["state"] for event in events if event.type == "state"]
        assert states[0] == "accepted", note
        assert [RunState(state).ended for state in states].count(True) == 1, f"{note}: {states}"
        assert RunState(states[-1]).ended, f"{note}: {states}"
        assert [event.seq for event in events] == sorted({event.seq for event in events}), note
    listed = site.oven.backend.list_runs(limit=200)
    if listed.next_cursor is None:
        assert sorted(run.id for run in listed.items) == sorted(run.id for run in site.runs), note
    # No working directory was computed in twice, and nothing is left that nobody would close.
    assert set(Counter(site.oven.computed()).values()) <= {1}, note
    await until(lambda: not site.oven.open_processes())
    assert site.oven.living_jobs() == [], note
