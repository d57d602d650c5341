"""Checking inputs by the JSON Schema: each refusal names the field and says what to do."""

from __future__ import annotations

from typing import Any

import pytest
from simdeck_common.problems import Problem
from simdeck_workflows.checking import check_inputs

STRUCTURE = {
    "title": "Structure",
    "type": "object",
    "x-simdeck-type": "structure",
    "properties": {"name": {"type": "string"}, "content": {"type": "string"}, "symbols": {"type": "array"}},
    "oneOf": [{"required": ["name", "content"]}, {"required": ["symbols"]}],
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {
        "structure": STRUCTURE,
        "charge": {"title": "Total charge", "type": "integer", "minimum": -10, "maximum": 10, "x-simdeck-unit": "e"},
        "method": {"title": "Method", "type": "string", "enum": ["GFN1", "GFN2"]},
        "deep": {"type": "object", "properties": {"fmax": {"title": "Force", "type": "number", "exclusiveMinimum": 0}}},
    },
    "required": ["structure"],
    "additionalProperties": False,
}
GOOD: dict[str, Any] = {"structure": {"symbols": ["H"]}}


def test_good_inputs_pass() -> None:
    check_inputs(SCHEMA, {**GOOD, "charge": 1, "method": "GFN2", "deep": {"fmax": 0.1}})


@pytest.mark.parametrize(
    ("inputs", "field", "sentence"),
    [
        ({}, "structure", "A value is needed for Structure."),
        ({**GOOD, "charge": 11}, "charge", "Total charge must be at most 10 e."),
        ({**GOOD, "charge": 0.5}, "charge", "Total charge must be a whole number."),
        ({**GOOD, "charge": "one"}, "charge", "Total charge must be a whole number."),
        ({**GOOD, "method": "HF"}, "method", "Method must be one of GFN1, GFN2."),
        ({**GOOD, "deep": {"fmax": 0}}, "deep.fmax", "Force must be more than 0."),
        ({**GOOD, "chrage": 1}, "chrage", "There is no input called chrage."),
        (
            {"structure": {"name": "water.xyz"}},
            "structure",
            "Structure must be a structure: a file's name and content, or symbols and positions.",
        ),
        (
            {"structure": "water.xyz"},
            "structure",
            "Structure must be a structure: a file's name and content, or symbols and positions.",
        ),
    ],
)
def test_a_refusal_names_the_field_and_the_reason(inputs: dict[str, Any], field: str, sentence: str) -> None:
    with pytest.raises(Problem) as caught:
        check_inputs(SCHEMA, inputs)
    assert (caught.value.code, caught.value.field, caught.value.detail) == ("invalid-input", field, sentence)


def test_the_first_field_of_the_form_is_told_first() -> None:
    with pytest.raises(Problem) as caught:
        check_inputs(SCHEMA, {"structure": 1, "charge": 99})
    assert caught.value.field == "structure"
