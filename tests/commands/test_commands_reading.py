"""What results are read out of the files of a program."""

from __future__ import annotations

from typing import Any

import pytest
from simdeck_workflows.engine.commands import reading

TABLE = "# step energy\n1 -1.5\n2 -2.5D-01\n"
CSV = 'name, energy\n"a, b",1.5\nc,2.5\n'


@pytest.mark.parametrize(
    ("output", "text", "value"),
    [
        ({"pattern": r"E = (\S+)"}, "E = 1\nE = -2.5e-3 eV\n", -0.0025),
        ({"pattern": r"E = (\S+)"}, "E = 1.5D+02", 150.0),
        ({"pattern": r"E = (\S+)", "type": "list"}, "E = 1\nE = 2.5\n", [1, 2.5]),
        ({"pattern": r"^done", "type": "str"}, "not\ndone\n", "done"),
        ({"pattern": r"converged: (\w+)", "type": "bool"}, "converged: .TRUE.\nconverged: T", True),
        ({"pattern": r"n=(\d+)", "type": "int"}, "n=3", 3),
        ({"last_line": True, "type": "int"}, "a\n42\n\n", 42),
        ({"last_line": True, "type": "str"}, "a\n ünï \n", "ünï"),
        ({"json": "/a/1/b~1c"}, '{"a": [0, {"b/c": 2}]}', 2.0),
        ({"json": "", "type": "dict"}, '{"a": 1}', {"a": 1}),
        ({"json": "/v", "type": "list"}, '{"v": [1, 2]}', [1, 2]),
        ({"column": "energy", "type": "list"}, TABLE, [-1.5, -0.25]),
        ({"column": "energy"}, CSV, 2.5),
        ({"column": "name", "type": "list"}, CSV, ["a, b", "c"]),
        ({"column": 2}, TABLE, -0.25),
        ({"column": 1, "type": "list"}, "1;2\n3;4\n", [1, 3]),
    ],
)
def test_a_value_is_found(output: dict[str, Any], text: str, value: Any) -> None:
    assert reading.value(output, text) == value


@pytest.mark.parametrize(
    ("output", "text", "words"),
    [
        ({"pattern": r"E = (\S+)"}, "none", "nothing matches"),
        ({"pattern": r"E = (\S+)"}, "E = ****", "is no number"),
        ({"pattern": r"E = (\S+)"}, "E = NaN", "no number that can be kept"),
        ({"last_line": True}, "\n \n", "no line"),
        ({"last_line": True, "type": "int"}, "1.5", "no whole number"),
        ({"json": "/a/b"}, '{"a": []}', "there is no /a/b"),
        ({"json": "/a"}, '{"a": null}', "says null"),
        ({"json": "/a"}, "{", "no JSON"),
        ({"json": "/a", "type": "list"}, '{"a": 1}', "is no list"),
        ({"column": "x"}, CSV, "no column x"),
        ({"column": 9}, TABLE, "no column 9"),
        ({"column": 1}, "", "no rows"),
        ({"pattern": r"(\w+)", "type": "bool"}, "maybe", "neither true nor false"),
    ],
)
def test_a_value_that_is_not_there_is_told(output: dict[str, Any], text: str, words: str) -> None:
    with pytest.raises(reading.UnreadableError, match=words):
        reading.value(output, text)


@pytest.mark.parametrize(
    ("pattern", "path", "is_meant"),
    [
        ("*.dat", "a.dat", True),
        ("*.dat", "out/a.dat", False),
        ("out/f-?.dat", "out/f-1.dat", True),
        ("out/f-?.dat", "out/f-10.dat", False),
        ("a.dat", "axdat", False),
    ],
)
def test_a_pattern_stays_in_its_folder(pattern: str, path: str, is_meant: bool) -> None:
    assert bool(reading.matches(pattern, path)) is is_meant


def test_a_parser_that_fails_is_told_with_its_error() -> None:
    with pytest.raises(reading.UnreadableError, match="ModuleNotFoundError"):
        reading.call("no_such_module_of_an_app:read", None, {})
    with pytest.raises(reading.UnreadableError, match="did not return a dictionary"):
        reading.call("operator:is_", None, {})
