"""Sweeps: values from what is typed, and the table of results."""

from __future__ import annotations

from typing import Any

import pytest
from deck_pages_lab import SCHEMA, SWEEP, row, sweep
from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.run_inputs import Field, fields_of
from simdeck_deck.pages.views.sweeps import Varied, listed, points_of, said_of, table_view

LINKS = Links("/services/deck/", "ada")


def field(name: str) -> Field:
    return next(one for one in fields_of(SCHEMA, {"charge": 0}, {}) if one.name == name)


@pytest.mark.parametrize(
    ("name", "line", "values"),
    [
        ("charge", {"values": "-1, 0,1"}, [-1, 0, 1]),
        ("charge", {"values": "−2; 2"}, [-2, 2]),
        ("charge", {"start": "-2", "stop": "2", "count": "5"}, [-2, -1, 0, 1, 2]),
        ("charge", {"start": "2", "stop": "0", "count": "3"}, [2, 1, 0]),
        ("fmax", {"start": "0.1", "stop": "0.3", "count": "3"}, [0.1, 0.2, 0.3]),
        ("fmax", {"values": "1e-3"}, [0.001]),
        ("method", {"values": "GFN1-xTB, GFN2-xTB"}, ["GFN1-xTB", "GFN2-xTB"]),
        ("frequencies", {"values": "Yes, no"}, [True, False]),
        ("label", {"values": "a b, c"}, ["a b", "c"]),
    ],
)
def test_values_are_read_from_a_list_or_a_range(name: str, line: dict[str, str], values: list[Any]) -> None:
    assert points_of(Varied(1, name, **line), field(name)) == values


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("charge", {}, "at least one value"),
        ("charge", {"values": "1, x"}, "“x” is not a number"),
        ("charge", {"values": "1, 2, 1"}, "1 is there twice"),
        ("charge", {"values": "1", "start": "1"}, "not both"),
        ("charge", {"start": "1", "stop": "2"}, "all three"),
        ("charge", {"start": "0", "stop": "1", "count": "3"}, "not whole numbers"),
        ("charge", {"start": "0", "stop": "0", "count": "3"}, "are the same"),
        ("charge", {"start": "0", "stop": "9", "count": "501"}, "2 to 500"),
        ("method", {"start": "0", "stop": "9", "count": "5"}, "Only numbers have a range"),
        ("method", {"values": "HF"}, "Choose one of"),
    ],
)
def test_a_list_that_cannot_be_run_is_refused_in_words(name: str, line: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        points_of(Varied(1, name, **line), field(name))


def test_below_an_input_stands_what_it_takes_and_what_the_run_has() -> None:
    assert said_of(field("charge")) == "Whole numbers, −10 to 10 e. This run has 0\u00a0e."
    assert said_of(field("frequencies")) == "Yes or no. This run has yes (default)."


def test_long_lists_of_values_are_cut_in_the_middle() -> None:
    assert listed(list(range(40)), "e") == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …, 39\u00a0e"


def order(by: str, down: bool, rows: list[dict[str, Any]]) -> list[str]:
    return [one.run[7] for one in table_view(sweep(rows=rows), SCHEMA, LINKS, by, down).rows]


@pytest.mark.parametrize(
    ("by", "down", "expected"),
    [
        ("", False, ["1", "4", "2", "3"]),
        ("v:charge", False, ["1", "2", "3", "4"]),
        ("v:charge", True, ["4", "3", "2", "1"]),
        ("r:gap", False, ["3", "2", "1", "4"]),
        ("r:gap", True, ["1", "2", "3", "4"]),
        ("state", False, ["1", "2", "3", "4"]),
        ("nonsense", True, ["1", "4", "2", "3"]),
    ],
)
def test_a_table_is_sorted_by_any_column_and_what_is_missing_comes_last(
    by: str, down: bool, expected: list[str]
) -> None:
    assert order(by, down, [row(1), row(4, "running"), row(2), row(3)]) == expected


def test_a_heading_names_the_unit_and_turns_the_order_round() -> None:
    heads = {head.key: head for head in table_view(sweep(), SCHEMA, LINKS, "r:energy", False).heads}
    energy, charge = heads["r:energy"], heads["v:charge"]
    assert (energy.title, energy.unit, energy.sort) == ("Total energy", "eV", "ascending")
    assert energy.url == f"/services/deck/sweeps/{SWEEP}?by=r%3Aenergy&down=1"
    assert (charge.title, charge.unit, charge.sort) == ("Total charge", "e", "none")
    assert charge.url == f"/services/deck/sweeps/{SWEEP}?by=v%3Acharge"
