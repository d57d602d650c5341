"""The state of the page: the structure chosen, the form, the run that is open. No widget, so tests need no browser."""

from __future__ import annotations

import asyncio
from typing import Any

import traitlets
from simdeck_common.problems import Problem
from simdeck_widgets.app_model import AppModel
from simdeck_widgets.form_model import FormModel

from simdeck_molecule.ui import structures
from simdeck_molecule.ui.structures import Structure

WORKFLOW = "molecule.optimize"


class MoleculeModel(AppModel):
    """What the page knows and does.

    Parameters
    ----------
    api
        An ``AsyncClient`` of ``simdeck_workflows.client``.
    """

    structure = traitlets.Instance(Structure, allow_none=True)
    structure_error = traitlets.Unicode()
    source = traitlets.Unicode()
    """The library name the structure came from, or empty."""
    busy = traitlets.Bool(False)
    stage = traitlets.Enum(["prepare", "run"], "prepare")

    def __init__(self, api: Any, schema: dict[str, Any] | None = None) -> None:
        super().__init__(api, WORKFLOW)
        self.form = FormModel(check=self._check_together)
        if schema is not None:
            self.form.load(schema)
        self.observe(lambda _: self._judge_structure(), ["structure"])
        self.run.observe(lambda change: self._see_run(change), ["run"])

    # --- start ------------------------------------------------------------------------------------------------------

    def take_schema(self, schema: dict[str, Any]) -> None:
        """Take the schema into the form."""
        self.form.load(schema)
        super().take_schema(schema)

    # --- the structure ----------------------------------------------------------------------------------------------

    async def take_file(self, name: str, data: bytes) -> None:
        """Use an uploaded file."""
        await self._take("", lambda: structures.from_file(name, data))

    async def take_library(self, name: str) -> None:
        """Use one of ASE's molecules."""
        await self._take(name, lambda: structures.from_library(name))

    async def take_smiles(self, text: str) -> None:
        """Use a SMILES text."""
        await self._take("", lambda: structures.from_smiles(text))

    async def _take(self, source: str, make: Any) -> None:
        from simdeck_molecule.reading import UnreadableError

        self.busy = True
        self.structure_error = ""
        try:
            structure = await asyncio.to_thread(make)
        except UnreadableError as error:
            self.structure_error = str(error)
            return
        except Exception as error:
            self.structure_error = (
                f"The structure could not be read ({type(error).__name__}). Try another file or format."
            )
            return
        finally:
            self.busy = False
        self.source = source
        self.structure = structure
        said = {"charge": structure.charge, "multiplicity": structure.multiplicity}
        known = self.form.schema.get("properties", {})
        self.form.values = {**self.form.values, **{k: v for k, v in said.items() if v is not None and k in known}}

    def _refuse_structure(self, sentence: str) -> None:
        """Say why, and forget the structure before:

        It was meant to be replaced and must not be submitted by mistake.
        """
        self.source = ""
        self.structure = None
        self.structure_error = sentence

    def _judge_structure(self) -> None:
        self.structure_error = ""
        self.form.judge()

    def _check_together(self, values: dict[str, Any]) -> dict[str, str]:
        """The molecule app's own checks, in plain sentences; those about the structure go next to the chooser."""
        from simdeck_molecule import validation

        inputs = dict(values)
        if self.structure is not None:
            limit = validation.check_atom_count(
                len(self.structure.symbols), frequencies=bool(values.get("frequencies", True))
            )
            if limit:
                self.structure_error = limit
                return {}
            inputs["structure"] = self.structure.atoms()
        found = dict(validation.check_inputs(inputs))
        sentence = found.pop("structure", "")
        if self.structure is not None:
            self.structure_error = sentence
        return found

    @property
    def can_submit(self) -> bool:
        """Whether everything is there and nothing is known to be wrong."""
        return bool(
            self.ready and self.structure is not None and not self.structure_error and self.form.valid
            and not self.submitting and not self.busy
        )  # fmt: skip

    # --- runs -------------------------------------------------------------------------------------------------------

    async def submit(self) -> None:
        """Submit what the form says and follow the run; a refusal goes next to the field it is about."""
        if self.can_submit and self.structure is not None:
            await self.send({**self.form.values, "structure": self.structure.to_input()}, self.title())

    def title(self) -> str:
        """What the run is called in the lists."""
        assert self.structure is not None
        charge = self.form.values.get("charge", 0)
        charged = f" ({charge:+d})".replace("-", "−") if charge else ""
        what = "optimisation and frequencies" if self.form.values.get("frequencies", True) else "optimisation"
        return f"{self.structure.name}{charged}: {what}"[:200]

    def refused(self, problem: Problem) -> None:
        """Say why, next to the structure or the field that it is about."""
        field = (problem.field or "").split(".")[0]
        if field == "structure":
            self.structure_error = problem.detail
        elif field in self.form.schema.get("properties", {}):
            self.form.refuse(field, problem.detail)
        else:
            super().refused(problem)

    def open(self, run_id: str) -> Any:
        """Show a run, at whichever stage it is, and follow it."""
        self.stage = "run"
        return super().open(run_id)

    def leave_run(self) -> None:
        """Back to the form."""
        self.stage = "prepare"

    def start_anew(self, *, keep: bool) -> None:
        """Back to the form; with ``keep`` it holds the shown run's inputs."""
        if keep and self.run.inputs:
            self.prefill(self.run.inputs, str(self.run.run.get("title", "")).partition(":")[0])
        self.run.forget()
        self.problem = {}
        self.stage = "prepare"

    def prefill(self, inputs: dict[str, Any], name: str = "") -> None:
        """Put a run's inputs into the form."""
        given = inputs.get("structure")
        if isinstance(given, dict):
            structure = structures.from_input(given, name.partition(" (")[0])
            if structure is not None:
                self.source = ""
                self.structure = structure
        known = self.form.schema.get("properties", {})
        self.form.values = {**self.form.values, **{k: v for k, v in inputs.items() if k in known and k != "structure"}}

    def _see_run(self, change: Any) -> None:
        # traitlets gives no dict as the old value of a trait that nobody has read yet.
        old = change["old"] if isinstance(change["old"], dict) else {}
        new = change["new"] or {}
        if old.get("state") != new.get("state") and new.get("ended"):
            self.recent.start()
        self._rejected(new)

    def _rejected(self, run: dict[str, Any]) -> None:
        """A run refused by the deep check: back to the form with the sentence next to its field."""
        if run.get("state") != "rejected" or not run.get("problem"):
            return
        problem = Problem.from_json(run["problem"])
        if problem.field and self.run.inputs:
            self.start_anew(keep=True)
            self.refused(problem)
