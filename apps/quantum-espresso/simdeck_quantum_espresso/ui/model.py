"""The state of the page: the crystal, the form, the step of the wizard, the run that is open. No widget."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import traitlets
from simdeck_common.problems import Problem
from simdeck_widgets.failure import words_for
from simdeck_widgets.form_model import FormModel
from simdeck_widgets.run_model import RunModel, dump

from simdeck_quantum_espresso import builders, limits, pseudopotentials, settings, validation
from simdeck_quantum_espresso.reading import UnreadableError
from simdeck_quantum_espresso.ui import crystals, texts
from simdeck_quantum_espresso.ui.crystals import Crystal
from simdeck_quantum_espresso.ui.forms import SUPERCELL, lattice_defaults, lattice_errors

WORKFLOW = "quantum_espresso.bands"
STEPS = ("structure", "properties", "resources", "run", "results")
PROPERTIES = ("relax", "bands", "dos", "phonons", "protocol", "functional")
ADVANCED = (
    "magnetism",
    "moment",
    "occupations",
    "smearing",
    "width",
    "k_spacing",
    "cutoff",
    "density_cutoff",
    "mixing",
    "scf_steps",
)
RESOURCES = ("cores", "walltime", "cluster")


class CrystalModel(traitlets.HasTraits):  # type: ignore[misc]
    """What the page knows and does.

    Parameters
    ----------
    api
        An ``AsyncClient`` of ``simdeck_workflows.client``.
    """

    crystal = traitlets.Instance(Crystal, allow_none=True)
    structure_error = traitlets.Unicode()
    source = traitlets.Unicode()
    """The library's id the crystal came from, or empty."""
    busy = traitlets.Bool(False)
    submitting = traitlets.Bool(False)
    problem = traitlets.Dict()
    """problem+json of what went wrong on the whole page; empty when all is well."""
    step = traitlets.Enum(STEPS, "structure")
    recent = traitlets.List()
    recent_error = traitlets.Unicode()
    ready = traitlets.Bool(False)
    """Whether the workflow's schema is here."""
    numbers = traitlets.Instance(settings.Numbers, allow_none=True)
    estimate = traitlets.Instance(settings.Estimate, allow_none=True)
    service_says = traitlets.Dict()
    """The service's own word on the inputs: sentences by field; asked when the last step before the run is opened."""

    def __init__(self, api: Any, schema: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.api = api
        self.run = RunModel(api)
        self.form = FormModel(check=self._check)
        self.lattice = FormModel(check=lattice_errors)
        self.lattice.load(builders.FORM)
        self.repeats = FormModel()
        self.repeats.load(SUPERCELL)
        self._asked = 0
        if schema is not None:
            self._load(schema)
        self.observe(lambda _: self._structure_changed(), ["crystal"])
        self.form.observe(lambda _: self._count(), ["values"])
        self.run.observe(lambda _: self._could_not_open(), ["error"])
        self.run.observe(lambda change: self._see_run(change), ["run"])

    # --- start ------------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Fetch the workflow's schema and the recent runs; a failure becomes ``problem`` and can be tried again."""
        try:
            workflow = await self.api.workflow(WORKFLOW)
        except Exception as error:
            self.problem = words_for(error)
            self.recent_error = "The list of runs cannot be had at the moment."
            return
        if self.problem.get("code") in {"unreachable", "agent-unavailable"}:
            self.problem = {}
        self._load(workflow.input_schema)
        await self.refresh_recent()

    def _load(self, schema: dict[str, Any]) -> None:
        self.form.load(schema)
        self.ready = True
        self._count()

    async def refresh_recent(self) -> None:
        """Fetch the newest runs of this workflow."""
        try:
            page = await self.api.page(limit=10, workflow=WORKFLOW)
        except Exception as error:
            self.recent_error = str(words_for(error)["detail"])
            return
        self.recent_error = ""
        self.recent = [dump(run) for run in page.items]

    # --- the crystal ------------------------------------------------------------------------------------------------

    async def take_file(self, name: str, data: bytes) -> None:
        """Use an uploaded file."""
        await self._take("", lambda: crystals.of_file(name, data))

    async def take_library(self, name: str) -> None:
        """Use a crystal of the library."""
        await self._take(name, lambda: crystals.of_library(name))

    async def take_lattice(self) -> None:
        """Build what the lattice form says."""
        given = {**lattice_defaults(), **self.lattice.values}
        if self.lattice.valid:
            make = partial(crystals.of_lattice, given["lattice"], given["formula"], given["a"], given["c"])
            await self._take("", make)

    async def change_cell(self, how: str) -> None:
        """Take another cell of the same crystal."""
        crystal = self.crystal
        if crystal is None or (how == "supercell" and not self.repeats.valid):
            return
        repeats = tuple(int(self.repeats.values.get(name) or 1) for name in ("along_a", "along_b", "along_c"))
        atoms = len(crystal.symbols) * repeats[0] * repeats[1] * repeats[2]
        if how == "supercell" and (sentence := validation.check_atom_count(atoms)):
            self.repeats.refuse("along_a", sentence)
            return
        await self._take(self.source, lambda: crystals.changed(crystal, how, repeats))  # type: ignore[arg-type]

    async def _take(self, source: str, make: Any) -> None:
        self.busy = True
        self.structure_error = ""
        try:
            crystal = await asyncio.to_thread(make)
            self.source = source
            self.crystal = crystal
            self._suggest(crystal)
        except UnreadableError as error:
            self._refuse_structure(str(error))
        except Exception as error:
            self._refuse_structure(
                f"The structure could not be read ({type(error).__name__}). Try another file or format."
            )
        finally:
            self.busy = False

    def _refuse_structure(self, sentence: str) -> None:
        """Say why, and forget the crystal before: it was meant to be replaced and must not be submitted by mistake."""
        self.source = ""
        self.crystal = None
        self.structure_error = sentence

    def _suggest(self, crystal: Crystal) -> None:
        """Magnetism for what is known to be magnetic, and a functional that has all its pseudopotentials."""
        values = dict(self.form.values)
        values["magnetism"] = "ferromagnetic" if crystal.magnetic else "none"
        places = pseudopotentials.folders()
        elements = set(crystal.symbols)
        having = [name for name in limits.FUNCTIONALS if elements <= pseudopotentials.elements_of(name, places)]
        if having and values.get("functional") not in having:
            values["functional"] = having[0]
        known = self.form.schema.get("properties", {})
        self.form.values = {name: value for name, value in values.items() if name in known}

    def _structure_changed(self) -> None:
        self.service_says = {}
        if self.crystal is not None:
            self.structure_error = ""
        self.form.judge()
        self._count()

    def _check(self, values: dict[str, Any]) -> dict[str, str]:
        """The app's own checks, in plain sentences; one about the structure goes next to the chooser."""
        inputs = dict(values)
        if self.crystal is None:
            found = validation.check_inputs(inputs)
            found.pop("structure", None)
            return found
        atoms = self.crystal.atoms()
        found = validation.check_inputs({**inputs, "structure": atoms})
        sentence = found.pop("structure", "")
        if sentence:
            self.structure_error = sentence
        if "functional" not in found and pseudopotentials.folders():
            try:
                pseudopotentials.choose(self.crystal.symbols, values.get("functional") or limits.DEFAULT_FUNCTIONAL)
            except pseudopotentials.NoPseudopotentialError as error:
                found["functional"] = str(error)
        return found

    def _count(self) -> None:
        """Cutoffs, meshes and the estimate, where the pseudopotentials can be seen from here."""
        self.numbers, self.estimate = None, None
        if self.crystal is None or not self.form.valid:
            return
        atoms = self.crystal.atoms()
        try:
            chosen = pseudopotentials.choose(self.crystal.symbols, self.form.values.get("functional") or "PBE")
        except pseudopotentials.NoPseudopotentialError:
            return
        values = self.form.values
        numbers = settings.numbers(atoms, values, chosen)
        operations = self.crystal.symmetry.operations if self.crystal.symmetry is not None else 1
        self.estimate = settings.estimate(atoms, values, numbers, operations)
        self.numbers = numbers

    # --- the wizard -------------------------------------------------------------------------------------------------

    def errors_of(self, fields: tuple[str, ...]) -> list[str]:
        """The sentences about some of the form's fields."""
        found = {**self.form.errors, **self.form.unreadable}
        return [str(found[name]) for name in fields if name in found]

    def state_of(self, step: str) -> str:
        """``done``, ``open``, ``attention`` or ``locked`` of a step."""
        structure = self.crystal is not None and not self.structure_error
        if step == "structure":
            return "attention" if self.structure_error else "done" if structure else "open"
        if step in {"properties", "resources"}:
            if not structure or not self.ready:
                return "locked"
            fields = PROPERTIES + ADVANCED if step == "properties" else RESOURCES
            if self.errors_of(fields):
                return "attention"
            return "done" if STEPS.index(self.step) > STEPS.index(step) else "open"
        if step == "run":
            state = self.run.run.get("state")
            return (
                "locked"
                if not self.run.run
                else "attention"
                if state in {"failed", "rejected"}
                else "done"
                if self.run.ended
                else "open"
            )
        return "open" if self.run.run.get("state") == "finished" else "locked"

    def go(self, step: str) -> None:
        """Open a step, if it can be; the last before the run has the service check the inputs."""
        if step == self.step or self.state_of(step) == "locked":
            return
        self.step = step
        if step == "resources":
            task = asyncio.ensure_future(self.ask_service())
            self._last_question = task  # kept: the loop holds tasks weakly

    async def ask_service(self) -> None:
        """Have the inputs checked where runs are carried out: it knows programs and pseudopotentials."""
        if self.crystal is None or not self.form.valid:
            return
        self._asked += 1
        asked = self._asked
        try:
            await self.api.validate(WORKFLOW, self.inputs())
        except Problem as problem:
            if asked == self._asked and problem.code == "invalid-input":
                self.service_says = {(problem.field or "").split(".")[0]: problem.detail}
            return
        except Exception:
            # The submission will say it; nothing is lost by not knowing now.
            return
        if asked == self._asked:
            self.service_says = {}

    @property
    def can_submit(self) -> bool:
        """Whether everything is there and nothing is known to be wrong."""
        return bool(
            self.ready
            and self.crystal is not None
            and not self.structure_error
            and self.form.valid
            and not self.submitting
            and not self.busy
            and not self.service_says
        )

    # --- runs -------------------------------------------------------------------------------------------------------

    def inputs(self) -> dict[str, Any]:
        """What would be submitted."""
        assert self.crystal is not None
        return {**self.form.values, "structure": self.crystal.to_input()}

    async def submit(self) -> None:
        """Submit what the form says and follow the run; a refusal goes next to the field it is about."""
        if not self.can_submit or self.crystal is None:
            return
        self.submitting = True
        self.problem = {}
        try:
            run = await self.api.submit(WORKFLOW, self.inputs(), title=texts.title(self.crystal.name, self.form.values))
        except Problem as problem:
            self._refused(problem)
            return
        except Exception as error:
            self.problem = words_for(error)
            return
        finally:
            self.submitting = False
        self.open(run.id)
        await self.refresh_recent()

    def _refused(self, problem: Problem) -> None:
        field = (problem.field or "").split(".")[0]
        if field == "structure":
            self.service_says = {"structure": problem.detail}
            self.step = "resources"
        elif field in self.form.schema.get("properties", {}):
            self.form.refuse(field, problem.detail)
            self.step = "resources" if field in RESOURCES else "properties"
        else:
            self.problem = problem.to_json()

    def open(self, run_id: str) -> Any:
        """Show a run, at whichever stage it is, and follow it; its inputs fill the other steps."""
        self.problem = {}
        self.step = "run"
        self._filled = ""
        return self.run.open(run_id)

    def start_anew(self, *, keep: bool) -> None:
        """Back to the first step; with ``keep`` with the shown run's inputs."""
        if keep:
            self.prefill()
        else:
            self.crystal = None
            self.source = ""
        self.run.forget()
        self.problem = {}
        self.step = "properties" if keep and self.crystal is not None else "structure"

    def prefill(self, structure: dict[str, Any] | None = None, **changed: Any) -> None:
        """Put the shown run's inputs into the steps; ``structure`` and ``changed`` instead of its own."""
        given = {**self.run.inputs, **changed}
        value = structure or given.get("structure")
        name = str(self.run.run.get("title", "")).partition(":")[0]
        crystal = crystals.of_input(value, name) if isinstance(value, dict) else None
        known = self.form.schema.get("properties", {})
        self.form.values = {**self.form.values, **{k: v for k, v in given.items() if k in known and k != "structure"}}
        if crystal is not None:
            self.source = ""
            self.crystal = crystal

    def cure(self, name: str) -> None:
        """Take a failed run's inputs with one change that may help, and go to where it can be looked at."""
        self.prefill(self.run.outputs.get("structure"), **texts.CURES[name].change)
        self.run.forget()
        self.step = "properties"

    def _could_not_open(self) -> None:
        if self.run.error is not None:
            self.problem = words_for(self.run.error)
            # Nothing to show of it: leave the person with the form rather than an empty page.
            self.run.run = {}
            self.step = "structure"

    _filled = ""

    def _see_run(self, change: Any) -> None:
        # traitlets gives no dict as the old value of a trait that nobody has read yet.
        old = change["old"] if isinstance(change["old"], dict) else {}
        new = change["new"] or {}
        if new.get("id") and self.run.inputs and self._filled != new["id"] and self.ready:
            self._filled = new["id"]
            self.prefill()
        if old.get("state") == new.get("state") or not new.get("ended"):
            return
        task = asyncio.ensure_future(self.refresh_recent())
        self._last_refresh = task
        if new.get("state") == "finished" and self.step == "run":
            self.step = "results"
        elif new.get("state") == "rejected" and new.get("problem"):
            problem = Problem.from_json(new["problem"])
            if problem.field and self.run.inputs:
                self.prefill()
                self.run.forget()
                self._refused(problem)
