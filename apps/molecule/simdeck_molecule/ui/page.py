"""The page:

Chooser, form, submit; a run's progress and results; recent runs. It shows the model and passes on what is done.
"""

from __future__ import annotations

import asyncio

from simdeck_widgets import layout
from simdeck_widgets.app_page import AppPage, from_address
from simdeck_widgets.chooser import StructureChooser
from simdeck_widgets.failure import ProblemCard, words_for
from simdeck_widgets.form import SchemaForm
from simdeck_widgets.plot import PlotlyPlot, to_csv
from simdeck_widgets.run_model import RunModel
from simdeck_widgets.run_monitor import RunMonitor
from simdeck_widgets.viewer import StructureViewer

from simdeck_molecule.ui import results, structures
from simdeck_molecule.ui.model import MoleculeModel
from simdeck_molecule.ui.result_view import ResultView

BASIC = ["charge", "multiplicity", "method", "fmax", "frequencies"]


class Page(AppPage):
    """Builds the widgets and keeps them in step with the model."""

    model: MoleculeModel

    def __init__(self, model: MoleculeModel, run: str = "") -> None:
        super().__init__(model, ("energy", "Total energy"), run)
        self._build_prepare()
        self._build_run()
        self.widget = layout.box(self.problem, self.prepare, self.running, self.recent_card, classes=["sd-page-body"])
        self._observe()
        if run:
            model.stage = "run"
        self._refresh_stage()
        self._refresh_submit()
        self.do(self._begin(run))

    @classmethod
    def from_environment(cls) -> Page:
        """The page of this kernel: API and run from the environment the server extension set."""
        from simdeck_workflows.client import AsyncClient

        return cls(MoleculeModel(AsyncClient()), run=from_address("run")[0])

    # --- building ---------------------------------------------------------------------------------------------------

    def _build_prepare(self) -> None:
        model = self.model
        self.chooser = StructureChooser(
            smiles=structures.smiles_available(),
            # Made by the warm parent already; a cold kernel makes it after the page is there.
            library=structures.library() if structures.library.cache_info().currsize else [],
            on={
                "file": lambda message, buffers: self.do(model.take_file(str(message["name"]), bytes(buffers[0]))),
                "pick": lambda message, _: self.do(model.take_library(str(message["name"]))),
                "smiles": lambda message, _: self.do(model.take_smiles(str(message["text"]))),
            },
        )
        self.preview = StructureViewer()
        self.form = SchemaForm(model.form, basic=BASIC, hidden=["structure"])
        self.submit = layout.Text(
            button="Submit", button_class="sd-submit", on={"click": lambda *_: self.do(model.submit())}
        )
        self.prepare = layout.box(
            layout.card(
                layout.Text(
                    heading="Structure", text="One molecule in vacuum. Pick one, upload a file, or give a SMILES."
                ),
                layout.columns(self.chooser, self.preview),
                name="sd-step-structure",
            ),
            layout.card(layout.Text(heading="Settings"), self.form, self.submit, name="sd-step-settings"),
        )

    def _build_run(self) -> None:
        model = self.model
        self.monitor = RunMonitor(
            model.run,
            archive=model.api.archive,
            describe=describe,
            failed=lambda error: setattr(model, "problem", words_for(error)),
            on={
                "change": lambda *_: model.start_anew(keep=True),
                "new": lambda *_: model.start_anew(keep=False),
            },
        )
        self.energy = PlotlyPlot(css_class="sd-energy", filename="energy", description="Energy by optimisation step")
        self.failure = ProblemCard()
        self.results = ResultView()
        self.energy_box = layout.card(layout.Text(heading="Energy during the optimisation"), self.energy)
        self.monitor_card = layout.card(self.monitor, self.failure, name="sd-run-card")
        self.running = layout.box(self.monitor_card, self.energy_box, self.results.widget)

    # --- keeping in step --------------------------------------------------------------------------------------------

    def _observe(self) -> None:
        model = self.model
        model.observe(lambda _: self._refresh_stage(), ["stage"])
        model.observe(lambda _: self._refresh_structure(), ["structure", "structure_error", "busy", "source"])
        model.observe(lambda _: self._refresh_submit(), ["structure", "structure_error", "busy", "submitting", "ready"])
        model.form.observe(lambda _: self._refresh_submit(), ["valid", "values"])
        model.run.observe(lambda _: self._refresh_run(), ["run", "outputs"])
        model.run.observe(lambda _: self._refresh_energy(), ["progress", "outputs"])

    def _refresh_stage(self) -> None:
        layout.show(self.prepare, self.model.stage == "prepare")
        layout.show(self.running, self.model.stage == "run")
        self._refresh_run()
        self._refresh_energy()

    def _refresh_structure(self) -> None:
        model = self.model
        with self.chooser.hold_sync():
            self.chooser.busy = model.busy
            self.chooser.error = model.structure_error
            self.chooser.selected = model.source
            self.chooser.summary = model.structure.summary if model.structure is not None else ""
            self.chooser.notes = list(model.structure.notes) if model.structure is not None else []
        shown = tuple(self.preview.symbols), [tuple(row) for row in self.preview.positions]
        if model.structure is None or len(model.structure.symbols) > structures.MAX_SHOWN:
            self.preview.clear()
        elif shown != (model.structure.symbols, list(model.structure.positions)):
            self.preview.show(model.structure.symbols, model.structure.positions, name=model.structure.name)

    def _refresh_submit(self) -> None:
        model = self.model
        with self.submit.hold_sync():
            self.submit.disabled = not model.can_submit
            self.submit.beside = self._beside_submit()

    def _beside_submit(self) -> str:
        model = self.model
        if model.submitting:
            return "Submitting…"
        if not model.ready:
            return "" if model.problem else "Connecting…"
        if model.structure is None:
            return "Choose a structure first."
        if model.structure_error or not model.form.valid:
            return "Something above needs your attention."
        atoms = len(model.structure.symbols)
        if not model.form.values.get("frequencies", True):
            return "Geometry optimisation only."
        return f"Geometry optimisation, then {6 * atoms + 1} further calculations for the vibrations."

    def _refresh_run(self) -> None:
        run = self.model.run.run
        self.recent.current = str(run.get("id", ""))
        outputs = self.model.run.outputs
        finished = self.model.run.ended and bool(outputs.get("structure"))
        if finished:
            self.results.fill(outputs, str(run.get("title", "")).partition(":")[0])
        layout.show(self.results.widget, finished)
        # While it runs the curve is the news; afterwards the results are.
        order = [self.results.widget, self.energy_box] if finished else [self.energy_box, self.results.widget]
        if list(self.running.children)[1:] != order:
            self.running.children = [self.monitor_card, *order]
        problem = run.get("problem") if run.get("state") in {"failed", "rejected"} else None
        self.failure.problem = problem or {}
        layout.show(self.failure, bool(problem))

    def _refresh_energy(self) -> None:
        run = self.model.run
        figure = results.energy_figure(run.progress, run.outputs.get("trajectory"))
        if figure:
            points = results.energies(run.progress, run.outputs.get("trajectory"))
            with self.energy.hold_sync():
                self.energy.csv = to_csv(["step", "energy / eV"], points)
                self.energy.figure = figure
                self.energy.description = (
                    f"Energy by optimisation step; step {points[-1][0]}: {results.minus(f'{points[-1][1]:.5f}')} eV"
                )
        layout.show(
            self.energy_box, bool(figure) and len(results.energies(run.progress, run.outputs.get("trajectory"))) > 1
        )

    # --- doing ------------------------------------------------------------------------------------------------------

    async def _begin(self, run: str) -> None:
        if run:
            self.model.open(run)
        if not self.chooser.library:
            self.chooser.library = await asyncio.to_thread(structures.library)
        await self.model.connect()


def describe(run: RunModel) -> tuple[str, float]:
    """Where the run is, for the monitor."""
    return results.step_line(run.progress, str(run.run.get("state", "")))
