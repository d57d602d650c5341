"""A server as a Slurm job, seen from outside: started, found, moved, ended."""

from __future__ import annotations

import pytest
from simdeck_spawners.testing import World

pytestmark = pytest.mark.asyncio(loop_scope="function")


async def test_a_server_starts_as_a_job_of_its_user_and_is_reached_through_the_proxy(world: World) -> None:
    assert await world.start("alice", cores=2) in (201, 202)
    await world.until_running("alice")
    (job,) = world.jobs()
    assert (job.user, job.cores, job.comment) == ("alice", 2, "simdeck:0123456789abcdef")
    world.check()
