"""The app's workflow: optimise a molecule, then its vibrations and thermochemistry, continuing what is interrupted."""

from __future__ import annotations

from typing import Any, ClassVar

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain, calcfunction, if_, while_

from simdeck_molecule import limits, validation
from simdeck_molecule.annotations import OPTIMIZE
from simdeck_molecule.calculations import XtbCalculation
from simdeck_molecule.electrons import resolve_multiplicity
from simdeck_molecule.thermochemistry import thermochemistry

MAX_CONTINUATIONS = 5
"""How often an interrupted calculation is continued before the run gives up."""


@calcfunction  # type: ignore[untyped-decorator]
def compute_thermochemistry(
    structure: orm.StructureData, energy: orm.Float, frequencies: orm.Dict, conditions: orm.Dict
) -> dict[str, Any]:
    """ZPE, H, S and G from the optimised structure (Å), its energy (eV) and wavenumbers (cm⁻¹)."""
    result = thermochemistry(
        structure.get_ase(), energy=energy.value, frequencies=frequencies["frequencies"], **conditions.get_dict()
    )
    return {
        "thermochemistry": orm.Dict(result),
        "zero_point_energy": orm.Float(result["zero_point_energy"]),
        "gibbs_energy": orm.Float(result["gibbs_energy"]),
    }


def _named(name: str) -> Any:
    """A port's validator that answers with the port's name in front, so that the sentence lands next to the field."""

    def validate(node: Any, _: Any) -> str | None:
        sentence = validation.SCALAR_CHECKS[name](node.value) if node is not None else None
        return f"{name}: {sentence}" if sentence else None

    return validate


def _check_structure(structure: Any, _: Any) -> str | None:
    # The count first: turning thousands of sites into atoms takes longer than refusing them.
    sentence = validation.check_atom_count(len(structure.base.attributes.get("sites", [])))
    sentence = sentence or validation.check_structure(structure.get_ase())
    return f"structure: {sentence}" if sentence else None


def _check_together(inputs: Any, _: Any) -> str | None:
    """What only the inputs together can tell. Called after each input is valid by itself."""
    if "structure" not in inputs:
        return None
    plain = {name: inputs[name].value for name in ("charge", "multiplicity", "frequencies") if name in inputs}
    for name, sentence in validation.check_inputs({"structure": inputs["structure"].get_ase(), **plain}).items():
        return f"{name}: {sentence}"
    return None


class OptimizeWorkChain(WorkChain):  # type: ignore[misc]
    """Relax a molecule with xTB; optionally its normal modes, IR spectrum and ideal-gas thermochemistry."""

    SIMDECK: ClassVar[dict[str, Any]] = OPTIMIZE

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, steps, outputs and how it can fail."""
        super().define(spec)
        spec.input("structure", valid_type=orm.StructureData, validator=_check_structure)
        spec.input("code", valid_type=orm.AbstractCode, help="The Python of the app's environment.")
        for name, kind, default in (
            ("charge", orm.Int, 0),
            ("multiplicity", orm.Int, 0),
            ("method", orm.Str, limits.DEFAULT_METHOD),
            ("fmax", orm.Float, limits.DEFAULT_FMAX),
            ("max_steps", orm.Int, limits.DEFAULT_STEPS),
            ("temperature", orm.Float, limits.DEFAULT_TEMPERATURE),
            ("pressure", orm.Float, limits.DEFAULT_PRESSURE),
            ("symmetry_number", orm.Int, 0),
            ("line_width", orm.Float, limits.DEFAULT_FWHM),
        ):
            spec.input(
                name,
                valid_type=kind,
                default=_default(kind, default),
                serializer=orm.to_aiida_type,
                validator=_named(name),
            )
        spec.input("frequencies", valid_type=orm.Bool, default=_default(orm.Bool, True), serializer=orm.to_aiida_type)
        spec.inputs.validator = _check_together

        spec.outline(
            cls.prepare,
            while_(cls.stage_is_unfinished)(cls.submit_stage, cls.inspect_stage),
            cls.keep_geometry,
            if_(cls.frequencies_are_wanted)(
                cls.prepare_vibrations,
                while_(cls.stage_is_unfinished)(cls.submit_stage, cls.inspect_stage),
                cls.keep_vibrations,
            ),
        )

        spec.output("structure", valid_type=orm.StructureData)
        spec.output("trajectory", valid_type=orm.ArrayData, required=False)
        spec.output("energy", valid_type=orm.Float, required=False)
        spec.output("dipole", valid_type=orm.Float, required=False)
        spec.output("properties", valid_type=orm.Dict, required=False)
        spec.output("frequencies", valid_type=orm.Dict, required=False)
        spec.output("modes", valid_type=orm.ArrayData, required=False)
        spec.output("spectrum", valid_type=orm.ArrayData, required=False)
        spec.output("thermochemistry", valid_type=orm.Dict, required=False)
        spec.output("zero_point_energy", valid_type=orm.Float, required=False)
        spec.output("gibbs_energy", valid_type=orm.Float, required=False)

        spec.exit_code(410, "ERROR_SCF_NOT_CONVERGED", message="{message}")
        spec.exit_code(420, "ERROR_GEOMETRY_NOT_CONVERGED", message="{message}")
        spec.exit_code(430, "ERROR_INVALID_INPUT", message="{message}")
        spec.exit_code(440, "ERROR_CALCULATION_FAILED", message="The {stage} failed: {message}")
        spec.exit_code(
            450, "ERROR_INTERRUPTED_TOO_OFTEN",
            message="The {stage} was interrupted {times} times and has been given up. If the machine did not "
            "restart, it may be short of memory; try a smaller molecule, or retry the run.",
        )  # fmt: skip

    # --- the stages ---------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Settle the multiplicity and set up the optimisation."""
        structure = self.inputs.structure
        numbers = structure.get_ase().numbers
        charge, asked = self.inputs.charge.value, self.inputs.multiplicity.value
        self.ctx.multiplicity = resolve_multiplicity(numbers, charge, asked)
        self._begin("optimise", structure, {"fmax": self.inputs.fmax.value, "max_steps": self.inputs.max_steps.value})

    def prepare_vibrations(self) -> None:
        """Set up the vibrations of the optimised geometry."""
        self._begin("vibrations", self.ctx.optimised, {"line_width": self.inputs.line_width.value})

    def _begin(self, stage: str, structure: orm.StructureData, parameters: dict[str, Any]) -> None:
        self.ctx.stage = stage
        self.ctx.attempt = 0
        self.ctx.finished = False
        self.ctx.calculation = None
        self.ctx.stage_structure = structure
        self.ctx.stage_parameters = {
            "stage": stage,
            "charge": self.inputs.charge.value,
            "multiplicity": self.ctx.multiplicity,
            "method": self.inputs.method.value,
            **parameters,
        }

    def stage_is_unfinished(self) -> bool:
        """Whether the current stage still needs a calculation."""
        return not self.ctx.finished

    def submit_stage(self) -> ToContext:
        """Start the stage's calculation, or continue it from what an interrupted one had finished."""
        inputs: dict[str, Any] = {
            "code": self.inputs.code,
            "structure": self.ctx.stage_structure,
            "parameters": orm.Dict(self.ctx.stage_parameters),
            "metadata": {
                "call_link_label": f"{self.ctx.stage}_{self.ctx.attempt}" if self.ctx.attempt else self.ctx.stage,
                "label": _TITLES[self.ctx.stage],
            },
        }
        before = self.ctx.calculation
        if before is not None and "remote_folder" in before.outputs:
            inputs["parent_folder"] = before.outputs.remote_folder
        return ToContext(calculation=self.submit(XtbCalculation, **inputs))

    def inspect_stage(self) -> ExitCode | None:
        """Finished, to be continued, or failed for good."""
        calculation, codes = self.ctx.calculation, XtbCalculation.exit_codes
        if calculation.is_finished_ok:
            self.ctx.finished = True
            return None
        stage = _TITLES[self.ctx.stage].lower()
        if calculation.exit_status == codes.ERROR_INTERRUPTED.status:
            self.ctx.attempt += 1
            if self.ctx.attempt > MAX_CONTINUATIONS:
                return self.exit_codes.ERROR_INTERRUPTED_TOO_OFTEN.format(stage=stage, times=self.ctx.attempt)
            self.report(f"the {stage} was interrupted; continuing it ({self.ctx.attempt} of {MAX_CONTINUATIONS})")
            return None
        if "structure" in calculation.outputs:
            self.out("structure", calculation.outputs.structure)
        message = calculation.exit_message or calculation.exception or f"it ended as {calculation.process_state}"
        passed_on = {
            codes.ERROR_SCF_NOT_CONVERGED.status: self.exit_codes.ERROR_SCF_NOT_CONVERGED,
            codes.ERROR_GEOMETRY_NOT_CONVERGED.status: self.exit_codes.ERROR_GEOMETRY_NOT_CONVERGED,
            codes.ERROR_INVALID_INPUT.status: self.exit_codes.ERROR_INVALID_INPUT,
        }
        known = passed_on.get(calculation.exit_status)
        if known is not None:
            return known.format(message=message)
        return self.exit_codes.ERROR_CALCULATION_FAILED.format(stage=stage, message=message)

    def keep_geometry(self) -> None:
        """Hand out the optimisation's results."""
        outputs = self.ctx.calculation.outputs
        self.ctx.optimised = outputs.structure
        self.ctx.energy = outputs.energy
        for name in ("structure", "trajectory", "energy", "dipole", "properties"):
            self.out(name, outputs[name])

    def frequencies_are_wanted(self) -> bool:
        """Whether the run goes on to the vibrations."""
        return bool(self.inputs.frequencies.value)

    def keep_vibrations(self) -> None:
        """Hand out the vibrations, and the thermochemistry made of them."""
        outputs = self.ctx.calculation.outputs
        for name in ("frequencies", "modes", "spectrum"):
            self.out(name, outputs[name])
        conditions = {
            "multiplicity": self.ctx.multiplicity,
            "temperature": self.inputs.temperature.value,
            "pressure": self.inputs.pressure.value,
            "symmetry": self.inputs.symmetry_number.value,
        }
        found = compute_thermochemistry(self.ctx.optimised, self.ctx.energy, outputs.frequencies, orm.Dict(conditions))
        for name, node in found.items():
            self.out(name, node)
        for note in found["thermochemistry"]["notes"]:
            self.report(note)


_TITLES = {"optimise": "Geometry optimisation", "vibrations": "Vibrational frequencies"}


def _default(kind: Any, value: Any) -> Any:
    """A default must be made anew for each process: a node can be stored but once."""
    return lambda: kind(value)
