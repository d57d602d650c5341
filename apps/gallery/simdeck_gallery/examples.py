"""One function for each part of the kit. The page shows what it returns, and beside it the function's own source.

Imports stand inside the functions, so that each can be copied as it is.
"""

from __future__ import annotations

from typing import Any


def structure_viewer() -> Any:
    """Structure viewer

    A structure in 3-D. Drag to turn, wheel to zoom; arrow keys, + and − do the same.
    """
    from simdeck_widgets.viewer import StructureViewer

    viewer = StructureViewer()
    viewer.show(
        ["O", "H", "H"],
        [[0.0, 0.0, 0.119], [0.0, 0.763, -0.477], [0.0, -0.763, -0.477]],
        name="water",
    )
    return viewer


def structure_editor() -> Any:
    """Structure editor

    The atoms as a table of fields, and the viewer beside it. Every change can be undone.
    """
    from simdeck_widgets import layout
    from simdeck_widgets.structure_editor import StructureEditor
    from simdeck_widgets.structure_model import StructureModel
    from simdeck_widgets.viewer import StructureViewer

    model = StructureModel()
    viewer = StructureViewer()
    editor = StructureEditor(model, viewer)
    model.load(["Na", "Cl"], [[0.0, 0.0, 0.0], [2.82, 0.0, 0.0]])
    model.observe(lambda change: print(len(change["new"]), "atoms"), ["atoms"])
    return layout.box(viewer, editor, classes=["sd-stack"])


def structure_search() -> Any:
    """Structure search

    Databases that speak OPTIMADE. This one is made up: ask for SiO2, or for Si.
    """
    from simdeck_widgets import layout
    from simdeck_widgets.optimade import Provider
    from simdeck_widgets.optimade_model import OptimadeModel
    from simdeck_widgets.structure_search import StructureSearch

    from simdeck_gallery.made_up import answers

    chosen = layout.Text(text="Nothing chosen yet.")

    async def take(found, origin):
        chosen.text = f"{found.formula} with {found.sites} atoms: {origin['text']}"

    # Without these two arguments: the databases that the site offers, asked for real.
    model = OptimadeModel((Provider("mine", "Made up", "http://made.up"),), take, client=answers())
    return layout.box(StructureSearch(model), chosen, classes=["sd-stack"])


def input_form() -> Any:
    """Input form

    Made from a workflow's JSON Schema: unit, limits, help, and a sentence next to the field that needs one.
    """
    from simdeck_widgets.form import SchemaForm
    from simdeck_widgets.form_model import FormModel

    def check(values):
        if values.get("smearing") and values.get("insulator"):
            return {"smearing": "An insulator needs no smearing."}
        return {}

    model = FormModel(check)
    model.load(
        {
            "properties": {
                "cutoff": {
                    "type": "number", "title": "Cutoff", "x-simdeck-unit": "Ry",
                    "minimum": 10, "maximum": 250, "default": 40,
                },
                "protocol": {"type": "string", "title": "Protocol", "enum": ["fast", "precise"], "default": "fast"},
                "smearing": {"type": "number", "title": "Smearing", "x-simdeck-unit": "eV", "minimum": 0, "default": 0},
                "insulator": {"type": "boolean", "title": "It is an insulator", "default": False},
            }
        }
    )  # fmt: skip
    return SchemaForm(model, basic=["cutoff", "protocol"], more="Electrons")


def resource_picker() -> Any:
    """Resource picker

    Cores, time and cluster with usual choices, what it costs, and what the cluster has free.
    """
    from simdeck_widgets.form_model import FormModel
    from simdeck_widgets.resource_model import ResourceModel
    from simdeck_widgets.resource_picker import ResourcePicker

    form = FormModel()
    form.load(
        {
            "properties": {
                "cores": {"type": "integer", "title": "Cores", "minimum": 1, "maximum": 64, "default": 4},
                "walltime": {
                    "type": "integer", "title": "Time limit", "x-simdeck-unit": "min",
                    "minimum": 1, "maximum": 1440, "default": 60,
                },
            }
        }
    )  # fmt: skip
    model = ResourceModel(
        form,
        seconds=lambda values: (7200 / int(values["cores"]), 3),
        presets=[
            {"id": "try", "title": "Try it", "values": {"cores": 1, "walltime": 30}},
            {"id": "usual", "title": "Usual", "values": {"cores": 4, "walltime": 60}},
            {"id": "large", "title": "Large", "values": {"cores": 32, "walltime": 720}},
        ],
    )
    # What GET /clusters answers; without a cluster, leave it empty.
    free = {"default": True, "free": {"cores": 212}, "total": {"cores": 1024}, "waiting": 3, "limits": {"cores": 64}}
    model.clusters = [{"name": "main", "title": "Main", "partitions": [free]}]
    return ResourcePicker(model).widget


def run_monitor() -> Any:
    """Run monitor

    A run's state, what it does now, and what can be done about it. Here a run is played; Run again plays it anew.
    """
    import asyncio

    from simdeck_widgets.run_model import RunModel
    from simdeck_widgets.run_monitor import RunMonitor

    from simdeck_gallery.stand_in import StandIn

    # In an app: AsyncClient() of simdeck_workflows.client.
    api = StandIn()
    model = RunModel(api)

    def where(run):
        if run.ended:
            return "", 1.0
        step = run.progress[-1]["step"] if run.progress else 0
        return f"Step {step} of 12", step / 12

    async def again():
        model.open((await api.submit("gallery.relax", {})).id)

    more = {name: lambda *_: asyncio.ensure_future(again()) for name in ("new", "change")}
    monitor = RunMonitor(model, archive=api.archive, describe=where, on=more, addressed=False)
    model.open("run-1")
    return monitor


def run_table() -> Any:
    """Run table

    The newest runs of a workflow, to reopen. On a phone each is a card.
    """
    from simdeck_widgets.run_list import RunListModel
    from simdeck_widgets.run_table import RunTable

    from simdeck_gallery.stand_in import StandIn

    model = RunListModel(StandIn(), "gallery.relax")
    table = RunTable(headline="Total energy")
    table.when("open", lambda said, _: setattr(table, "current", said["run"]))
    table.when("refresh", lambda *_: model.start())
    table.follow(model, lambda: "energy")
    model.start()
    return table


def plot() -> Any:
    """Plot

    Curves with quantity and unit on their axes; the picture and its data can be saved.
    """
    import math

    from simdeck_widgets.plot import PlotlyPlot
    from simdeck_widgets.plot_model import PlotModel, line

    x = [n / 20 for n in range(100)]
    model = PlotModel(
        x=("Distance", "Å"),
        y=("Energy", "eV"),
        lines=[line(f"k = {k}", x, [(1 - math.exp(-k * (r - 1.5))) ** 2 for r in x]) for k in (1, 2)],
    )
    return PlotlyPlot(filename="morse").follow(model)


def bands_plot() -> Any:
    """Band structure

    Figures of solids from plain lists: bands along their path, densities of states, convergence.
    """
    import math

    from simdeck_widgets.electronic import band_csv, band_figure
    from simdeck_widgets.plot import PlotlyPlot

    along = [n / 50 for n in range(51)]
    energies = [[[-2 * math.cos(math.pi * k), 3 + math.cos(math.pi * k)] for k in along]]
    bands = {"distance": along, "energies": energies}
    path = {"ticks": [{"at": 0.0, "label": "Γ"}, {"at": 1.0, "label": "X"}], "zero": 2.0}
    return PlotlyPlot(figure=band_figure(bands, path), csv=band_csv(bands), filename="bands", description="Two bands")


def failure_card() -> Any:
    """Failure card

    Why a run failed, in plain words, with the changes that may cure it.
    """
    from simdeck_widgets import layout
    from simdeck_widgets.failure_card import FailureCard
    from simdeck_widgets.failure_model import FailureModel

    said = layout.Text(text="Press a cure.")
    model = FailureModel(cure=lambda inputs: setattr(said, "text", f"Runs again with {inputs}"))
    model.see(
        {
            "state": "failed",
            "problem": {
                "code": "run-failed",
                "title": "The field did not converge",
                "detail": "After 80 iterations the accuracy was still 2·10⁻³ Ry.",
                "remedy": "Mix less of the new density, or allow more iterations.",
                "cures": [
                    {"title": "Calmer: mixing 0.1", "inputs": {"mixing": 0.1, "scf_steps": 200}},
                    {"title": "Wider smearing", "inputs": {"width": 0.3}},
                ],
            },
        }
    )
    return layout.box(FailureCard(model).widget, said, classes=["sd-stack"])


EXAMPLES = (
    structure_viewer,
    structure_editor,
    structure_search,
    input_form,
    resource_picker,
    run_monitor,
    run_table,
    plot,
    bands_plot,
    failure_card,
)
