"""From a description and values to argument lists, files and names: nothing of a value is read by a shell or a program."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from simdeck_common.placeholders import Placeholder, fill, only, placeholders, written
from simdeck_workflows.engine.commands import plan


def made(arguments: list[Any], values: dict[str, Any] | None = None, /, **inputs: dict[str, Any]) -> tuple[str, ...]:
    description = {"command": "run", "arguments": arguments, "inputs": inputs}
    return plan.make(description, values or {}, {"cores": 4}).arguments


STR, INT, FLOAT = {"type": "str"}, {"type": "int"}, {"type": "float"}
FLAG = {"type": "bool", "true": "--verbose", "false": ""}


@pytest.mark.parametrize(
    "value", ["two words", """it's "quoted\"""", "$(id) `id` $HOME", "ü→∞", "a\\b", "*?[x]", "", "{x}"]
)
def test_a_text_is_one_argument_as_it_is(value: str) -> None:
    assert made(["--title={x}", "{x}"], {"x": value}, x=STR) == (f"--title={value}", value)


def test_a_text_that_begins_with_a_dash_is_refused_where_it_would_be_an_option() -> None:
    with pytest.raises(plan.RefusedValueError) as caught:
        made(["{x}"], {"x": "-rf"}, x=STR)
    assert caught.value.field == "x"


@pytest.mark.parametrize("arguments", [["--title={x}"], ["--", "{x}"]])
def test_a_dash_is_taken_where_no_option_can_be(arguments: list[str]) -> None:
    assert made(arguments, {"x": "-rf"}, x=STR)[-1].endswith("-rf")


def test_a_negative_number_is_an_argument() -> None:
    assert made(["{n}", "{x:.2f}"], {"n": -3, "x": -1.5}, n=INT, x=FLOAT) == ("-3", "-1.50")


def test_what_was_put_in_is_not_looked_at_again() -> None:
    assert made(["{a}-{b}"], {"a": "{b}", "b": "{a}"}, a=STR, b=STR) == ("{b}-{a}",)


def test_braces_that_are_no_placeholder_stay() -> None:
    assert made(["{print $1}", "{{x}}", "{ }", "{X}"], {"x": 1}, x=INT) == ("{print $1}", "{x}", "{ }", "{X}")


def test_an_argument_or_a_group_whose_input_has_no_value_is_left_out() -> None:
    assert made(["a", ["--seed", "{n}"], "{n}"], {}, n=INT) == ("a",)
    assert made(["a", ["--seed", "{n}"]], {"n": 0}, n=INT) == ("a", "--seed", "0")


@pytest.mark.parametrize(("on", "words"), [(True, ("--verbose", "-l", "2")), (False, ())])
def test_a_flag_is_its_word_or_nothing(on: bool, words: tuple[str, ...]) -> None:
    assert made(["{v}"], {"v": on}, v=FLAG) == words[:1]
    assert made([["{v}", "-l", "2"]], {"v": on}, v=FLAG) == words


def test_a_list_of_files_is_as_many_arguments() -> None:
    assert made(["{f}", "x"], {"f": ["f/001-a", "f/002-b"]}, f={"type": "files"}) == ("f/001-a", "f/002-b", "x")


def test_resources_can_be_named() -> None:
    assert made(["-n", "{cores}"]) == ("-n", "4")


@pytest.mark.parametrize("value", ["two\nlines", "nul\0", "bell\a"])
def test_a_text_with_control_characters_goes_nowhere(value: str) -> None:
    with pytest.raises(plan.RefusedValueError):
        made(["--t={x}"], {"x": value}, x=STR)


@pytest.mark.parametrize("word", ["a b", "$HOME", "`id`", "$(id)", "\\", "\\\\$x", 'say "hi"', "it's", "ü", "!x"])
def test_a_word_survives_a_shell_between_double_quotes(word: str) -> None:
    # As AiiDA puts it there for a code in a container.
    quoted = '"' + plan.for_double_quotes(word).replace('"', '"\'"\'"') + '"'
    done = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, text=True, check=True)
    assert done.stdout == word


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("x = {x}", "x = 0.001"),
        ("x = {x:.1e}", "x = 1.0e-03"),
        ("x = {x!fortran}", "x = 0.001d0"),
        ("title = {t!fortran}", "title = 'it''s'"),
        ('{"t": {t!json}}', '{"t": "it\'s"}'),
        ("ok = {b!fortran} {b!json} {b}", "ok = .true. true yes"),
        ("n = {n:04d}; {{n}} {Y} {print}", "n = 0007; {n} {Y} {print}"),
    ],
)
def test_a_template_is_filled_in_as_its_language_wants(text: str, result: str) -> None:
    inputs = {"x": FLOAT, "t": STR, "n": INT, "b": {"type": "bool", "true": "yes", "false": "no"}}
    values = {"x": 0.001, "t": "it's", "n": 7, "b": True}
    description = {
        "command": "run",
        "inputs": {**inputs},
        "files": {"in": {"text": text.replace("{print}", "{{print}}")}},
    }
    assert plan.make(description, values, {}).files == {"in": result}


def test_a_plain_file_is_written_as_it_is() -> None:
    description = {"command": "run", "inputs": {"x": INT}, "files": {"a.awk": {"text": "{x} {{x}}", "plain": True}}}
    assert plan.make(description, {"x": 1}, {}).files == {"a.awk": "{x} {{x}}"}


def test_standard_input_is_a_file_of_the_app_or_an_input() -> None:
    description = {"command": "run", "inputs": {"t": {"type": "file"}}, "stdin": "{t}"}
    assert plan.make(description, {"t": "t.dat"}, {}).stdin == "t.dat"


@pytest.mark.parametrize("original", ["../../etc/passwd", "/etc/passwd", "-rf", ".bashrc", "a\nb", "stdout.txt"])
def test_the_name_of_a_file_cannot_lead_out_of_the_working_directory(original: str) -> None:
    name = plan.file_name("table", {"type": "file"}, original)
    assert name in ("table", "table.txt")
    [listed] = plan.list_names("many", {"type": "files"}, [original])
    assert listed.startswith("many/001-")
    assert listed.count("/") == 1
    assert ".." not in listed


def test_a_file_keeps_the_suffix_that_programs_look_at() -> None:
    assert plan.file_name("t", {"type": "file"}, "a.tar.gz") == "t.tar.gz"
    assert plan.file_name("t", {"type": "file", "name": "in.dat"}, "a.csv") == "in.dat"
    assert plan.file_name("s", {"type": "structure", "format": "poscar"}, "") == "s.vasp"


def test_each_file_is_brought_back_once() -> None:
    outputs = {
        "a": {"from": "stdout", "last_line": True},
        "b": {"file": "out/b.dat"},
        "c": {"from": "out/b.dat", "column": 1},
        "d": {"files": "f-*.txt"},
    }
    found = plan.sources({"outputs": outputs, "keep": ["*.log"]})
    assert found == ["stdout.txt", "stderr.txt", "exit-status.txt", "progress.jsonl", "out/b.dat", "f-*.txt", "*.log"]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (3, "No such column."),
        (4, "run ended with the exit status 4. It said: boom."),
        (127, "The program run is not on this machine."),
        (137, "often the memory was too little"),
        (139, "memory fault"),
        (200, "signal 72"),
    ],
)
def test_an_exit_status_is_told_in_words(status: int, words: str) -> None:
    description = {"command": "/opt/run", "exit_codes": {"3": "No such column."}}
    assert words in plan.failure(description, status, "boom.", "this machine")


@pytest.mark.parametrize(
    ("given", "value", "fits"),
    [
        ({"type": "int", "min": 1}, 0, False),
        ({"type": "float", "max": 2.0}, 2.5, False),
        ({"type": "float", "min": 0, "max": 2}, 2, True),
        ({"type": "choice", "choices": ["a", "b"]}, "c", False),
        ({"type": "str", "pattern": "^[A-Z]+$"}, "abc", False),
        ({"type": "str"}, "a\nb", False),
        ({"type": "str"}, "-x", True),
    ],
)
def test_values_are_checked_against_their_limits(given: dict[str, Any], value: Any, fits: bool) -> None:
    assert (plan.check(given, value) is None) is fits


def test_placeholders_are_found_with_their_forms() -> None:
    assert placeholders("{a}{b:.3f}{{c}}{d!json}{e f}") == [
        Placeholder("a"),
        Placeholder("b", ".3f"),
        Placeholder("d", "", "json"),
    ]
    assert (only("{a}"), only("{a} "), only("{a:.1f}")) == ("a", None, None)


def test_a_text_has_no_number_form() -> None:
    with pytest.raises(ValueError, match="no number"):
        fill("{t:.1f}", lambda place: written("x", place))
