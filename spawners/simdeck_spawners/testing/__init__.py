"""The fault kit: a hub, a scheduler and servers in one process, to be broken at will. A pytest plugin.

In a `conftest.py`::

    pytest_plugins = ["simdeck_spawners.testing"]

and a test takes ``world`` (a started hub with one simulated cluster of two nodes) or ``make_world`` (the same with
settings of its own; ``configure`` puts another spawner into the hub's configuration). Faults: ``world.crash_at(point)``
for each of ``POINTS``, ``world.slurm.fault(command, kind)`` with kinds ``error``, ``hang``, ``garbage``, ``empty``, …,
``world.slurm.requeue``, ``cancel``, ``node_down``, ``finish``, ``world.clock.skip(seconds)``. After each,
``world.check()``: no orphan job, no lost server, no double start.

A spawner that shall be tested with it reaches its scheduler through ``simdeck_clusters.executor.Executor`` and marks
the lines of its own start with ``simdeck_spawners.points.crash_point``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest_asyncio

from simdeck_spawners.points import POINTS
from simdeck_spawners.testing.world import World

__all__ = ["POINTS", "World", "make_world", "world"]

MakeWorld = Callable[..., Any]


@pytest_asyncio.fixture(loop_scope="function")
async def make_world(tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """Return ``await make_world(**settings)``; every world made is taken down at the end."""
    async with AsyncExitStack() as stack:

        async def make(**settings: Any) -> World:
            more = settings.pop("fleet", {})
            made = World(tmp_path, **settings)
            made.settings |= more
            return await stack.enter_async_context(made)

        yield make


@pytest_asyncio.fixture(loop_scope="function")
async def world(make_world: MakeWorld) -> World:
    """Return a world with one cluster of two nodes."""
    made: World = await make_world()
    return made
