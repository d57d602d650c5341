"""A run's inputs as a form, and what is typed there as values again."""

from __future__ import annotations

from typing import Any

import pytest
from deck_pages_lab import SCHEMA
from simdeck_deck.pages.views.run_inputs import (
    MISSING,
    Change,
    Field,
    changes_of,
    fields_of,
    inputs_with,
    kept_of,
    read,
    value_of,
)

OLD: dict[str, Any] = {
    "structure": {"name": "water.xyz", "content": "3\n"},
    "charge": 0,
    "method": "GFN2-xTB",
    "solver": {"mixing": 0.4},
}


def fields(wanted: dict[str, Any] | None = None) -> dict[str, Field]:
    return {field.name: field for field in fields_of(SCHEMA, OLD, OLD if wanted is None else wanted)}


def asked(**typed: str) -> dict[str, Any]:
    """Return what a retry is asked for when these are typed (``__`` stands for a dot)."""
    given = {name.replace("__", "."): text for name, text in typed.items()}
    found, values = read(tuple(fields().values()), given)
    assert not [field.error for field in found if field.error]
    return inputs_with(OLD, OLD, found, values)


def test_a_form_has_what_can_be_typed_in_the_schemas_order() -> None:
    assert [(name, field.kind, field.text) for name, field in fields().items()] == [
        ("charge", "integer", "0"),
        ("fmax", "number", ""),
        ("method", "choice", "GFN2-xTB"),
        ("frequencies", "boolean", ""),
        ("max_steps", "integer", ""),
        ("label", "string", ""),
        ("solver.mixing", "number", "0.4"),
        ("solver.options", "json", ""),
    ]
    assert fields()["solver.mixing"].title == "Solver · Mixing"
    assert (fields()["max_steps"].default, fields()["max_steps"].was) == ("400", "400 (default)")


def test_what_no_field_can_hold_stays_and_is_shown() -> None:
    assert kept_of(SCHEMA, OLD) == (("Structure", "water.xyz"),)


@pytest.mark.parametrize(
    ("typed", "changes"),
    [
        ({}, {}),
        ({"charge": "0", "method": "GFN2-xTB"}, {}),
        ({"charge": " −1 "}, {"charge": -1}),
        ({"charge": "+1"}, {"charge": 1}),
        ({"charge": ""}, {"charge": None}),
        ({"fmax": "1e-3"}, {"fmax": 0.001}),
        ({"max_steps": "12\u202f000"}, {"max_steps": 12000}),
        ({"frequencies": "false"}, {"frequencies": False}),
        ({"label": "two words"}, {"label": "two words"}),
        ({"solver__mixing": "0.1"}, {"solver": {"mixing": 0.1}}),
        ({"solver__mixing": ""}, {"solver": {}}),
        ({"solver__options": '{"level": 3}'}, {"solver": {"mixing": 0.4, "options": {"level": 3}}}),
    ],
)
def test_only_what_is_typed_differently_is_asked_for(typed: dict[str, str], changes: dict[str, Any]) -> None:
    assert asked(**typed) == changes


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("charge", "one", "“one” is not a number."),
        ("charge", "0.5", "Give a whole number."),
        ("fmax", "0,05", "Write decimals with a point."),
        ("fmax", "nan", "Give a finite number."),
        ("fmax", "1e999", "Give a finite number."),
        ("method", "HF", "Choose one of GFN2-xTB, GFN1-xTB, IPEA1-xTB."),
        ("frequencies", "maybe", "Choose yes or no."),
        ("solver.options", "{", "This is not JSON"),
        ("solver.options", "[NaN]", "NaN is no number here"),
    ],
)
def test_what_cannot_be_read_is_said_in_words(name: str, text: str, words: str) -> None:
    found, values = read(tuple(fields().values()), {name: text})
    [wrong] = [field for field in found if field.error]
    assert (wrong.name, wrong.text) == (name, text)
    assert words in wrong.error
    assert name not in values


def test_a_choice_comes_back_in_its_own_type() -> None:
    schema = {"properties": {"level": {"enum": [1, 2, "auto"]}}}
    [field] = fields_of(schema, {}, {})
    assert [value_of(field, text) for text in ("2", "auto", "")] == [2, "auto", MISSING]


def test_a_required_input_cannot_be_left_empty() -> None:
    [field] = fields_of({"properties": {"n": {"type": "integer"}}, "required": ["n"]}, {"n": 1}, {"n": 1})
    with pytest.raises(ValueError, match="cannot be left empty"):
        value_of(field, " ")


def test_changes_are_told_with_titles_units_and_defaults() -> None:
    assert changes_of(SCHEMA, OLD, {"charge": None, "max_steps": 800, "solver": {"mixing": 0.1}, "odd": 3}) == (
        Change("Total charge", "0\u00a0e", "0\u00a0e (default)"),
        Change("Steps at most", "400 (default)", "800"),
        Change("Solver · Mixing", "0.4", "0.1"),
        Change("Odd", "not given", "3"),
    )


def test_a_wish_stays_where_no_field_can_hold_it() -> None:
    base = OLD | {"structure": {"name": "ice.xyz", "content": "x"}}
    found, values = read(tuple(fields(base).values()), {})
    assert inputs_with(OLD, base, found, values) == {"structure": base["structure"]}
