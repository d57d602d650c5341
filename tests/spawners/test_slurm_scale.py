"""A thousand servers, two hundred of them waiting, and a hub that comes back: none lost, at a flat cost."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from simdeck_clusters.settings import SiteResources
from simdeck_clusters.simulated import SimulatedNode, SimulatedSlurm
from simdeck_spawners import files, options
from simdeck_spawners.book import Entry, Stage
from simdeck_spawners.fleet import SlurmFleet
from simdeck_spawners.testing.clock import FastClock

USERS, RUNNING = 1000, 800
SITE = SiteResources.model_validate({"clusters": [{"name": "sim"}]})
CHOSEN = {"cluster": "sim", "partition": "normal", "environment": "default"}


def make(folder: Path, slurm: SimulatedSlurm, clock: FastClock) -> SlurmFleet:
    fleet = SlurmFleet(
        data=str(folder), instance="0123456789abcdef", site=SITE, make_executor=lambda _: slurm, clock=clock.time,
        watch_clock=clock, submit_limit=50, boot_timeout=0,
    )  # fmt: skip
    # No limit to the boot: the test announces the servers in its own time, which the clock runs ahead of.
    fleet.pace = 1 / clock.factor
    return fleet


async def until(test: Any) -> None:
    async with asyncio.timeout(120):
        while not test():  # noqa: ASYNC110 - it is no event of ours that is awaited
            await asyncio.sleep(0.02)


@pytest.mark.asyncio(loop_scope="function")
async def test_a_thousand_servers_survive_a_restart_and_cost_the_scheduler_no_more_than_one(tmp_path: Path) -> None:
    clock = FastClock(40)
    slurm = SimulatedSlurm(
        [SimulatedNode(f"cn{n}", cores=8, memory_mb=64000) for n in range(RUNNING // 8)], clock=clock
    )
    fleet = make(tmp_path, slurm, clock)

    async def orders(entry: Entry) -> dict[str, Any]:
        return {files.SCRIPT: files.script(fleet, "sim", entry.job_name, options.request_of(entry.options))}

    await fleet.start()
    for number in range(USERS):
        fleet.launch(await fleet.begin(f"user{number}", "", "sim", CHOSEN, f"token{number}"), orders)
    await until(lambda: all(one.stage is Stage.SUBMITTED for one in fleet.book.unfinished()))
    await until(lambda: sum(one.started is not None for one in fleet.book.unfinished()) == RUNNING)
    for entry in fleet.book.unfinished():
        if entry.started is not None:
            await fleet.announced(entry, 40000, "")
            fleet.move(entry.id, Stage.ANNOUNCED, stage=Stage.RUNNING)
    begun, before = clock.time(), Counter(slurm.calls)
    await until(lambda: clock.time() - begun > 120)
    spent, seconds = Counter(slurm.calls) - before, clock.time() - begun
    assert spent["squeue"] / seconds <= 0.5
    assert sum(spent.values()) <= spent["squeue"] + 12, spent
    assert fleet.book.servers("user999")[0].stage is Stage.SUBMITTED
    await fleet.stop()

    after = make(tmp_path, slurm, clock)
    heard: list[str] = []
    after.listeners.append(lambda what, entry: heard.append(what))
    await after.start()
    await until(lambda: (after.snapshot("sim") or slurm).unknown_since is None)  # type: ignore[union-attr]
    begun = clock.time()
    await until(lambda: clock.time() - begun > 60)
    stages = Counter(one.stage for one in after.book.unfinished())
    assert stages == {Stage.RUNNING: RUNNING, Stage.SUBMITTED: USERS - RUNNING}
    assert not {"ended", "restarted"} & set(heard)
    assert slurm.calls["scancel"] == 0
    assert slurm.calls["sbatch"] == USERS
    assert len(slurm.jobs()) == USERS
    await after.stop()
