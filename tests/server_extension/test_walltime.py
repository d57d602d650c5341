"""The end of the server's job: what is known of it, when it is told, and that nothing shows where nothing ends."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from simdeck_deck.server_extension import walltime
from simdeck_deck.server_extension.config import Settings
from simdeck_deck.server_extension.walltime import Walltime

LOG = logging.getLogger("test")


class Kernels:
    """A kernel manager without kernels."""

    def list_kernel_ids(self) -> list[str]:
        return []


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(walltime, "page_connections", lambda: ["page"])
    monkeypatch.setattr(walltime, "send_to_page", lambda _page, content: found.append(content))
    return found


def test_the_end_is_read_from_the_environment() -> None:
    settings = Settings.from_environment({"SIMDECK_JOB_ENDS": "1800000000", "SIMDECK_WALLTIME_WARNING": "300"})
    assert (settings.job_ends, settings.warn_seconds) == (1800000000.0, 300.0)


def test_a_server_that_nothing_ends_says_nothing(told: list[dict[str, Any]]) -> None:
    time = Walltime(Settings.from_environment({}).job_ends)
    time.warn(Kernels(), LOG)
    assert (time.page(), told) == (None, [])


def test_a_page_is_told_what_is_left_not_what_the_clock_says() -> None:
    assert Walltime(10_000.0, 600.0, clock=lambda: 4_000.0).page() == {"left": 6000, "warn": 600}


def test_a_short_job_warns_in_its_last_fifth() -> None:
    assert Walltime(1000.0, 600.0, clock=lambda: 0.0).page() == {"left": 1000, "warn": 200}


async def test_the_clock_warns_where_no_signal_comes(told: list[dict[str, Any]]) -> None:
    time = Walltime(1000.0, 600.0, clock=lambda: 0.0)
    time.clock = lambda: 900.0
    await time.watch(Kernels(), LOG)
    assert told == [{"ends": 1000.0, "left": 100.0}]


async def test_signal_and_clock_together_warn_once(told: list[dict[str, Any]]) -> None:
    time = Walltime(1000.0, 600.0, clock=lambda: 0.0)
    time.warn(Kernels(), LOG, 400)
    time.clock = lambda: 900.0
    await time.watch(Kernels(), LOG)
    assert told == [{"ends": 400.0, "left": 400.0}]
