"""The kit's models without a browser: structure, resources, failure, plot, list of runs; and the gallery that shows them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from simdeck_common.problems import Problem
from simdeck_widgets.failure_card import FailureCard
from simdeck_widgets.failure_model import FailureModel
from simdeck_widgets.form_model import FormModel
from simdeck_widgets.plot import PlotlyPlot
from simdeck_widgets.plot_model import PlotModel, line
from simdeck_widgets.resource_model import ResourceModel
from simdeck_widgets.resource_picker import ResourcePicker
from simdeck_widgets.run_list import RunListModel
from simdeck_widgets.structure_editor import MOST_ATOMS, StructureEditor
from simdeck_widgets.structure_model import StructureModel
from simdeck_widgets.viewer import StructureViewer

sys.path.insert(0, str(Path(__file__).parents[2] / "apps" / "gallery"))
from simdeck_gallery import examples
from simdeck_gallery.page import Gallery, source, words
from simdeck_gallery.stand_in import StandIn


@pytest.fixture
def salt() -> StructureModel:
    model = StructureModel()
    model.load(["Na", "Cl"], [[0, 0, 0], [2.82, 0, 0]], [[4, 0, 0], [0, 4, 0], [0, 0, 4]])
    return model


def test_what_is_typed_for_an_atom_is_taken_when_it_will_do(salt: StructureModel) -> None:
    assert salt.change(0, "symbol", " k ")
    assert salt.change(1, "x", "−1,5")
    assert (salt.symbols, salt.positions[1]) == (["K", "Cl"], [-1.5, 0.0, 0.0])


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [("symbol", "Qq", "Qq is no element"), ("symbol", "", "Nothing is no element"), ("y", "far", "y must be a number"),
     ("z", "1e9", "z must lie within"), ("x", "nan", "x must lie within")],
)  # fmt: skip
def test_what_will_not_do_stays_beside_the_atom_until_it_is_mended(
    salt: StructureModel, field: str, text: str, said: str
) -> None:
    assert not salt.change(1, field, text)
    assert said in salt.errors[f"1.{field}"]
    assert not salt.can_undo
    assert salt.change(1, field, "Br" if field == "symbol" else "1")
    assert salt.errors == {}


def test_an_atom_comes_beside_the_chosen_one_and_every_change_can_be_undone(salt: StructureModel) -> None:
    salt.selected = 0
    salt.add()
    assert (salt.symbols, salt.positions[2], salt.selected) == (["Na", "Cl", "Na"], [1.5, 0.0, 0.0], 2)
    salt.remove(1)
    assert salt.symbols == ["Na", "Na"]
    salt.undo()
    salt.undo()
    assert (salt.symbols, salt.can_undo, salt.can_redo) == (["Na", "Cl"], False, True)
    salt.redo()
    assert salt.symbols == ["Na", "Cl", "Na"]
    salt.change(0, "x", "9")
    assert not salt.can_redo


def test_the_editor_shows_what_is_edited_and_refuses_a_table_without_end(salt: StructureModel) -> None:
    viewer = StructureViewer()
    editor = StructureEditor(salt, viewer)
    editor._heard(editor, {"type": "change", "index": 0, "field": "symbol", "text": "Li"}, [])
    assert (viewer.symbols, editor.can_undo) == (["Li", "Cl"], True)
    many = MOST_ATOMS + 1
    salt.load(["H"] * many, [[float(n), 0, 0] for n in range(many)])
    assert editor.atoms == []
    assert "too many" in editor.note


FORM = {
    "properties": {
        "cores": {"type": "integer", "title": "Cores", "minimum": 1, "maximum": 8, "default": 1},
        "walltime": {"type": "integer", "title": "Time", "minimum": 1, "maximum": 600, "default": 60},
        "other": {"type": "string", "default": "x"},
    }
}
PRESETS = [
    {"id": "small", "title": "Small", "values": {"cores": 1, "walltime": 60}},
    {"id": "usual", "title": "Usual", "values": {"cores": 4, "walltime": 120}},
    {"id": "huge", "title": "Huge", "values": {"cores": 64, "walltime": 120}},
]


def resources(**more: Any) -> ResourceModel:
    form = FormModel()
    form.load(FORM)
    return ResourceModel(form, seconds=lambda values: (7200 / values["cores"], 2), presets=PRESETS, **more)


def test_presets_that_the_form_does_not_allow_are_not_offered() -> None:
    model = resources()
    assert [(one["id"], one["chosen"]) for one in model.offers] == [("small", True), ("usual", False)]
    model.choose("usual")
    assert model.values == {"cores": 4, "walltime": 120}
    assert model.form.values["other"] == "x"
    model.choose("huge")
    assert model.values["cores"] == 4


def test_time_and_cost_follow_the_cores_and_are_silent_about_what_is_refused() -> None:
    model = resources()
    assert model.sentence == "Takes about 2.0 hours on 1 core in 2 calculations (2 core-hours)."
    model.form.values = {**model.form.values, "cores": 4}
    assert model.sentence.startswith("Takes about 30 minutes on 4 cores")
    model.form.values = {**model.form.values, "cores": 99}
    assert model.sentence == ""


def test_what_a_cluster_has_free_is_said_with_what_is_not_known() -> None:
    part = {"default": True, "free": {"cores": 12}, "total": {"cores": 64}, "waiting": 1, "limits": {"cores": 32}}
    model = resources(clusters=[{"name": "main", "title": "Main", "partitions": [part]}])
    assert model.notes == [
        "Main: 12 of 64 cores free; 1 job waiting.",
        "One calculation may have up to 32 cores.",
    ]
    model.clusters = [{"name": "main", "title": "Main", "unknown_since": "2026-01-01T00:00:00Z", "partitions": [part]}]
    assert model.notes == ["Main does not answer at the moment; what it has free is not known."]


def test_the_picker_shows_only_the_resources_and_marks_the_choice() -> None:
    model = resources()
    picker = ResourcePicker(model)
    assert picker.form.hidden == ["other"]
    assert [one["pressed"] for one in picker.presets.buttons] == [True, False]
    picker.presets._heard(picker.presets, {"type": "press", "id": "usual"}, [])
    assert picker.presets.buttons[1]["pressed"]
    model.form.values = {**model.form.values, "cores": 3}
    assert picker.presets.beside == "Your own choice"


def test_a_failed_runs_cures_are_buttons_that_hand_over_their_inputs() -> None:
    taken: list[dict[str, Any]] = []
    model = FailureModel(taken.append)
    card = FailureCard(model)
    assert card.widget.layout.display == "none"
    problem = {"title": "It failed", "cures": [{"title": "Calmer", "inputs": {"mixing": 0.1}}]}
    model.see({"state": "failed", "problem": problem})
    assert card.widget.layout.display is None
    card.cures._heard(card.cures, {"type": "press", "id": "0"}, [])
    assert taken == [{"mixing": 0.1}]
    model.see({"state": "finished", "problem": None})
    assert (model.problem, model.cures) == ({}, [])


def test_an_exception_of_the_client_becomes_a_card() -> None:
    model = FailureModel()
    model.take(Problem("run-not-found", run="x"))
    assert model.problem["code"] == "run-not-found"


def test_a_plot_carries_its_data_and_a_sentence() -> None:
    model = PlotModel(x=("Step", ""), y=("Energy", "eV"), lines=[line("a", [1, 2], [-1.0, -2.0])])
    plot = PlotlyPlot().follow(model)
    assert plot.csv == "Step,Energy / eV\n1,-1.0\n2,-2.0\n"
    assert plot.description == "Energy by Step; 2 points, last −2 eV"
    model.lines = [*model.lines, line("b", [1], [3.0])]
    assert plot.csv.splitlines() == ["curve,Step,Energy / eV", "a,1,-1.0", "a,2,-2.0", "b,1,3.0"]
    assert plot.figure["layout"]["showlegend"]


def test_a_figure_without_data_of_its_own_brings_its_points() -> None:
    plot = PlotlyPlot(
        figure={"data": [{"name": "a", "x": [1], "y": [2]}], "layout": {"xaxis": {"title": {"text": "t / s"}}}}
    )
    assert plot.csv == "curve,t / s,y\na,1,2\n"
    plot.figure = {"data": [{"x": [3], "y": [4]}]}
    assert plot.csv == "curve,x,y\n,3,4\n"
    told = PlotlyPlot(csv="mine", figure={"data": [{"x": [3], "y": [4]}]})
    assert told.csv == "mine"


def test_a_list_of_runs_that_cannot_be_fetched_keeps_what_it_had() -> None:
    api = StandIn(beat=0)
    model = RunListModel(api, "gallery.relax")
    asyncio.run(model.refresh())
    titles = [run["title"] for run in model.runs]

    async def fails(**_: Any) -> Any:
        raise ConnectionError

    api.page = fails  # type: ignore[method-assign]
    asyncio.run(model.refresh())
    assert [run["title"] for run in model.runs] == titles
    assert "cannot be reached" in model.error


@pytest.mark.parametrize("example", examples.EXAMPLES, ids=lambda example: example.__name__)
async def test_each_example_of_the_gallery_works_as_it_is_printed(example: Any) -> None:
    title, text = words(example)
    assert title
    assert text
    # What the page shows, run as a person would who copies it.
    compile(source(example), example.__name__, "exec")
    shown = example()
    assert shown is not None


async def test_an_example_that_fails_leaves_the_others_alone() -> None:
    def broken() -> Any:
        """Broken

        It fails.
        """
        raise RuntimeError("on purpose")

    gallery = Gallery((broken, examples.plot))
    assert list(gallery.cards) == ["broken", "plot"]
    said = gallery.cards["broken"].children[1].children[0]
    assert "RuntimeError: on purpose" in said.text
