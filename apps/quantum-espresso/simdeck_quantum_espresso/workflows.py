"""The app's workflow: relax a crystal, then its self-consistent field, bands, density of states and phonons.

aiida-quantumespresso is imported when the first stage is prepared: describing the workflow, and a worker that never
runs it, do without.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain, while_

from simdeck_quantum_espresso import settings, validation
from simdeck_quantum_espresso.annotations import PROPERTIES
from simdeck_quantum_espresso.engine import programs
from simdeck_quantum_espresso.failures import explain
from simdeck_quantum_espresso.pseudopotentials import NoPseudopotentialError, choose

MAX_ROUNDS = 5
"""How often a cell is relaxed anew with the plane waves that belong to what the round before left."""
NEARLY = 501
"""Exit status of a relaxed cell whose last field, with plane waves of its own, is still under some pressure."""
MAX_CONTINUATIONS = 4
"""How often an interrupted calculation is begun again before the run gives up."""

SCALARS: tuple[tuple[str, Any], ...] = (
    ("protocol", orm.Str),
    ("functional", orm.Str),
    ("family", orm.Str),
    ("relax", orm.Str),
    ("bands", orm.Bool),
    ("dos", orm.Bool),
    ("phonons", orm.Bool),
    ("magnetism", orm.Str),
    ("moment", orm.Float),
    ("occupations", orm.Str),
    ("smearing", orm.Str),
    ("width", orm.Float),
    ("k_spacing", orm.Float),
    ("cutoff", orm.Float),
    ("density_cutoff", orm.Float),
    ("mixing", orm.Float),
    ("scf_steps", orm.Int),
    ("cores", orm.Int),
    ("walltime", orm.Int),
)

TITLES = {
    "relax": "Relaxation",
    "vc-relax": "Relaxation of the cell",
    "scf": "Self-consistent field",
    "bands": "Band structure",
    "nscf": "Density of states",
    "projwfc": "Projection on atoms",
    "phonons": "Phonons at Γ",
}


def _named(name: str) -> Any:
    """A port's validator that answers with the port's name in front, so that the sentence lands next to the field."""
    check = validation.SCALAR_CHECKS.get(name)

    def validate(node: Any, _: Any) -> str | None:
        sentence = check(node.value) if node is not None and check is not None else None
        return f"{name}: {sentence}" if sentence else None

    return validate


def _check_structure(structure: Any, _: Any) -> str | None:
    # The count first: turning thousands of sites into atoms takes longer than refusing them.
    sentence = validation.check_atom_count(len(structure.base.attributes.get("sites", [])))
    sentence = sentence or validation.check_structure(structure.get_ase())
    return f"structure: {sentence}" if sentence else None


def _check_together(inputs: Any, _: Any) -> str | None:
    """What only the inputs together can tell, and what this machine has. Called after each input is valid by itself."""
    if "structure" not in inputs:
        return None
    plain = {name: inputs[name].value for name, _ in SCALARS if name in inputs}
    atoms = inputs["structure"].get_ase()
    for name, sentence in validation.check_together({"structure": atoms, **plain}).items():
        return f"{name}: {sentence}"
    try:
        choose(atoms.get_chemical_symbols(), plain.get("functional", "PBE"), family=plain.get("family", ""))
    except NoPseudopotentialError as error:
        return f"{'family' if plain.get('family') else 'functional'}: {error}"
    code = inputs.get("code")
    if code is not None and code.computer is not None and code.computer.label == "localhost" and not _offered_here():
        # Elsewhere the calculation itself looks: the programs lie on the compute nodes.
        for program in needed(plain):
            if programs.find(program) is None:
                return f"structure: {programs.INSTALL.format(program=program, where='this machine')}"
    return None


def _offered_here() -> bool:
    """Whether the site names a code of this machine: then modules or a container may bring it."""
    from simdeck_workflows.engine.codes import site_code

    return site_code("localhost", "pw.x") is not None


def needed(inputs: dict[str, Any]) -> list[str]:
    """The programs that a run with these inputs starts."""
    found = ["pw.x"]
    found += ["projwfc.x"] if inputs.get("dos", True) else []
    return [*found, "ph.x"] if inputs.get("phonons") else found


class PropertiesWorkChain(WorkChain):  # type: ignore[misc]
    """Ground state of a crystal and what is asked of its electrons and vibrations."""

    SIMDECK: ClassVar[dict[str, Any]] = PROPERTIES

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, steps, outputs and how it can fail."""
        super().define(spec)
        spec.input("structure", valid_type=orm.StructureData, validator=_check_structure)
        spec.input("origin", valid_type=orm.Dict, required=False, serializer=orm.to_aiida_type)
        spec.input("code", valid_type=orm.AbstractCode, help="The Python of the app's environment.")
        for name, kind in SCALARS:
            spec.input(
                name,
                valid_type=kind,
                default=_default(kind, settings.DEFAULTS[name]),
                serializer=orm.to_aiida_type,
                validator=_named(name),
            )
        spec.inputs.validator = _check_together
        spec.outline(
            cls.prepare,
            while_(cls.stages_are_left)(cls.submit_stage, cls.inspect_stage),
            cls.conclude,
        )
        spec.output("structure", valid_type=orm.StructureData)
        spec.output("energy", valid_type=orm.Float, required=False)
        spec.output("fermi_energy", valid_type=orm.Float, required=False)
        spec.output("gap", valid_type=orm.Float, required=False)
        spec.output("moment", valid_type=orm.Float, required=False)
        spec.output("properties", valid_type=orm.Dict, required=False)
        spec.output("bands", valid_type=orm.ArrayData, required=False)
        spec.output("band_path", valid_type=orm.Dict, required=False)
        spec.output("dos", valid_type=orm.ArrayData, required=False)
        spec.output("forces", valid_type=orm.ArrayData, required=False)
        spec.output("relaxation", valid_type=orm.ArrayData, required=False)
        spec.output("phonons", valid_type=orm.Dict, required=False)
        spec.exit_code(410, "ERROR_SCF_NOT_CONVERGED", message="{message}")
        spec.exit_code(420, "ERROR_RELAXATION_NOT_CONVERGED", message="{message}")
        spec.exit_code(430, "ERROR_PROGRAM_MISSING", message="{message}")
        spec.exit_code(440, "ERROR_CALCULATION_FAILED", message="The step “{stage}” failed. {message}")
        spec.exit_code(
            450,
            "ERROR_INTERRUPTED_TOO_OFTEN",
            message="The step “{stage}” was interrupted {times} times and has been given up. If the machine did "
            "not restart, "
            "it may be short of memory; ask for fewer cores or a smaller cell, or retry the run.",
        )

    # --- the stages ---------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Work out which stages there are."""
        relax = {"none": [], "positions": ["relax"], "cell": ["vc-relax"]}[self.inputs.relax.value]
        after = [stage for stage in ("bands", "phonons") if self.inputs[stage].value]
        self.ctx.stages = [*relax, "scf", *after, *(["nscf", "projwfc"] if self.inputs.dos.value else [])]
        self.ctx.structure = self.inputs.structure
        self.ctx.place = 0
        self.ctx.attempt = 0
        self.ctx.rounds = 0

    def stages_are_left(self) -> bool:
        """Whether there is a stage that has not ended."""
        return bool(self.ctx.place < len(self.ctx.stages))

    def submit_stage(self) -> ToContext:
        """Start the stage's process, or an interrupted one once more."""
        from simdeck_quantum_espresso import stages

        stage = self.ctx.stages[self.ctx.place]
        if stage == "scf" and self.inputs.bands.value and "path" not in self.ctx:
            found = stages.path_of(self.ctx.structure, orm.Float(stages.protocol(self.inputs).path))
            self.ctx.structure, self.ctx.path = found["structure"], found["path"]
        process, inputs = stages.build(stage, self.inputs, self.ctx, TITLES[stage])
        again = self.ctx.attempt + self.ctx.rounds if stage == "vc-relax" else self.ctx.attempt
        label = stage.replace("-", "_") + (f"_{again}" if again else "")
        inputs.setdefault("metadata", {})
        inputs["metadata"] = {**inputs["metadata"], "call_link_label": label, "label": TITLES[stage]}
        return ToContext(process=self.submit(process, **inputs))

    def inspect_stage(self) -> ExitCode | None:
        """Finished, to be begun again, or failed for good."""
        process, stage = self.ctx.process, self.ctx.stages[self.ctx.place]
        if process.is_finished_ok:
            self._keep(stage, process)
            self.ctx.place += 1
            self.ctx.attempt = 0
            return None
        if process.exit_status == NEARLY and "output_structure" in process.outputs:
            self.ctx.rounds += 1
            self.ctx.structure = process.outputs.output_structure
            if self.ctx.rounds < MAX_ROUNDS:
                self.report(f"the cell changed its plane waves; relaxing it anew ({self.ctx.rounds} of {MAX_ROUNDS})")
                return None
        job = last_job(process)
        end = end_of(job) if job is not None else {}
        if end.get("problem") == "program-missing":
            return self.exit_codes.ERROR_PROGRAM_MISSING.format(message=end["message"])
        if job is not None and (module := missing_module(job)):
            message = f"The environment module {module} cannot be loaded where the calculation ran."
            return self.exit_codes.ERROR_PROGRAM_MISSING.format(message=message)
        if job is not None and not end and not process.is_killed:
            self.ctx.attempt += 1
            if self.ctx.attempt > MAX_CONTINUATIONS:
                return self.exit_codes.ERROR_INTERRUPTED_TOO_OFTEN.format(stage=TITLES[stage], times=self.ctx.attempt)
            self.report(
                f"{TITLES[stage]} was interrupted; beginning it again ({self.ctx.attempt} of {MAX_CONTINUATIONS})"
            )
            return None
        self.out("structure", self.ctx.structure)
        kind, message = explain(process, job)
        if kind == "scf":
            return self.exit_codes.ERROR_SCF_NOT_CONVERGED.format(message=message)
        if kind == "relaxation":
            return self.exit_codes.ERROR_RELAXATION_NOT_CONVERGED.format(message=message)
        return self.exit_codes.ERROR_CALCULATION_FAILED.format(stage=TITLES[stage], message=message)

    def _keep(self, stage: str, process: Any) -> None:
        """Note what the following stages need."""
        if stage in {"relax", "vc-relax"}:
            self.ctx.structure = process.outputs.output_structure
            self.ctx.relaxed = process
        else:
            self.ctx[stage] = process

    def conclude(self) -> None:
        """Hand out the results, and free the wavefunctions' disk space."""
        from simdeck_quantum_espresso import results

        for name, node in results.collect(self.inputs, self.ctx).items():
            self.out(name, node)
        # The field's folder stays: another run that takes its result over goes on from the density in it. What the
        # others leave, wavefunctions for every k-point, is needed by nobody and can be hundreds of megabytes.
        kept = last_job(self.ctx.scf)
        for process in self.node.called_descendants:
            if isinstance(process, orm.CalcJobNode) and process.pk != kept.pk and "remote_folder" in process.outputs:
                process.outputs.remote_folder._clean()


def last_job(process: Any) -> Any:
    """The last calculation of a process, or the process itself; None where it came to none."""
    if isinstance(process, orm.CalcJobNode):
        return process
    jobs = [node for node in process.called_descendants if isinstance(node, orm.CalcJobNode)]
    return max(jobs, key=lambda node: node.pk) if jobs else None


def missing_module(job: Any) -> str | None:
    """The environment module that a job's script could not load, if that is how it ended."""
    from simdeck_workflows.codes import MODULE_MISSING

    said = (job.get_scheduler_stderr() or "").splitlines() if isinstance(job, orm.CalcJobNode) else []
    return next((line.removeprefix(MODULE_MISSING).strip() for line in said if line.startswith(MODULE_MISSING)), None)


def end_of(job: Any) -> dict[str, Any]:
    """What the engine wrote when it ended; empty where it was interrupted."""
    from simdeck_quantum_espresso.failures import retrieved_text

    text = retrieved_text(job, "engine.json")
    return dict(json.loads(text)) if text else {}


def _default(kind: Any, value: Any) -> Any:
    """A default must be made anew for each process: a node can be stored but once."""
    return lambda: kind(value)
