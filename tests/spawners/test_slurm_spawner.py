"""A server as a Slurm job, seen from outside: started, found, moved, ended."""

from __future__ import annotations

from typing import Any

import pytest
from simdeck_spawners import views
from simdeck_spawners.testing import World

pytestmark = pytest.mark.asyncio(loop_scope="function")


async def test_a_server_starts_as_a_job_of_its_user_and_is_reached_through_the_proxy(world: World) -> None:
    assert await world.start("alice", cores=2) in (201, 202)
    await world.until_running("alice")
    (job,) = world.jobs()
    assert (job.user, job.cores, job.comment) == ("alice", 2, "simdeck:0123456789abcdef")
    world.check()


async def test_a_server_is_said_to_run_only_when_its_address_leads_to_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.start("alice", cores=1)
    await world.until_running("alice")
    proxy, told = world.hub.app.proxy, []
    add_user = proxy.add_user

    def seen() -> tuple[str, Any]:
        view = views.server(world.hub.fleet, world.hub.user("alice"), "side")
        return view["phase"], view["url"]

    async def note(*given: Any) -> None:
        told.append(seen())
        await add_user(*given)

    monkeypatch.setattr(proxy, "add_user", note)
    await world.start("alice", "side", cores=1)
    await world.until_running("alice", "side")
    # Until then the route of the default server, which is above it, would have led to a page that is not there.
    assert told == [("connecting", None)]
    assert seen() == ("running", "/user/alice/side/")
