"""The hook by which an app saves before its server's job ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from simdeck_widgets import walltime
from simdeck_widgets.walltime import on_walltime_warning

MESSAGE = {"content": {"data": {"left": 540.0, "ends": 1800000000.0}}}


@pytest.fixture(autouse=True)
def _nobody_listens() -> Iterator[None]:
    yield
    walltime._callbacks.clear()


def test_a_callback_hears_the_seconds_left() -> None:
    found: list[float] = []
    on_walltime_warning(found.append)
    walltime.heard(None, MESSAGE)
    assert found == [540.0]


async def test_a_coroutine_is_awaited() -> None:
    saved = asyncio.Event()

    async def save(_left: float) -> None:
        saved.set()

    on_walltime_warning(save)
    walltime.heard(None, MESSAGE)
    await asyncio.wait_for(saved.wait(), 5)


def test_one_that_fails_does_not_keep_others_from_saving(capsys: pytest.CaptureFixture[str]) -> None:
    found: list[float] = []

    def broken(_left: float) -> Any:
        raise ValueError("no room")

    on_walltime_warning(broken)
    on_walltime_warning(found.append)
    walltime.heard(None, MESSAGE)
    assert found == [540.0]
    assert "no room" in capsys.readouterr().err


def test_a_callback_can_be_taken_back() -> None:
    found: list[float] = []
    forget = on_walltime_warning(found.append)
    forget()
    walltime.heard(None, MESSAGE)
    assert found == []
