"""The wizard on the screen: structure, properties, resources, run, results. It shows the model and passes on what is
done."""

from __future__ import annotations

import asyncio

from simdeck_widgets import layout
from simdeck_widgets.app_page import AppPage, from_address
from simdeck_widgets.chooser import StructureChooser
from simdeck_widgets.electronic import convergence_csv, convergence_figure
from simdeck_widgets.failure import ProblemCard, words_for
from simdeck_widgets.form import SchemaForm
from simdeck_widgets.plot import PlotlyPlot
from simdeck_widgets.resource_picker import ResourcePicker
from simdeck_widgets.results import ResultTable, column
from simdeck_widgets.run_monitor import RunMonitor
from simdeck_widgets.structure_editor import StructureEditor
from simdeck_widgets.structure_search import StructureSearch
from simdeck_widgets.viewer import StructureViewer
from simdeck_widgets.wizard import Buttons, WizardSteps, button

from simdeck_quantum_espresso import cell
from simdeck_quantum_espresso.ui import crystals, texts
from simdeck_quantum_espresso.ui.crystals import Crystal
from simdeck_quantum_espresso.ui.model import HIDDEN, PROPERTIES, RESOURCES, STEPS, CrystalModel
from simdeck_quantum_espresso.ui.result_view import ResultView

TITLES = {
    "structure": "Structure",
    "properties": "Properties",
    "resources": "Resources",
    "run": "Run",
    "results": "Results",
}


class Page(AppPage):
    """Builds the widgets and keeps them in step with the model."""

    model: CrystalModel

    def __init__(self, model: CrystalModel, run: str = "", step: str = "") -> None:
        super().__init__(model, ("gap", "Band gap"), run)
        self._first_step = step
        self.steps = WizardSteps(
            label="Steps of the calculation", on={"go": lambda message, _: model.go(str(message["step"]))}
        )
        self._build_structure()
        self._build_properties()
        self._build_resources()
        self._build_run()
        self.results = ResultView()
        self.parts = {
            "structure": self.structure,
            "properties": self.properties,
            "resources": self.resources,
            "run": self.running,
            "results": self.results.widget,
        }
        self.widget = layout.box(
            self.steps, self.problem, *self.parts.values(), self.recent_card, classes=["sd-page-body"]
        )
        self._observe()
        if run:
            model.step = "run"
        self._refresh()
        self.do(self._begin(run))

    @classmethod
    def from_environment(cls) -> Page:
        """The page of this kernel: API and run from the environment the server extension set."""
        from simdeck_workflows.client import AsyncClient

        run, step = from_address("run", "step")
        return cls(CrystalModel(AsyncClient()), run=run, step=step)

    # --- building ---------------------------------------------------------------------------------------------------

    def _build_structure(self) -> None:
        model = self.model
        self.chooser = StructureChooser(
            library=crystals.library() if crystals.library.cache_info().currsize else [],
            accept=".cif,.vasp,.poscar,.xyz,.extxyz,.xsf,.in,.pwi,POSCAR,CONTCAR",
            formats="CIF, POSCAR, extended XYZ, XSF or a Quantum ESPRESSO input",
            noun="crystal",
            example="Name or formula, for example silicon or Fe",
            on={
                "file": lambda message, buffers: self.do(model.take_file(str(message["name"]), bytes(buffers[0]))),
                "pick": lambda message, _: self.do(model.take_library(str(message["name"]))),
            },
        )
        self.viewer = StructureViewer()
        self.lattice = SchemaForm(model.lattice)
        self.build = Buttons(
            buttons=[button("build", "Build this lattice")], on={"press": lambda *_: self.do(model.take_lattice())}
        )
        self.cells = Buttons(on={"press": lambda message, _: self.do(model.change_cell(str(message["id"])))})
        self.repeats = SchemaForm(model.repeats)
        self.cell_card = layout.card(
            layout.Text(
                heading="Cell", text="The primitive cell is the fastest. Bands are computed in it in any case."
            ),
            self.repeats,
            self.cells,
            name="sd-cell-tools",
        )
        self.database = layout.card(
            layout.Text(heading="Databases", text="Crystals that others have published (OPTIMADE)."),
            StructureSearch(model.search),
            name="sd-databases",
        )
        layout.show(self.database, bool(model.search.providers))
        self.editor = StructureEditor(model.atoms)
        self.editor_card = layout.card(
            layout.Text(heading="Atoms", text="Positions in Å. Every change can be undone."),
            self.editor,
            name="sd-atoms",
        )
        self.next_structure = self._next("properties", "Next: properties")
        self.structure = layout.box(
            layout.card(
                layout.Text(
                    heading="Structure", text="One crystal. Pick one, upload a file, or build a lattice below."
                ),
                layout.columns(self.chooser, self.viewer),
                self.next_structure,
                name="sd-step-structure-card",
            ),
            layout.columns(
                layout.card(layout.Text(heading="Build a lattice"), self.lattice, self.build, name="sd-lattice"),
                self.cell_card,
            ),
            self.database,
            self.editor_card,
        )

    def _build_properties(self) -> None:
        self.form = SchemaForm(
            self.model.form,
            basic=list(PROPERTIES),
            hidden=[*HIDDEN, *RESOURCES],
            more="Advanced: magnetism, smearing, cutoffs",
        )
        self.numbers = ResultTable(
            caption="Computed with",
            columns=[column("what", "Setting", header=True), column("value", "Value", wrap=True)],
            empty="Shown when the crystal and the settings fit together.",
        )
        self.next_properties = self._next("resources", "Next: resources")
        self.properties = layout.card(
            layout.Text(heading="Properties", text="What to compute, and how precisely."),
            self.form,
            self.numbers,
            self.next_properties,
            name="sd-step-properties-card",
        )

    def _build_resources(self) -> None:
        model = self.model
        self.picker = ResourcePicker(model.resources)
        self.refusal = ProblemCard()
        self.submit = layout.Text(
            button="Start the run", button_class="sd-submit", on={"click": lambda *_: self.do(model.submit())}
        )
        self.resources = layout.card(
            layout.Text(heading="Resources", text="Of each calculation of the run."),
            self.picker.widget,
            self.refusal,
            self.submit,
            name="sd-step-resources-card",
        )

    def _build_run(self) -> None:
        model = self.model
        self.monitor = RunMonitor(
            model.run,
            archive=model.api.archive,
            describe=lambda run: texts.where(run.progress, run.steps, str(run.run.get("state", ""))),
            failed=lambda error: setattr(model, "problem", words_for(error)),
            on={"change": lambda *_: model.start_anew(keep=True), "new": lambda *_: model.start_anew(keep=False)},
        )
        self.failure = ProblemCard()
        self.cures = Buttons(on={"press": lambda message, _: model.cure(str(message["id"]))})
        self.convergence = PlotlyPlot(
            css_class="sd-convergence", filename="convergence", description="Accuracy of the self-consistent field"
        )
        self.convergence_card = layout.card(
            layout.Text(heading="Convergence of the self-consistent field"),
            self.convergence,
            name="sd-convergence-card",
        )
        self.running = layout.box(
            layout.card(self.monitor, self.failure, self.cures, name="sd-run-card"), self.convergence_card
        )

    def _next(self, step: str, label: str) -> Buttons:
        return Buttons(
            css_class="sd-next",
            buttons=[button(step, label, primary=True)],
            on={"press": lambda *_: self.model.go(step)},
        )

    # --- keeping in step --------------------------------------------------------------------------------------------

    def _observe(self) -> None:
        model = self.model
        model.observe(lambda _: self._refresh_steps(), ["step", "ready", "submitting", "service_says"])
        model.observe(lambda _: self._refresh_structure(), ["crystal", "structure_error", "busy", "source"])
        model.observe(
            lambda _: self._refresh_numbers(), ["numbers", "estimate", "service_says", "submitting", "busy", "ready"]
        )
        model.form.observe(lambda _: self._refresh_form(), ["valid", "values", "errors"])
        model.run.observe(lambda _: self._refresh_run(), ["run", "outputs"])
        model.run.observe(lambda _: self._refresh_convergence(), ["progress"])

    def _refresh(self) -> None:
        self._refresh_structure()
        self._refresh_numbers()
        self.show_problem()
        self._refresh_run()
        self._refresh_convergence()

    def _refresh_form(self) -> None:
        self._refresh_steps()
        self._refresh_numbers()

    def _refresh_steps(self) -> None:
        model = self.model
        for name, part in self.parts.items():
            layout.show(part, name == model.step)
        crystal = model.crystal.formula.translate(crystals.SUBSCRIPTS) if model.crystal is not None else ""
        notes = {
            "structure": crystal,
            "properties": str(model.form.values.get("protocol", "")),
            "run": str(model.run.run.get("state", "")),
        }
        with self.steps.hold_sync():
            self.steps.steps = [
                {"id": name, "title": TITLES[name], "state": model.state_of(name), "note": notes.get(name, "")}
                for name in STEPS
            ]
            self.steps.current = model.step
        for bar, step, label, waits in (
            (self.next_structure, "properties", "Next: properties", "Choose a structure first."),
            (self.next_properties, "resources", "Next: resources", ""),
        ):
            locked = model.state_of(step) == "locked"
            bar.buttons = [button(step, label, primary=True, disabled=locked)]
            bar.beside = ("Connecting…" if model.crystal is not None and not model.ready else waits) if locked else ""

    def _refresh_structure(self) -> None:
        model = self.model
        crystal = model.crystal
        with self.chooser.hold_sync():
            self.chooser.busy = model.busy
            self.chooser.error = model.structure_error
            self.chooser.selected = model.source
            self.chooser.summary = crystal.summary if crystal is not None else ""
            self.chooser.notes = list(crystal.details) if crystal is not None else []
        show_crystal(self.viewer, crystal)
        layout.show(self.editor_card, crystal is not None)
        lacking = crystal is None
        self.cells.buttons = [
            button("primitive", "Primitive cell", disabled=lacking),
            button("conventional", "Conventional cell", disabled=lacking),
            button("supercell", "Supercell", disabled=lacking),
        ]
        self.cells.beside = (
            f"{len(crystal.symbols)} atom{'' if len(crystal.symbols) == 1 else 's'}" if crystal is not None else ""
        )
        self._refresh_steps()
        self._refresh_numbers()

    def _refresh_numbers(self) -> None:
        model = self.model
        self.numbers.rows = texts.computes_with(model.numbers, model.pseudos) if model.numbers is not None else []
        says = next(iter(model.service_says.values()), "")
        self.refusal.problem = (
            {"title": "This cannot run as it is", "detail": says, "code": "invalid-input"} if says else {}
        )
        layout.show(self.refusal, bool(says))
        with self.submit.hold_sync():
            self.submit.disabled = not model.can_submit
            self.submit.beside = self._beside_submit()

    def _beside_submit(self) -> str:
        model = self.model
        if model.submitting:
            return "Submitting…"
        if not model.ready:
            return "" if model.problem else "Connecting…"
        if model.crystal is None:
            return "Choose a structure first."
        if not model.form.valid or model.structure_error:
            return "Something in the steps before needs your attention."
        return ""

    def _refresh_run(self) -> None:
        model = self.model
        run = model.run.run
        self.recent.current = str(run.get("id", ""))
        problem = run.get("problem") if run.get("state") in {"failed", "rejected"} else None
        self.failure.problem = problem or {}
        layout.show(self.failure, bool(problem))
        names = texts.cures(problem, model.run.inputs) if problem else []
        self.cures.buttons = [button(name, texts.CURES[name].label, primary=not n) for n, name in enumerate(names)]
        layout.show(self.cures, bool(names))
        if run.get("state") == "finished" and model.run.outputs:
            self.results.fill(
                model.run.outputs, model.run.inputs, model.run.progress, str(run.get("title", "")).partition(":")[0]
            )
        self._refresh_steps()

    def _refresh_convergence(self) -> None:
        progress = self.model.run.progress
        figure = convergence_figure(progress)
        if figure:
            with self.convergence.hold_sync():
                self.convergence.csv = convergence_csv(progress)
                self.convergence.figure = figure
                self.convergence.description = texts.where(progress, [], "running")[0]
        layout.show(self.convergence_card, bool(figure))

    # --- doing ------------------------------------------------------------------------------------------------------

    async def _begin(self, run: str) -> None:
        if run:
            self.open_first()
        if not self.chooser.library:
            self.chooser.library = await asyncio.to_thread(crystals.library)
        await self.model.connect()

    def open_first(self) -> None:
        """Open the run of the page's address at the step that it names."""
        self.model.open(self._first_run, self._first_step)


def show_crystal(viewer: StructureViewer, crystal: Crystal | None) -> None:
    """A crystal with its cell's box and the atoms on the box's borders; small cells several times."""
    if crystal is None:
        if viewer.symbols:
            viewer.clear()
        return
    picture = cell.shown(crystal.atoms())
    symbols, positions = picture.get_chemical_symbols(), picture.positions.round(5).tolist()
    if (viewer.symbols, viewer.positions) != (symbols, positions):
        viewer.show(symbols, positions, name=crystal.name, cell=crystal.vectors)
