"""When an agent ends by itself, and what its marker says meanwhile."""

from __future__ import annotations

import asyncio


async def watch_until_ended(agent, ended):
    async with asyncio.timeout(120):
        await agent.app.watch_idleness(ended.set, tick=0.01)


async def test_an_agent_with_nothing_to_do_ends_and_leaves_no_marker(agent):
    agent.app.settings = agent.app.settings.model_copy(update={"idle_seconds": 0.01})
    agent.app.mark()
    ended = asyncio.Event()
    await watch_until_ended(agent, ended)
    assert ended.is_set()
    assert not agent.app.marker.exists()


def count_looks(agent, active=None):
    """Return a semaphore released at each look at the backend; ``active`` replaces what the backend says."""
    looks = asyncio.Semaphore(0)
    real = agent.backend.active

    def look():
        looks.release()
        return real() if active is None else active

    agent.backend.active = look
    return looks


async def test_an_unfinished_run_keeps_the_agent_and_its_marker(agent):
    agent.app.settings = agent.app.settings.model_copy(update={"idle_seconds": 0.01})
    run = (await agent.client.post("/runs", json={"workflow": "molecule.optimize"})).json()
    looks, ended = count_looks(agent), asyncio.Event()
    watching = asyncio.create_task(watch_until_ended(agent, ended))
    for _ in range(3):
        await asyncio.wait_for(looks.acquire(), 120)
    assert not ended.is_set()
    assert agent.app.marker.exists()
    await agent.backend.finish(run["id"])
    await watching
    assert ended.is_set()


async def test_an_open_stream_keeps_the_agent(agent):
    agent.app.settings = agent.app.settings.model_copy(update={"idle_seconds": 0.01})
    run = (await agent.client.post("/runs", json={"workflow": "molecule.optimize"})).json()
    await agent.backend.tell(run["id"], "progress", {})
    looks, ended = count_looks(agent, active=False), asyncio.Event()
    async with agent.client.stream("GET", f"/runs/{run['id']}/events") as response:
        lines = response.aiter_lines()
        await anext(lines)
        watching = asyncio.create_task(watch_until_ended(agent, ended))
        for _ in range(5):
            await asyncio.wait_for(looks.acquire(), 120)
        assert not ended.is_set()
    await watching
    assert ended.is_set()


async def test_a_running_install_keeps_the_agent(agent):
    agent.installer.hold = True
    await agent.client.post("/apps/molecule/install")
    assert agent.app.busy()
    agent.installer.release.set()
    async with asyncio.timeout(120):
        while agent.app.busy():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
