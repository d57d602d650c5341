"""The molecule page's state against the stand-in API: choosing, refusing, submitting, opening and coming back."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from simdeck_workflows.client import AsyncClient

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "apps" / "molecule"))
from fake_api import FakeRuns, create_app

pytest.importorskip("ase")
from simdeck_molecule.ui.model import MoleculeModel

XYZ = b"3\nwater\nO 0 0 0.119\nH 0 0.763 -0.477\nH 0 -0.763 -0.477\n"


@pytest.fixture
async def page() -> AsyncIterator[tuple[MoleculeModel, FakeRuns]]:
    app = create_app(beat=0.0)
    client = AsyncClient("http://api", "token", transport=httpx.ASGITransport(app=app))
    model = MoleculeModel(client)
    yield model, app.state.runs
    model.run.close()
    for task in app.state.runs.tasks.values():
        task.cancel()
    await client.close()


async def followed(model: MoleculeModel) -> None:
    """Wait for the open run to have ended and been read."""
    assert model.run._task is not None
    await asyncio.wait_for(model.run._task, 120)


Page = tuple[MoleculeModel, FakeRuns]


async def test_nothing_can_be_submitted_before_schema_and_structure_are_there(page: Page) -> None:
    model, _ = page
    await model.take_library("H2O")
    assert not model.can_submit
    await model.connect()
    assert model.can_submit
    model.structure = None
    assert not model.can_submit


async def test_an_unreadable_file_is_refused_and_the_form_stays(page: Page) -> None:
    model, _ = page
    await model.connect()
    await model.take_file("notes.xyz", b"not a structure")
    assert model.structure is None
    assert model.structure_error
    assert not model.busy
    assert not model.can_submit


async def test_a_files_atoms_and_a_molecules_spin_are_taken_over(page: Page) -> None:
    model, _ = page
    await model.connect()
    await model.take_file("water.xyz", XYZ)
    assert model.structure is not None
    assert model.structure.symbols == ("O", "H", "H")
    await model.take_library("O2")
    assert (model.form.values["multiplicity"], model.source) == (3, "O2")


async def test_charge_and_multiplicity_that_do_not_fit_are_said_by_the_field(page: Page) -> None:
    model, _ = page
    await model.connect()
    await model.take_library("H2O")
    model.form.values = {**model.form.values, "multiplicity": 2}
    assert "multiplicity" in model.form.errors
    assert not model.can_submit


async def test_a_run_is_submitted_followed_and_listed(page: Page) -> None:
    model, runs = page
    await model.connect()
    await model.take_library("H2O")
    model.form.values = {**model.form.values, "frequencies": False}
    await model.submit()
    assert model.stage == "run"
    await followed(model)
    assert model.run.run["state"] == "finished"
    (only,) = runs.runs
    assert runs.inputs[only]["structure"]["symbols"] == ["O", "H", "H"]
    assert runs.runs[only]["title"] == "water: optimisation"
    assert [run["id"] for run in model.recent.runs] == [only]


async def test_the_title_says_the_charge_with_its_sign(page: Page) -> None:
    model, _ = page
    await model.connect()
    await model.take_library("H2O")
    model.form.values = {**model.form.values, "charge": -1, "multiplicity": 2}
    assert model.title() == "water (−1): optimisation and frequencies"


async def test_a_refused_field_keeps_the_person_at_the_form(page: Page) -> None:
    model, runs = page
    await model.connect()
    await model.take_library("H2O")
    model.form.values = {**model.form.values, "charge": 9, "multiplicity": 0}
    model.form.errors, model.form.valid = {}, True
    await model.submit()
    assert model.stage == "prepare"
    assert model.form.errors["charge"] == "A charge of +9 is more than this molecule can lose."
    assert runs.runs == {}


async def test_an_agent_that_is_away_is_said_and_tried_again(page: Page) -> None:
    model, runs = page
    runs.down = True
    await model.connect()
    assert model.problem["code"] == "agent-unavailable"
    assert not model.ready
    runs.down = False
    await model.connect()
    assert model.problem == {}
    assert model.ready


async def test_a_run_that_does_not_exist_leads_back_to_the_form(page: Page) -> None:
    model, _ = page
    await model.connect()
    await asyncio.wait_for(model.open("no-such-run"), 120)
    assert model.problem["code"] == "run-not-found"
    assert model.stage == "prepare"


async def test_changing_a_runs_inputs_starts_from_what_it_had(page: Page) -> None:
    model, _ = page
    await model.connect()
    await model.take_library("NH3")
    model.form.values = {**model.form.values, "frequencies": False, "fmax": 0.02}
    await model.submit()
    await followed(model)
    await model.take_library("H2O")
    model.start_anew(keep=True)
    assert (model.stage, model.run.run, model.form.values["fmax"]) == ("prepare", {}, 0.02)
    assert model.structure is not None
    assert (model.structure.name, len(model.structure.symbols)) == ("ammonia", 4)


async def test_a_run_rejected_by_the_deep_check_says_why_by_its_field(page: Page) -> None:
    model, _ = page
    await model.connect()
    await model.take_library("H2O")
    model.stage = "run"
    model.run.inputs = {"structure": model.structure.to_input(), "charge": 2}  # type: ignore[union-attr]
    refusal: dict[str, Any] = {"code": "invalid-input", "title": "t", "detail": "Too hot.", "remedy": "", "status": 422}
    model.run.run = {
        "id": "a",
        "title": "water: x",
        "state": "rejected",
        "problem": {**refusal, "field": "temperature"},
    }
    assert model.stage == "prepare"
    assert model.form.errors["temperature"] == "Too hot."
    assert model.form.values["charge"] == 2
