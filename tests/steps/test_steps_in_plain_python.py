"""What decorators make of functions, without an engine: words, schemas, and plain calls."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import steps_toy
from pydantic import Field
from simdeck_workflows.steps import Failure, StepError, Unit, step, workflow
from simdeck_workflows.steps.encode import decoded, dumps
from simdeck_workflows.steps.signature import kind_of, read


@workflow(title="A scan", inputs={"mode": {"choices": ["a", "b"]}})
def scan(
    values: Annotated[list[float], Field(min_length=1), Unit("Å")],
    mode: str = "a",
    cutoff: Annotated[float | None, Field(gt=0, title="Cut-off"), Unit("eV")] = None,
    kind: Literal["fast", "exact"] = "fast",
) -> Annotated[float, Unit("eV")]:
    """Scan a
    distance.

    More words.

    Parameters
    ----------
    values : list of float
        Distances
        to try.
    mode
        How.
    """
    return sum(values)


def test_annotations_and_docstring_say_what_a_form_needs() -> None:
    said = scan.SIMDECK
    assert (said["title"], said["summary"], said["headline"]) == ("A scan", "Scan a distance.", ["result"])
    assert said["inputs"]["values"] == {
        "title": "Values",
        "items": {"type": "number"},
        "minItems": 1,
        "x-simdeck-unit": "Å",
        "help": "Distances to try.",
    }
    assert said["inputs"]["mode"] == {"title": "Mode", "help": "How.", "choices": ["a", "b"]}
    assert said["inputs"]["cutoff"] == {"title": "Cut-off", "exclusiveMinimum": 0, "x-simdeck-unit": "eV"}
    assert said["inputs"]["kind"]["enum"] == ["fast", "exact"]
    assert said["outputs"] == {"result": {"title": "Result", "unit": "eV"}}


def test_fields_of_what_is_returned_are_outputs_of_their_own() -> None:
    assert steps_toy.stiffness.SIMDECK["outputs"]["stiffness"] == {"title": "Stiffness", "unit": "eV"}
    assert steps_toy.stiffness.SIMDECK["headline"] == ["stiffness", "points"]


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (bool, "boolean"),
        (int, "integer"),
        (float | int, "number"),
        (dict[str, float], "object"),
        (tuple[int, int], "array"),
        (Literal[1, 2], "integer"),
        (int | str, "any"),
        (Any, "any"),
        (bytes, None),
        (object, None),
    ],
)
def test_the_kind_of_a_value_comes_from_its_annotation(annotation: Any, kind: str | None) -> None:
    assert kind_of(annotation) == kind


def test_a_parameter_without_annotation_is_refused_with_what_to_write() -> None:
    def bad(x):  # type: ignore[no-untyped-def]
        return x

    with pytest.raises(TypeError, match="the parameter x needs an annotation"):
        read(bad)


def test_a_name_that_map_takes_itself_is_refused() -> None:
    def bad(failures: int) -> int:
        return failures

    with pytest.raises(TypeError, match="failures cannot be a parameter"):
        step(bad)


@step(retries=2, retry_on=(ConnectionError,))
def fetch(name: str, log: list[str]) -> str:
    log.append(name)
    if name == "flaky" and log.count(name) < 3:
        raise ConnectionResetError("gone")
    if name == "bad":
        raise KeyError(name)
    return name.upper()


def test_in_plain_python_a_map_retries_what_the_step_names_and_nothing_else() -> None:
    log: list[str] = []
    found = fetch.map(["flaky", "bad", "good"], log=log, failures="keep")
    assert found[0] == "FLAKY"
    assert found[2] == "GOOD"
    assert isinstance(found[1], Failure)
    assert (found[1].number, found[1].type, found[1].attempts) == (1, "KeyError", 1)
    assert (log.count("flaky"), log.count("bad")) == (3, 1)


def test_a_map_that_fails_tells_of_each_element() -> None:
    with pytest.raises(StepError) as failed:
        fetch.map(["good", "bad", "bad"], log=[])
    assert len(failed.value.failures) == 2
    assert "Fetch failed for 2 of 3: no. 2 (name='bad', log=" in str(failed.value)


def test_outside_of_the_engine_a_workflow_is_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = str(tmp_path / "ledger")
    assert steps_toy.stiffness(ledger, [1.0, 2.0]) == {"stiffness": pytest.approx(2.0), "points": 2}


@dataclass
class Point:
    x: float
    y: float


def test_values_go_into_a_job_and_come_back() -> None:
    value = {"p": Point(1.0, 2.0), "pairs": [(1, 2)], "none": None}
    assert decoded(json.loads(dumps(value))) == {"p": {"x": 1.0, "y": 2.0}, "pairs": [[1, 2]], "none": None}


@pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
def test_what_is_not_a_number_is_not_written_down(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        dumps(value)


def test_what_nobody_can_read_back_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="a bytes cannot be written down"):
        dumps(b"x")
