"""The wizard's state against a stand-in for the API: choosing, refusing, submitting, following, curing, coming back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from ase.build import bulk
from simdeck_common.problems import Problem
from simdeck_quantum_espresso import pseudopotentials, settings
from simdeck_quantum_espresso.annotations import PROPERTIES
from simdeck_quantum_espresso.ui.model import CrystalModel
from simdeck_quantum_espresso.ui.page import Page
from simdeck_widgets.optimade import Found
from simdeck_workflows.models import Event, Run, RunPage
from simdeck_workflows.pseudopotentials import RunFamily

KINDS = {bool: "boolean", int: "integer", float: "number", str: "string"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["structure"],
    "properties": {
        "structure": {"type": "object", "x-simdeck-type": "structure"},
        "origin": {"type": "object"},
        **{
            name: {
                "type": KINDS[type(value)], "default": value,
                **{key: about for key, about in PROPERTIES["inputs"][name].items() if key in {"title", "enum", "minimum", "maximum"}},
            }
            for name, value in settings.DEFAULTS.items()
        },
    },
}  # fmt: skip
NOW = "2026-01-01T00:00:00Z"
SCF = [
    {"stage": "scf", "cycle": 1, "step": n, "energy": -278.0 - n * 0.01, "accuracy": 10.0**-n, "energy_unit": "eV"}
    for n in (1, 2, 3)
]
OUTPUTS: dict[str, Any] = {
    "structure": {"symbols": ["Si", "Si"], "positions": bulk("Si").positions.tolist(), "cell": bulk("Si").cell.tolist()},
    "properties": {"energy": -278.07, "metal": False, "gap": 0.575, "direct": False, "direct_gap": 2.56, "valence": 6.2,
                   "fermi_energy": 6.23, "functional": "PBE", "mesh": [7, 7, 7], "cutoff": 44.0, "density_cutoff": 176.0,
                   "smearing": "cold", "width": 0.37, "pseudopotentials": {"Si": "Si.UPF"}},
    "forces": {"forces": [[0.0, 0.0, -1e-9], [0.0, 0.0, 0.0]], "stress": [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]},
    "bands": {"distance": [0.0, 1.0], "energies": [[[5.0, 8.0], [6.2, 6.775]]]},
    "band_path": {"ticks": [{"at": 0.0, "label": "Γ"}, {"at": 1.0, "label": "X"}], "breaks": [], "metal": False, "zero": 6.2,
                  "fermi_energy": 6.23, "valence": 6.2, "conduction": 6.775, "valence_at": 1.0, "conduction_at": 1.0},
    "dos": {"energies": [5.0, 6.0, 7.0], "total": [[1.0, 2.0, 0.5]], "Si_p": [[0.8, 1.5, 0.4]]},
}  # fmt: skip


class FakeApi:
    """What of the client the page uses; a run plays its progress and ends as ``ending`` says."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.given: dict[str, dict[str, Any]] = {}
        self.ending = "finished"
        self.problem: dict[str, Any] | None = None
        self.refusal: Problem | None = None
        self.asked = 0

    async def workflow(self, name: str) -> Any:
        return type("Workflow", (), {"input_schema": SCHEMA})

    async def page(self, **_: Any) -> RunPage:
        return RunPage(items=[Run.model_validate(run) for run in self.runs.values()], next_cursor=None)

    async def validate(self, name: str, inputs: dict[str, Any]) -> None:
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal

    async def submit(self, workflow: str, inputs: dict[str, Any], *, title: str = "") -> Run:
        if self.refusal is not None:
            raise self.refusal
        run = {"id": f"run-{len(self.runs)}", "workflow": workflow, "app": "quantum-espresso", "app_version": "1.0.0",
               "title": title, "state": "running", "created": NOW}  # fmt: skip
        self.runs[run["id"]], self.given[run["id"]] = run, inputs
        return Run.model_validate(run)

    async def run(self, run_id: str) -> Run:
        if run_id not in self.runs:
            raise Problem("run-not-found", run=run_id)
        return Run.model_validate(self.runs[run_id])

    async def inputs(self, run_id: str) -> dict[str, Any]:
        return self.given[run_id]

    async def outputs(self, run_id: str) -> dict[str, Any]:
        return OUTPUTS if self.ending == "finished" else {"structure": OUTPUTS["structure"]}

    async def events(self, run_id: str, after: int = 0) -> AsyncIterator[Event]:
        for seq, data in enumerate(SCF, start=1):
            yield Event(seq=seq, time=NOW, type="progress", data=data)
        self.runs[run_id] |= {"state": self.ending, "ended": NOW, "problem": self.problem}

    async def archive(self, run_id: str, target: Any) -> Any:
        return target


@pytest.fixture
async def page(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Page, CrystalModel, FakeApi]]:
    # Whatever this machine has: silicon in PBE, aluminium in LDA.
    ours = [
        pseudopotentials.Pseudopotential(element, functional, "NC", 4, pseudopotentials.Path("x.UPF"), 30.0, 120.0)
        for element, functional in (("Si", "PBE"), ("Al", "LDA"), ("Fe", "PBE"))
    ]
    monkeypatch.setattr(pseudopotentials, "folders", lambda *_: (pseudopotentials.Path("/"),))
    monkeypatch.setattr(pseudopotentials, "available", lambda places: tuple(ours))
    api = FakeApi()
    model = CrystalModel(api)
    shown = Page(model)
    await model.connect()
    yield shown, model, api
    model.run.close()


Opened = tuple[Page, CrystalModel, FakeApi]


async def until(condition: Callable[[], bool]) -> None:
    """Wait, bounded, for something to become true."""
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def ended(model: CrystalModel) -> None:
    """Wait for the open run to have ended and been read."""
    assert model.run._task is not None
    await asyncio.wait_for(model.run._task, 120)


def states(model: CrystalModel) -> dict[str, str]:
    return {name: model.state_of(name) for name in ("structure", "properties", "resources", "run", "results")}


async def test_steps_open_one_after_the_other(page: Opened) -> None:
    _, model, _ = page
    assert states(model) == {
        "structure": "open",
        "properties": "locked",
        "resources": "locked",
        "run": "locked",
        "results": "locked",
    }
    model.go("properties")
    assert model.step == "structure"
    await model.take_library("si")
    assert states(model)["properties"] == "open"
    model.go("properties")
    assert model.step == "properties"


async def test_the_cutoffs_of_the_protocol_are_shown_and_change_with_it(page: Opened) -> None:
    shown, model, _ = page
    await model.take_library("si")
    before = shown.numbers.rows
    assert any("k-points" in row["what"] for row in before)
    model.form.values = {**model.form.values, "protocol": "precise"}
    assert shown.numbers.rows != before
    assert "core-hours" in shown.picker.summary.text


async def test_a_crystal_without_its_pseudopotential_is_given_the_functional_that_has_one(page: Opened) -> None:
    _, model, _ = page
    await model.take_library("al")
    assert model.form.values["functional"] == "LDA"
    model.form.values = {**model.form.values, "functional": "PBE"}
    assert "no PBE pseudopotential for Al" in model.form.errors["functional"]
    assert model.state_of("properties") == "attention"
    assert not model.can_submit


async def test_iron_is_suggested_to_be_magnetic(page: Opened) -> None:
    _, model, _ = page
    await model.take_library("fe")
    assert model.form.values["magnetism"] == "ferromagnetic"
    await model.take_library("si")
    assert model.form.values["magnetism"] == "none"


async def test_an_unreadable_file_is_refused_and_forgets_the_crystal_before(page: Opened) -> None:
    shown, model, _ = page
    await model.take_library("si")
    await model.take_file("water.xyz", b"1\nwater\nO 0 0 0\n")
    assert model.crystal is None
    assert "no cell" in shown.chooser.error
    assert model.state_of("structure") == "attention"


async def test_cells_and_lattices_are_built(page: Opened) -> None:
    _, model, _ = page
    model.lattice.values = {"lattice": "rocksalt", "formula": "Si", "a": 4.0, "c": 0.0}
    await model.take_lattice()
    assert "takes 2 atoms" in model.lattice.errors["formula"]
    model.lattice.values = {"lattice": "diamond", "formula": "Si", "a": 5.43, "c": 0.0}
    await model.take_lattice()
    await model.change_cell("conventional")
    assert model.crystal is not None
    assert len(model.crystal.symbols) == 8
    model.repeats.values = {"along_a": 2, "along_b": 1, "along_c": 1}
    await model.change_cell("supercell")
    assert len(model.crystal.symbols) == 16
    model.repeats.values = {"along_a": 6, "along_b": 6, "along_c": 6}
    await model.change_cell("supercell")
    assert "at most 200" in model.repeats.errors["along_a"]
    await model.change_cell("primitive")
    assert len(model.crystal.symbols) == 2


async def test_the_service_is_asked_before_the_run_and_its_word_stops_it(page: Opened) -> None:
    shown, model, api = page
    await model.take_library("si")
    api.refusal = Problem("invalid-input", field="structure", detail="pw.x is not installed on this machine.")
    model.go("resources")
    await model.ask_service()
    assert "pw.x is not installed" in shown.refusal.problem["detail"]
    assert not model.can_submit
    api.refusal = None
    await model.ask_service()
    assert model.can_submit


async def test_a_run_is_followed_to_its_results(page: Opened) -> None:
    shown, model, _ = page
    await model.take_library("si")
    await model.submit()
    assert model.step == "run"
    await ended(model)
    assert model.step == "results"
    assert len(shown.convergence.figure["data"][0]["x"]) == 3
    assert shown.results.bands.csv.startswith("distance")
    assert shown.results.dos.csv.startswith("energy / eV,total / (1/eV),Si p")
    assert (
        shown.results.bands.figure["layout"]["yaxis"]["range"] == shown.results.dos.figure["layout"]["yaxis"]["range"]
    )
    rows = {row["what"]: row["value"] for row in shown.results.summary.rows}
    assert rows["Band gap (indirect)"] == "0.575"
    assert rows["Pressure"] == "−1.00"
    assert [row["z"] for row in shown.results.forces.rows] == ["0.00000", "0.00000"]


async def test_an_earlier_run_fills_every_step(page: Opened) -> None:
    _, model, _ = page
    await model.take_library("si")
    model.form.values = {**model.form.values, "protocol": "fast", "k_spacing": 0.5}
    await model.submit()
    await ended(model)
    model.start_anew(keep=False)
    await model.take_library("al")
    model.open("run-0")
    await ended(model)
    assert model.crystal is not None
    assert model.crystal.formula == "Si2"
    assert model.form.values["k_spacing"] == 0.5
    assert states(model)["structure"] == "done"
    model.go("properties")
    assert model.step == "properties"
    model.go("results")
    assert model.step == "results"


async def test_a_failed_field_offers_cures_that_change_the_inputs(page: Opened) -> None:
    shown, model, api = page
    await model.take_library("fe")
    model.form.values = {**model.form.values, "magnetism": "none"}
    api.ending = "failed"
    api.problem = {
        "code": "calculation-failed",
        "title": "Failed",
        "detail": "It did not become self-consistent.",
        "status": 422,
    }
    await model.submit()
    await ended(model)
    assert [one["id"] for one in shown.cures.buttons] == ["magnetic", "calmer", "wider"]
    model.cure("magnetic")
    assert model.step == "properties"
    assert model.form.values["magnetism"] == "ferromagnetic"
    assert model.can_submit


async def test_a_run_that_is_not_there_leaves_the_first_step(page: Opened) -> None:
    _, model, _ = page
    await model.open("run-9")
    assert model.step == "structure"
    assert model.problem["code"] == "run-not-found"


async def test_a_refusal_goes_next_to_its_field(page: Opened) -> None:
    _, model, api = page
    await model.take_library("si")
    api.refusal = Problem("invalid-input", field="cores", detail="There are only 2 cores here.")
    await model.submit()
    assert model.step == "resources"
    assert model.form.errors["cores"] == "There are only 2 cores here."


ORIGIN = {
    "provider": "cod",
    "id": "9008566",
    "url": "https://example.org/v1/structures/9008566",
    "text": "Si, entry 9008566 of COD",
}
ENTRY = Found(
    "9008566", "Si", 2, ("Si", "Si"), ((0.0, 0.0, 0.0), (1.35775, 1.35775, 1.35775)),
    ((0.0, 2.7155, 2.7155), (2.7155, 0.0, 2.7155), (2.7155, 2.7155, 0.0)),
)  # fmt: skip


async def test_a_crystal_of_a_database_is_submitted_with_where_it_came_from(page: Opened) -> None:
    _, model, api = page
    await model.take_entry(ENTRY, ORIGIN)
    assert model.crystal is not None
    assert model.crystal.details[-1] == "From Si, entry 9008566 of COD"
    await model.change_cell("conventional")
    await model.submit()
    assert api.given["run-0"]["origin"] == ORIGIN
    assert len(api.given["run-0"]["structure"]["symbols"]) == 8


async def test_a_crystal_of_the_library_is_submitted_without_an_origin(page: Opened) -> None:
    _, model, api = page
    await model.take_library("si")
    await model.submit()
    assert "origin" not in api.given["run-0"]


async def test_an_entry_that_is_no_crystal_is_refused_in_words(page: Opened) -> None:
    _, model, _ = page
    close = Found("x", "Si", 2, ("Si", "Si"), ((0.0, 0.0, 0.0), (0.1, 0.0, 0.0)), ENTRY.cell)
    await model.take_entry(close, ORIGIN)
    assert model.crystal is None
    assert "overlap" in model.structure_error


async def test_an_edited_atom_changes_the_crystal_and_what_makes_none_is_said(page: Opened) -> None:
    shown, model, _ = page
    await model.take_entry(ENTRY, ORIGIN)
    model.atoms.change(1, "x", "1.45")
    assert model.crystal is not None
    assert model.crystal.positions[1][0] == pytest.approx(1.45)
    assert model.crystal.origin is not None
    assert model.crystal.origin["text"].endswith("edited since")
    model.atoms.change(1, "x", "0")
    model.atoms.change(1, "y", "0")
    model.atoms.change(1, "z", "0")
    assert "overlap" in shown.chooser.error
    assert not model.can_submit
    model.atoms.undo()
    assert model.structure_error == ""
    assert model.can_submit


def family(name: str, functional: str, *elements: str, left_out: tuple[str, ...] = ()) -> RunFamily:
    members = [
        {
            "element": one,
            "path": f"/srv/{one}.upf",
            "md5": "0" * 32,
            "kind": "US",
            "valence": 4,
            "cutoff": 33,
            "density_cutoff": 264,
        }
        for one in elements
    ]
    return RunFamily.model_validate(
        {"family": name, "functional": functional, "members": members, "left_out": left_out}
    )


@pytest.fixture
async def offered(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Page, CrystalModel, FakeApi]]:
    """A site with two families, and no folder of its own that the page can see."""
    ours = (
        family("ours", "PBEsol", "Si", "O", left_out=("Fe.upf: it is not of the format UPF 2",)),
        family("more", "PBE", "Si", "Fe"),
    )
    monkeypatch.setattr(pseudopotentials, "families", lambda: ours)
    monkeypatch.setattr(pseudopotentials, "folders", lambda *_: ())
    api = FakeApi()
    model = CrystalModel(api)
    shown = Page(model)
    await model.connect()
    yield shown, model, api
    model.run.close()


async def test_the_sites_families_are_offered_with_their_cutoffs(offered: Opened) -> None:
    shown, model, _ = offered
    await model.take_library("si")
    assert model.form.schema["properties"]["family"]["enum"] == ["", "ours", "more"]
    assert (model.form.values["family"], model.form.values["functional"]) == ("ours", "PBEsol")
    told = {row["what"]: row["value"] for row in shown.numbers.rows}
    assert told["Cutoff of the wavefunctions"].startswith("33 Ry")
    assert told["Pseudopotential of Si"] == "Si.upf, which asks for 33 and 264 Ry"
    assert "core-hours" in shown.picker.summary.text


async def test_family_and_functional_follow_each_other(offered: Opened) -> None:
    _, model, _ = offered
    await model.take_library("si")
    model.form.values = {**model.form.values, "family": "more"}
    await until(lambda: model.form.values["functional"] == "PBE")
    model.form.values = {**model.form.values, "functional": "LDA"}
    await until(lambda: model.form.values["family"] == "")


async def test_a_family_that_lacks_an_element_says_which_file_was_left_out(offered: Opened) -> None:
    _, model, _ = offered
    await model.take_library("fe")
    assert model.form.values["family"] == "more"
    model.form.values = {**model.form.values, "family": "ours"}
    await until(lambda: "no pseudopotential for Fe" in model.form.errors.get("family", ""))
    assert "Left out there: Fe.upf: it is not of the format UPF 2" in model.form.errors["family"]


async def test_without_families_there_is_no_such_field(page: Opened) -> None:
    _, model, _ = page
    assert "family" not in model.form.schema["properties"]


@pytest.mark.parametrize("step", ["structure", "properties", "resources", "run", "results"])
@pytest.mark.parametrize("schema_first", [True, False])
async def test_an_earlier_run_reopens_at_any_step_with_its_inputs(page: Opened, step: str, schema_first: bool) -> None:
    _, first, api = page
    await first.take_entry(ENTRY, ORIGIN)
    first.form.values = {**first.form.values, "protocol": "precise", "cores": 2}
    await first.submit()
    await until(lambda: first.step == "results")

    model = CrystalModel(api)
    if schema_first:
        await model.connect()
    model.open("run-0", step)
    await until(lambda: model.run.ended)
    await model.connect()
    await until(lambda: model.step == step)
    assert model.crystal is not None
    assert (model.crystal.formula, model.crystal.origin) == ("Si2", ORIGIN)
    assert (model.form.values["protocol"], model.form.values["cores"]) == ("precise", 2)
    for other in ("structure", "properties", "resources", "run", "results"):
        model.go(other)
        assert model.step == other
    model.run.close()
