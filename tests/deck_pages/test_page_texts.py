"""Values as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from simdeck_deck.pages.views.text import ago, byte_size, duration, elapsed, number, quantity

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
S = "\u00a0"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, f"0.0{S}s"),
        (0.44, f"0.4{S}s"),
        (9.96, f"10{S}s"),
        (59.6, f"1{S}min 00{S}s"),
        (185, f"3{S}min 05{S}s"),
        (3599.7, f"1{S}h 00{S}min"),
        (7800, f"2{S}h 10{S}min"),
        (360_000, f"4{S}d 4{S}h"),
        (-3, f"0.0{S}s"),
        (float("nan"), f"0.0{S}s"),
    ],
)
def test_a_duration_shows_its_two_largest_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        ("2026-11-21T11:59:50Z", "just now"),
        ("2026-11-21T11:18:00.123Z", f"42{S}min ago"),
        ("2026-11-21T12:00:30Z", "just now"),  # a clock ahead of ours
        ("2026-11-21T13:00:00+02:00", f"1{S}h ago"),
        ("2026-11-20T10:00:00Z", "yesterday"),
        ("2026-11-17T12:00:00", "4 days ago"),
        ("2026-10-02T12:00:00Z", f"2{S}Oct{S}2026"),
        ("not a time", ""),
        (None, ""),
    ],
)
def test_an_age_is_told_in_one_unit_and_then_by_its_date(time: Any, shown: str) -> None:
    assert ago(time, NOW) == shown


@pytest.mark.parametrize(
    ("started", "ended", "shown"),
    [
        ("2026-11-21T11:59:00Z", None, f"1{S}min 00{S}s"),
        ("2026-11-21T11:59:00Z", "2026-11-21T11:59:05Z", f"5.0{S}s"),
        (None, None, None),
    ],
)
def test_elapsed_time_runs_until_the_end(started: Any, ended: Any, shown: str | None) -> None:
    assert elapsed(started, ended, NOW) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (-137.9776543, "−137.97765"),
        (0.0, "0"),
        (1.5, "1.5"),
        (300.0, "300"),
        (0.1 + 0.2, "0.3"),
        (1.23456789e-19, f"1.23457{S}×{S}10⁻¹⁹"),
        (-2.5e12, f"−2.5{S}×{S}10¹²"),
        (float("nan"), "not a number"),
        (float("-inf"), "−∞"),
        (0, "0"),
        (-7, "−7"),
        (1234, "1234"),
        (1_234_567, "1\u202f234\u202f567"),
        (True, "yes"),
        ("GFN2-xTB", "GFN2-xTB"),
        (None, ""),
    ],
)
def test_a_number_is_printed_as_in_a_paper(value: Any, shown: str) -> None:
    assert number(value) == shown


def test_a_quantity_keeps_its_unit_on_the_line() -> None:
    assert quantity(-1.5, "eV/Å") == f"−1.5{S}eV/Å"
    assert quantity(3, None) == "3"
    assert quantity(None, "eV") == ""


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, f"0{S}B"),
        (999, f"999{S}B"),
        (18_402, f"18.4{S}kB"),
        (999_600, f"1{S}MB"),
        (2 * 10**12, f"2{S}TB"),
        ("x", ""),
    ],
)
def test_a_size_has_three_digits(count: Any, shown: str) -> None:
    assert byte_size(count) == shown
