"""The page that is made of a workflow's own description: its model and what it shows, on the stand-in for the API."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from simdeck_common.problems import Problem
from simdeck_widgets.workflow_model import LARGEST_FILE, WorkflowModel, as_input
from simdeck_widgets.workflow_page import WorkflowPage, curve_points, result_rows, shown
from simdeck_workflows.client import AsyncClient
from simdeck_workflows.models import OutputSpec

sys.path.insert(0, str(Path(__file__).parent))
from fake_api import create_app

WATER = b"3\n\nO 0 0 0\nH 0 0 0.96\nH 0 0.93 -0.24\n"


@pytest.fixture
async def model() -> AsyncIterator[WorkflowModel]:
    app = create_app(beat=0.001)
    async with AsyncClient("http://api", "token", transport=httpx.ASGITransport(app)) as api:
        made = WorkflowModel(api, "molecule.optimize")
        await made.connect()
        yield made
        made.run.close()
        for task in app.state.runs.tasks.values():
            task.cancel()


async def followed(model: WorkflowModel) -> None:
    """Wait for the open run to have ended and been read."""
    assert model.run._task is not None
    await asyncio.wait_for(model.run._task, 120)


async def test_the_form_is_the_workflows_schema_with_its_defaults(model: WorkflowModel) -> None:
    assert model.ready
    assert model.form.values["charge"] == 0
    assert list(model.file_inputs) == ["structure"]


async def test_nothing_can_be_submitted_before_the_needed_file_is_there(model: WorkflowModel) -> None:
    assert (model.can_submit, model.missing) == (False, ["Structure"])
    model.take_file("structure", "water.xyz", WATER)
    assert (model.can_submit, model.missing) == (True, [])


async def test_a_run_is_submitted_followed_and_listed(model: WorkflowModel) -> None:
    model.take_file("structure", "water.xyz", WATER)
    await model.submit()
    assert model.stage == "run"
    await followed(model)
    assert model.run.run["state"] == "finished"
    assert model.run.outputs["energy"]
    assert model.run.run["title"].startswith("water: ")
    await model.refresh_recent()
    assert [run["id"] for run in model.recent] == [model.run.id]


async def test_a_refusal_stands_next_to_its_field_and_goes_when_the_value_changes(model: WorkflowModel) -> None:
    model.take_file("structure", "water.xyz", WATER)
    model.form.values = {**model.form.values, "charge": 9}
    await model.submit()
    assert (model.stage, "charge" in model.form.errors) == ("prepare", True)
    model.form.values = {**model.form.values, "charge": 0}
    assert "charge" not in model.form.errors


async def test_a_refused_file_is_said_beside_its_chooser(model: WorkflowModel) -> None:
    model.take_file("structure", "water.xyz", WATER)
    model.refused(Problem("invalid-input", field="structure", detail="Two atoms overlap."))
    assert (model.file_errors, model.can_submit) == ({"structure": "Two atoms overlap."}, False)
    model.take_file("structure", "water.xyz", WATER)
    assert (model.file_errors, model.can_submit) == ({}, True)


async def test_a_file_that_is_too_large_is_refused_before_it_is_sent(model: WorkflowModel) -> None:
    model.take_file("structure", "big.xyz", b"x" * (LARGEST_FILE + 1))
    assert "at most 20 MB" in model.file_errors["structure"]
    assert model.files == {}


async def test_changing_a_run_brings_its_inputs_back_to_the_form(model: WorkflowModel) -> None:
    model.take_file("structure", "water.xyz", WATER)
    model.form.values = {**model.form.values, "fmax": 0.02}
    await model.submit()
    await followed(model)
    model.files = {}
    model.start_anew(keep=True)
    assert (model.stage, model.form.values["fmax"], model.files["structure"]["name"]) == ("prepare", 0.02, "water.xyz")


async def test_the_page_shows_form_then_run_then_results(model: WorkflowModel) -> None:
    page = WorkflowPage(model, curve=("step", "energy"))
    assert list(page.choosers) == ["structure"]
    assert page.form.hidden == ["structure"]
    assert page.submit.beside == "Choose a file for Structure first."
    model.take_file("structure", "water.xyz", WATER)
    assert (page.submit.disabled, page.choosers["structure"].summary) == (False, "water.xyz")
    await model.submit()
    assert (page.prepare.layout.display, page.running.layout.display) == ("none", None)
    await followed(model)
    assert page.results.layout.display is None
    assert "energy" in {row["title"] for row in page.table.rows}
    assert page.plot_card.layout.display is None
    assert page.plot.figure["layout"]["yaxis"]["title"]["text"].startswith("Energy")
    for task in list(page._tasks):
        await task


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"H 0 0 0\n", {"name": "a", "content": "H 0 0 0\n"}),
        (b"\xff\x00", {"name": "a", "base64": "/wA="}),
    ],
)
def test_a_file_is_sent_as_text_where_it_is_text(data: bytes, expected: dict[str, str]) -> None:
    assert as_input("a", data) == expected


def test_only_lines_with_both_numbers_are_drawn() -> None:
    lines: list[dict[str, Any]] = [
        {"step": 1, "energy": -1.5},
        {"step": 2},
        {"step": True, "energy": 1},
        {"message": "x"},
    ]
    assert curve_points(lines, ("step", "energy")) == [(1.0, -1.5)]
    assert curve_points(lines, None) == []


def test_results_stand_in_the_declared_order_with_their_units() -> None:
    specs = [OutputSpec(name="b", title="Second", type="Float", unit="eV"), OutputSpec(name="a", title="", type="Int")]
    rows = result_rows({"a": 1, "z": True, "b": -2.5}, specs)
    assert [(row["title"], row["value"], row["unit"]) for row in rows] == [
        ("Second", "−2.5", "eV"),
        ("a", "1", ""),
        ("z", "yes", ""),
    ]


def test_a_long_value_is_cut_with_a_word_on_where_the_rest_is() -> None:
    assert shown("x" * 300).endswith("(all of it is in the run's files)")
    assert shown({"symbols": ["H", "H"]}) == "2 atoms"
