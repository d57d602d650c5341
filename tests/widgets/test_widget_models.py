"""The kit's models, without a browser and without a kernel."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from simdeck_widgets.failure import words_for
from simdeck_widgets.form_model import FormModel, schema_errors
from simdeck_widgets.plot import to_csv
from simdeck_widgets.run_model import RunModel
from simdeck_widgets.run_monitor import RunMonitor, file_name, offered
from simdeck_widgets.run_table import row
from simdeck_widgets.viewer import StructureViewer, describe
from simdeck_workflows.client import AsyncClient

sys.path.insert(0, str(Path(__file__).parent))
from fake_api import SCHEMA, FakeRuns, create_app

WATER = {"structure": {"symbols": ["O", "H", "H"], "positions": [[0, 0, 0], [0, 0, 0.97], [0.93, 0, -0.24]]}}


@pytest.fixture
async def api() -> AsyncIterator[tuple[AsyncClient, FakeRuns]]:
    app = create_app(beat=0.0)
    client = AsyncClient("http://api", "token", transport=httpx.ASGITransport(app=app))
    yield client, app.state.runs
    await client.close()


def test_a_form_starts_with_the_schemas_defaults() -> None:
    form = FormModel()
    form.load(SCHEMA)
    assert form.values["fmax"] == 0.005
    assert "structure" not in form.values
    assert form.valid


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("charge", 11, "Total charge must be between -10 and 10 e; it is 11."),
        ("charge", 1.5, "Total charge must be a whole number."),
        ("fmax", "much", "Force threshold must be a number."),
        ("method", "PM6", "Method must be one of GFN2-xTB, GFN1-xTB, IPEA1-xTB."),
    ],
)
def test_a_value_outside_the_schema_gets_a_sentence(field: str, value: Any, sentence: str) -> None:
    assert schema_errors(SCHEMA, {field: value}) == {field: sentence}


def test_a_form_shows_what_only_the_values_together_can_tell() -> None:
    form = FormModel(check=lambda values: {"multiplicity": "does not fit"} if values.get("charge") == 1 else {})
    form.load(SCHEMA)
    assert form.valid
    form.values = {**form.values, "charge": 1}
    assert form.errors == {"multiplicity": "does not fit"}
    assert not form.valid


def test_the_services_sentence_stays_until_its_field_changes() -> None:
    form = FormModel()
    form.load(SCHEMA)
    form.refuse("charge", "too much")
    form.values = {**form.values, "fmax": 0.01}
    assert form.errors == {"charge": "too much"}
    form.values = {**form.values, "charge": 1}
    assert form.errors == {}


async def test_a_run_is_followed_to_its_results(api: Any) -> None:
    client, _ = api
    run = await client.submit("molecule.optimize", WATER, title="water")
    model = RunModel(client)
    await model.open(run.id)
    assert model.run["state"] == "finished"
    assert model.outputs["energy"] < 0
    assert [line["step"] for line in model.progress if line.get("stage") == "optimise" and "step" in line][:3] == [
        0,
        1,
        2,
    ]
    assert model.inputs == WATER


async def test_the_end_of_a_run_is_shown_together_with_its_results(api: Any) -> None:
    client, _ = api
    run = await client.submit("molecule.optimize", WATER)
    model = RunModel(client)
    seen: list[bool] = []
    model.observe(lambda change: change["new"].get("state") == "finished" and seen.append(bool(model.outputs)), ["run"])
    await model.open(run.id)
    assert seen
    assert all(seen)


async def test_a_run_is_followed_through_an_outage_of_the_service(api: Any) -> None:
    client, _ = api

    class Broken:
        """Answers 503 the first time it is asked for a run."""

        failures = 1

        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        async def run(self, run_id: str) -> Any:
            if self.failures:
                self.failures -= 1
                raise httpx.ConnectError("refused")
            return await client.run(run_id)

    run = await client.submit("molecule.optimize", WATER)
    model = RunModel(Broken(), delays=(0.0,))
    states: list[str] = []
    model.observe(lambda change: states.append(change["new"]), ["connection"])
    await model.open(run.id)
    assert states[:2] == ["lost", "live"]
    assert model.run["state"] == "finished"


async def test_a_run_that_does_not_exist_ends_the_following(api: Any) -> None:
    client, _ = api
    model = RunModel(client)
    await model.open("no-such-run")
    assert model.error is not None
    assert words_for(model.error)["code"] == "run-not-found"


async def test_cancel_and_retry_go_through_the_model(api: Any) -> None:
    client, _ = api
    run = await client.submit("molecule.optimize", {**WATER, "max_steps": 2})
    model = RunModel(client)
    task = model.open(run.id)
    while model.run.get("state") != "running":  # noqa: ASYNC110
        await asyncio.sleep(0)
    await model.cancel()
    await task
    assert model.run["state"] == "cancelled"
    fresh = await model.retry()
    assert fresh != run.id
    model.close()


def test_each_state_offers_what_makes_sense() -> None:
    assert offered({"state": "accepted"}, True) == ["cancel", "new"]
    assert offered({"state": "running", "paused": True}, True) == ["resume", "cancel", "new"]
    assert offered({"state": "finished"}, True) == ["change", "archive", "new"]
    assert offered({"state": "failed"}, True) == ["change", "retry", "archive", "new"]
    assert offered({}, True) == []


async def test_a_failing_action_is_told_and_the_buttons_come_back(api: Any) -> None:
    client, _ = api
    told: list[BaseException] = []
    monitor = RunMonitor(RunModel(client), failed=told.append)

    async def refuse() -> None:
        raise httpx.ConnectError("refused")

    await monitor.perform("cancel", refuse)
    assert monitor.busy == ""
    assert words_for(told[0])["code"] == "unreachable"


def test_unknown_exceptions_are_told_without_a_traceback() -> None:
    words = words_for(KeyError("x"))
    assert words["title"]
    assert "Traceback" not in words["detail"]


def test_a_structure_is_described_for_a_screen_reader() -> None:
    assert "3 atoms (1 O, 2 H)" in describe(["O", "H", "H"], "water")


def test_showing_a_structure_stops_a_vibration() -> None:
    viewer = StructureViewer()
    viewer.show(["H", "H"], [[0, 0, 0], [0, 0, 0.74]])
    viewer.vibrate([[0, 0, 1], [0, 0, -1]])
    viewer.show(["H"], [[0, 0, 0]])
    assert viewer.mode == []


def test_a_list_line_shows_the_headline_with_its_unit() -> None:
    run = {
        "id": "1",
        "title": "t",
        "state": "finished",
        "created": "now",
        "summary": {"energy": {"value": -1.0, "unit": "eV"}},
    }
    assert row(run, "energy")["headline"] == "−1.0000 eV"
    assert row({**run, "summary": None}, "energy")["headline"] == ""


def test_csv_and_file_names_are_safe() -> None:
    assert to_csv(["a, b"], [[1, 'x"y']]) == '"a, b"\n1,"x""y"\n'
    assert file_name("../../etc: H₂O (2+)") == "etc-H₂O-2"


def test_the_kit_brings_no_heavy_imports() -> None:
    import subprocess

    code = (
        "import sys, importlib\n"
        "for n in ('viewer','plot','form','chooser','results','run_monitor','run_table','failure','layout'): importlib.import_module('simdeck_widgets.' + n)\n"
        "print([m for m in ('numpy', 'aiida', 'ase', 'fastapi', 'sqlalchemy', 'jupyter_server') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"
