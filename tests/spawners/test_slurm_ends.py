"""How soon the end of a job is believed."""

from __future__ import annotations

import asyncio

import pytest
from simdeck_spawners.book import Stage
from simdeck_spawners.testing import World

pytestmark = pytest.mark.asyncio(loop_scope="function")


async def test_an_end_that_slurm_confirms_slowly_waits_for_no_further_look_at_the_queue(world: World) -> None:
    await world.start("alice")
    await world.until_running("alice")
    name = world.entry("alice").job_name
    # The look that misses the job is over long before the controller has said what became of it.
    world.slurm.fault("scontrol", "slow", seconds=5)
    find = world.hub.fleet.watchers["sim"].find
    stopping = asyncio.create_task(world.stop("alice"))

    def certain() -> bool:
        seen = find(name)
        return seen is None or seen.gone

    await world.until("the end is certain", certain)
    looks = world.slurm.calls["squeue"]
    await world.until("the server has ended", lambda: world.entry("alice").stage is Stage.ENDED)
    assert world.slurm.calls["squeue"] == looks
    await stopping
    await world.until_gone("alice")
    world.check()
