"""From `--input name=value` to JSON, by the schema's types."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from simdeck_common.problems import Problem
from simdeck_hub.cli_inputs import parse

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "charge": {"type": "integer"},
        "fmax": {"type": "number"},
        "frequencies": {"type": "boolean"},
        "method": {"type": "string", "enum": ["GFN2-xTB", "GFN1-xTB"]},
        "label": {"type": "string"},
        "masses": {"type": "array", "items": {"type": "number"}},
        "options": {"type": "object"},
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "either": {"type": ["number", "string"]},
        "shared": {"$ref": "#/$defs/steps"},
        "structure": {"x-simdeck-type": "structure", "anyOf": [{"type": "object"}]},
        "basis": {"x-simdeck-type": "file", "type": "object"},
        "relax": {"type": "object", "properties": {"steps": {"type": "integer"}}, "additionalProperties": False},
    },
    "$defs": {"steps": {"type": "integer"}},
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("charge=-1", {"charge": -1}),
        ("fmax=5e-3", {"fmax": 0.005}),
        ("fmax=1", {"fmax": 1.0}),
        ("frequencies=yes", {"frequencies": True}),
        ("frequencies=false", {"frequencies": False}),
        ("method=GFN1-xTB", {"method": "GFN1-xTB"}),
        ("label=1", {"label": "1"}),
        ("label=a=b", {"label": "a=b"}),
        ("masses=[1, 2.5]", {"masses": [1, 2.5]}),
        ('options={"a": 1}', {"options": {"a": 1}}),
        ("limit=null", {"limit": None}),
        ("limit=3", {"limit": 3}),
        ("either=2.5", {"either": 2.5}),
        ("either=auto", {"either": "auto"}),
        ("shared=7", {"shared": 7}),
        ("relax.steps=10", {"relax": {"steps": 10}}),
        ('structure={"symbols": ["H"]}', {"structure": {"symbols": ["H"]}}),
    ],
)
def test_a_value_is_read_by_the_type_the_schema_declares(given: str, expected: dict[str, Any]) -> None:
    assert parse(SCHEMA, [given]) == expected


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ("charge=1.5", "charge", "not a whole number"),
        ("fmax=small", "fmax", "not a number"),
        ("frequencies=maybe", "frequencies", "neither true nor false"),
        ("masses={}", "masses", "array"),
        ("chrage=1", "chrage", "no such input"),
        ("relax.stpes=1", "relax.stpes", "no such input"),
        ("structure=nosuch.xyz", "structure", "cannot be read"),
        ("charge", "charge", "not name=value"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_name(given: str, field: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        parse(SCHEMA, [given])
    assert caught.value.field == field
    assert words in caught.value.detail


def test_an_input_given_twice_is_refused() -> None:
    with pytest.raises(Problem, match="twice"):
        parse(SCHEMA, ["charge=0", "charge=1"])


def test_a_structure_is_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "water.xyz"
    path.write_text("3\nwater\n", encoding="utf-8")
    assert parse(SCHEMA, [f"structure={path}"]) == {"structure": {"name": "water.xyz", "content": "3\nwater\n"}}


def test_a_binary_file_travels_as_base64_but_is_no_structure(tmp_path: Path) -> None:
    path = tmp_path / "basis.bin"
    path.write_bytes(b"\xff\xfe\x00")
    sent = parse(SCHEMA, [f"basis={path}"])["basis"]
    assert base64.b64decode(sent["base64"]) == b"\xff\xfe\x00"
    with pytest.raises(Problem, match="not a text file"):
        parse(SCHEMA, [f"structure={path}"])


def test_an_array_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "masses.json"
    path.write_text("[1.5]", encoding="utf-8")
    assert parse(SCHEMA, [f"masses={path}"]) == {"masses": [1.5]}
