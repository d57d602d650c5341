"""Many servers that become ready in one moment are let through one by one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from simdeck_spawners.pace import BREATH_SECONDS, Turns, agents_busy

pytestmark = pytest.mark.asyncio(loop_scope="function")


async def test_others_run_between_two_turns() -> None:
    turns, seen = Turns(), []

    async def server(number: int) -> None:
        await turns.turn()
        seen.append(number)

    async def others() -> None:
        while len(seen) < 5:
            seen_before = len(seen)
            await asyncio.sleep(BREATH_SECONDS / 10)
            assert len(seen) - seen_before <= 1

    await asyncio.gather(others(), *(server(number) for number in range(5)))
    assert seen == [0, 1, 2, 3, 4]


async def test_who_gives_up_waiting_holds_up_nobody() -> None:
    turns = Turns()
    await turns.turn()
    waiting = [asyncio.create_task(turns.turn()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not waiting[2].cancelled()


async def test_an_agent_is_busy_while_its_file_is_there(tmp_path: Path) -> None:
    assert not agents_busy(tmp_path)
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "alice.sock").touch()
    assert not agents_busy(tmp_path)
    (tmp_path / "agents" / "alice.active").touch()
    assert agents_busy(tmp_path)
