"""Differences of runs, and what a sweep makes of its request. Pure functions, and the record of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from simdeck_common.problems import Problem
from simdeck_workflows.diff import diff
from simdeck_workflows.models import RunState
from simdeck_workflows.run_records import Records
from simdeck_workflows.store import Store, new_run
from simdeck_workflows.sweeps import SweepRequest, inputs_at, label, points, to_csv


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": 3}, [("a", 1, 3, None, 2)]),
        ({"a": True}, {"a": 1}, [("a", True, 1, None, None)]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [("a.b.1", 2, 3, None, 1)]),
        ({"a": 1}, {}, [("a", 1, None, "left", None)]),
        ({}, {"b": None}, [("b", None, None, "right", None)]),
        ({"a": []}, {"a": [1]}, [("a", [], None, "left", None), ("a.0", None, 1, "right", None)]),
    ],
)
def test_differences_are_named_by_their_path(left: Any, right: Any, expected: list[Any]) -> None:
    left, right = {"x": 0, **left}, {"x": 0, **right}
    found = [(one.path, one.left, one.right, one.only, one.change) for one in diff(left, right)]
    assert found == expected


def test_long_text_is_cut_where_it_is_shown_and_not_where_it_is_compared() -> None:
    [found] = diff({"a": "x" * 500 + "1"}, {"a": "x" * 500 + "2"})
    assert len(found.left) == len(found.right) == 200


def request(**given: Any) -> SweepRequest:
    return SweepRequest.model_validate({"workflow": "toy.bake", **given})


def test_a_grid_has_every_combination_and_together_goes_by_position() -> None:
    vary = {"a": [1, 2], "b": ["x", "y"]}
    grid = [tuple(point.values()) for point in points(request(vary=vary))]
    assert grid == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    assert points(request(vary=vary, mode="together")) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"vary": {"a": []}}, "vary.a"),
        ({"vary": {"a": [1], "b": [1, 2]}, "mode": "together"}, "vary"),
        ({"vary": {name: list(range(100)) for name in "abc"}}, "vary"),
        ({"vary": {"a": list(range(501))}, "mode": "together"}, "vary"),
    ],
)
def test_what_makes_no_sweep_is_refused_with_the_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as caught:
        points(request(**given))
    assert (caught.value.code, caught.value.field) == ("invalid-input", field)


def test_nothing_to_vary_is_no_sweep() -> None:
    with pytest.raises(ValidationError):
        request(vary={})


def test_a_dotted_name_reaches_into_an_object_and_leaves_the_others_alone() -> None:
    asked = request(inputs={"options": {"smearing": 0.1, "k": 4}}, vary={"options.k": [6]})
    assert inputs_at(asked, {"options.k": 6}) == {"options": {"smearing": 0.1, "k": 6}}
    assert asked.inputs == {"options": {"smearing": 0.1, "k": 4}}
    with pytest.raises(Problem, match="not an object"):
        inputs_at(request(inputs={"options": 3}, vary={"options.k": [6]}), {"options.k": 6})


def test_a_file_among_the_values_is_called_by_its_name() -> None:
    assert label({"structure": {"name": "water.xyz", "content": "…"}, "charge": 1}) == "structure water.xyz, charge 1"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs.sqlite")


def sweep_of(store: Store, values: list[Any], **given: Any) -> str:
    runs = [(new_run("toy.bake", "toy", "1.0", f"Bake {value}"), {"a": value}, {"a": value}) for value in values]
    return Records(store).accept_sweep(request(vary={"a": values}), "Bake", runs, **given).id


def test_a_sweeps_table_has_its_rows_in_order_with_what_is_known(store: Store) -> None:
    number = sweep_of(store, [1, 2, 3])
    first, second, _ = [row.run for row in Records(store).sweep(number).rows]
    store.end(first, RunState.FINISHED, summary={"energy": {"title": "Total energy", "value": -4.0, "unit": "eV"}})
    store.end(second, RunState.FAILED, problem={"detail": "It burnt."})
    table = Records(store).sweep(number)
    assert [(row.values, row.state.value, row.results, row.problem) for row in table.rows] == [
        ({"a": 1}, "finished", {"energy": -4.0}, None),
        ({"a": 2}, "failed", {}, "It burnt."),
        ({"a": 3}, "accepted", {}, None),
    ]
    assert table.states == {"finished": 1, "failed": 1, "accepted": 1}
    assert not table.ended
    assert to_csv(table).splitlines()[:2] == ["a,state,Total energy (eV),run", f"1,finished,-4.0,{first}"]


def test_text_in_a_table_is_no_formula_to_a_spreadsheet(store: Store) -> None:
    number = sweep_of(store, ["=HYPERLINK(1)", "-2", "-2+3"])
    assert [line.split(",")[0] for line in to_csv(Records(store).sweep(number)).splitlines()[1:]] == [
        "'=HYPERLINK(1)",
        "-2",
        "'-2+3",
    ]


def test_the_same_key_makes_one_sweep_with_one_set_of_runs(store: Store) -> None:
    assert sweep_of(store, [1], key="k", digest="d") == sweep_of(store, [1], key="k", digest="d")
    assert len(store.page().items) == 1
    with pytest.raises(Problem, match="different body"):
        sweep_of(store, [2], key="k", digest="other")


def test_a_deleted_run_leaves_its_sweep_and_nothing_else(store: Store) -> None:
    number = sweep_of(store, [1, 2])
    gone = Records(store).sweep(number).rows[0].run
    with pytest.raises(Problem) as caught:
        Records(store).delete(gone)
    assert caught.value.code == "run-not-ended"
    store.end(gone, RunState.CANCELLED)
    Records(store).delete(gone)
    assert [row.values for row in Records(store).sweep(number).rows] == [{"a": 2}]
    assert store.events(gone) == []
    with pytest.raises(Problem, match="have no run"):
        store.get(gone)


def test_a_forgotten_sweep_leaves_its_runs(store: Store) -> None:
    number = sweep_of(store, [1, 2])
    Records(store).forget_sweep(number)
    assert [run.sweep for run in store.page().items] == [None, None]
    with pytest.raises(Problem, match="no sweep"):
        Records(store).sweep(number)
