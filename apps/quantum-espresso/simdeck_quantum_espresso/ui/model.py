"""The state of the page: the crystal, the form, the step of the wizard, the run that is open. No widget."""

from __future__ import annotations

import asyncio
from typing import Any

import traitlets
from simdeck_common.problems import Problem
from simdeck_widgets.app_model import AppModel
from simdeck_widgets.form_model import FormModel
from simdeck_widgets.resource_model import ResourceModel

from simdeck_quantum_espresso import cell, limits, pseudopotentials, settings, validation
from simdeck_quantum_espresso.ui import crystals, texts
from simdeck_quantum_espresso.ui.choosing import StructureChoice
from simdeck_quantum_espresso.ui.crystals import Crystal
from simdeck_quantum_espresso.ui.forms import with_families

WORKFLOW = "quantum_espresso.bands"
HIDDEN = ("structure", "origin")
"""Inputs that are no fields of the form."""
STEPS = ("structure", "properties", "resources", "run", "results")
PROPERTIES = ("relax", "bands", "dos", "phonons", "protocol", "functional", "family")
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
PRESETS: tuple[dict[str, Any], ...] = (
    {"id": "try", "title": "Try it: 1 core, 1 hour", "values": {"cores": 1, "walltime": 60}},
    {"id": "usual", "title": "Usual: 4 cores, 4 hours", "values": {"cores": 4, "walltime": 240}},
    {"id": "large", "title": "Large: 16 cores, 1 day", "values": {"cores": 16, "walltime": 1440}},
)


class CrystalModel(StructureChoice, AppModel):
    """What the page knows and does.

    Parameters
    ----------
    api
        An ``AsyncClient`` of ``simdeck_workflows.client``.
    """

    step = traitlets.Enum(STEPS, "structure")
    numbers = traitlets.Instance(settings.Numbers, allow_none=True)
    estimate = traitlets.Instance(settings.Estimate, allow_none=True)
    service_says = traitlets.Dict()
    """The service's own word on the inputs: sentences by field; asked when the last step before the run is opened."""

    def __init__(self, api: Any, schema: dict[str, Any] | None = None) -> None:
        super().__init__(api, WORKFLOW)
        self.families = pseudopotentials.families()
        self.pseudos: dict[str, pseudopotentials.Pseudopotential] = {}
        self.form = FormModel(check=self._check)
        self.resources = ResourceModel(self.form, RESOURCES, seconds=self._cost, presets=PRESETS)
        self._asked = 0
        if schema is not None:
            self.take_schema(schema)
        self.observe(lambda _: self._structure_changed(), ["crystal"])
        self.form.observe(self._family_follows, ["values"])
        self.form.observe(lambda _: self._count(), ["values"])
        self.run.observe(lambda change: self._see_run(change), ["run"])

    # --- start ------------------------------------------------------------------------------------------------------

    def take_schema(self, schema: dict[str, Any]) -> None:
        """Take the schema, with the site's families to choose from."""
        self.form.load(with_families(schema, self.families))
        super().take_schema(schema)
        self._fill()
        self._count()

    # --- the crystal and its pseudopotentials ----------------------------------------------------------------------

    def _suggest(self, crystal: Crystal) -> None:
        """Magnetism for what is known to be magnetic, and a functional that has all its pseudopotentials."""
        values = dict(self.form.values)
        values["magnetism"] = "ferromagnetic" if crystal.magnetic else "none"
        places = pseudopotentials.folders()
        elements = set(crystal.symbols)
        fitting = [one for one in self.families if elements <= {member.element for member in one.members}]
        if fitting and not any(one.family == values.get("family") for one in fitting):
            values |= {"family": fitting[0].family, "functional": fitting[0].functional}
        elif not fitting:
            values["family"] = ""
        having = [name for name in limits.FUNCTIONALS if elements <= pseudopotentials.elements_of(name, places)]
        if not values["family"] and having and values.get("functional") not in having:
            values["functional"] = having[0]
        known = self.form.schema.get("properties", {})
        self.form.values = {name: value for name, value in values.items() if name in known}

    def _family_follows(self, change: Any) -> None:
        """A family brings its functional, and another functional leaves the family."""
        old, new = change["old"] or {}, change["new"]
        functional = {one.family: one.functional for one in self.families}.get(new.get("family") or "")
        if functional is None or functional == new.get("functional"):
            return
        changed = {"functional": functional} if old.get("family") != new.get("family") else {"family": ""}
        # Not at once: whoever is just being told of the change would be told of an older one after a newer one.
        asyncio.get_running_loop().call_soon(self._change, changed)

    def _change(self, changed: dict[str, Any]) -> None:
        self.form.values = {**self.form.values, **changed}

    def _structure_changed(self) -> None:
        self.service_says = {}
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
        family = str(values.get("family") or "")
        if "functional" not in found and (family or pseudopotentials.folders()):
            try:
                self._chosen(values)
            except pseudopotentials.NoPseudopotentialError as error:
                found["family" if family else "functional"] = str(error)
        return found

    def _chosen(self, values: dict[str, Any]) -> dict[str, pseudopotentials.Pseudopotential]:
        assert self.crystal is not None
        functional = values.get("functional") or limits.DEFAULT_FUNCTIONAL
        return pseudopotentials.choose(self.crystal.symbols, functional, family=str(values.get("family") or ""))

    def _count(self) -> None:
        """Cutoffs, meshes and the estimate, where the pseudopotentials can be seen from here."""
        self.numbers, self.estimate, self.pseudos = None, None, {}
        if self.crystal is None or not self.form.valid:
            self.resources.judge()
            return
        atoms = self.crystal.atoms()
        values = self.form.values
        try:
            self.pseudos = self._chosen(values)
        except pseudopotentials.NoPseudopotentialError:
            self.resources.judge()
            return
        numbers = settings.numbers(atoms, values, self.pseudos)
        operations = self.crystal.symmetry.operations if self.crystal.symmetry is not None else 1
        # With bands all is computed in the primitive cell.
        shape = cell.primitive(atoms) if values.get("bands") else atoms
        found = settings.numbers(shape, values, self.pseudos)
        self.estimate = settings.estimate(shape, values, found, operations)
        self.numbers = numbers
        self.resources.judge()

    def _cost(self, values: dict[str, Any]) -> str:
        return texts.estimate_text(self.estimate, int(values.get("cores") or 1))

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
        known = self.form.schema.get("properties", {})
        origin = {"origin": self.crystal.origin} if self.crystal.origin and "origin" in known else {}
        return {**self.form.values, "structure": self.crystal.to_input(), **origin}

    async def submit(self) -> None:
        """Submit what the form says and follow the run; a refusal goes next to the field it is about."""
        if self.can_submit and self.crystal is not None:
            await self.send(self.inputs(), texts.title(self.crystal.name, self.form.values))

    def refused(self, problem: Problem) -> None:
        """Say why, at the step and the field that it is about."""
        field = (problem.field or "").split(".")[0]
        if field == "structure":
            self.service_says = {"structure": problem.detail}
            self.step = "resources"
        elif field in self.form.schema.get("properties", {}):
            self.form.refuse(field, problem.detail)
            self.step = "resources" if field in RESOURCES else "properties"
        else:
            super().refused(problem)

    def open(self, run_id: str, step: str = "") -> Any:
        """Show a run, at whichever stage it is, and follow it; its inputs fill the other steps.

        ``step`` is the one to open, once what it shows is here; otherwise the run, and the results of one that has
        finished.
        """
        self.step = "run"
        self._filled = ""
        self._wanted = step if step in STEPS else ""
        return super().open(run_id)

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
        origin = given.get("origin") if structure is None else None
        crystal = crystals.of_input(value, name, origin) if isinstance(value, dict) else None
        known = self.form.schema.get("properties", {})
        self.form.values = {**self.form.values, **{k: v for k, v in given.items() if k in known and k not in HIDDEN}}
        if crystal is not None:
            self.source = ""
            self.crystal = crystal

    def cure(self, name: str) -> None:
        """Take a failed run's inputs with one change that may help, and go to where it can be looked at."""
        self.prefill(self.run.outputs.get("structure"), **texts.CURES[name].change)
        self.run.forget()
        self.step = "properties"

    def leave_run(self) -> None:
        """Back to the first step."""
        self.step = "structure"

    _filled = ""
    _wanted = ""

    def _fill(self) -> None:
        """Put the open run's inputs into the steps, once, when both they and the form are here."""
        name = self.run.run.get("id")
        if not name or not self.run.inputs or self._filled == name or not self.ready:
            return
        self._filled = str(name)
        self.prefill()
        if self._wanted in {"structure", "properties", "resources"} and self.crystal is not None:
            self.step, self._wanted = self._wanted, ""

    def _see_run(self, change: Any) -> None:
        # traitlets gives no dict as the old value of a trait that nobody has read yet.
        old = change["old"] if isinstance(change["old"], dict) else {}
        new = change["new"] or {}
        self._fill()
        if old.get("state") == new.get("state") or not new.get("ended"):
            return
        self.recent.start()
        if new.get("state") == "finished" and self.step == "run" and self._wanted != "run":
            self.step = "results"
        elif new.get("state") == "rejected" and new.get("problem"):
            problem = Problem.from_json(new["problem"])
            if problem.field and self.run.inputs:
                self.prefill()
                self.run.forget()
                self.refused(problem)
