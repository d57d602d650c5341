"""One job: the engine's ``optimise`` or ``vibrations`` stage as an AiiDA calculation, and how its files are read."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJob, ExitCode
from aiida.parsers import Parser

CONTINUED = ("steps.jsonl", "displacements.jsonl")
"""Files of an interrupted calculation that the next one continues from."""


class XtbCalculation(CalcJob):  # type: ignore[misc]
    """Runs ``python -m simdeck_molecule.engine`` in the app's environment (the ``code``)."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare what goes in and comes out."""
        super().define(spec)
        spec.input("structure", valid_type=orm.StructureData)
        spec.input("parameters", valid_type=orm.Dict, help="The engine's task without the atoms; see engine/task.py.")
        spec.input(
            "parent_folder",
            valid_type=orm.RemoteData,
            required=False,
            help="Work directory of the calculation to continue.",
        )
        options = spec.inputs["metadata"]["options"]
        options["parser_name"].default = "molecule.xtb"
        options["resources"].default = {"num_machines": 1, "num_mpiprocs_per_machine": 1}
        options["withmpi"].default = False
        options["output_filename"].default = "engine.log"

        spec.output("energy", valid_type=orm.Float, help="Total energy in eV.")
        spec.output("dipole", valid_type=orm.Float, help="Dipole moment in debye, about the centre of mass.")
        spec.output("properties", valid_type=orm.Dict)
        spec.output("structure", valid_type=orm.StructureData, required=False)
        spec.output("trajectory", valid_type=orm.ArrayData, required=False)
        spec.output("frequencies", valid_type=orm.Dict, required=False)
        spec.output("modes", valid_type=orm.ArrayData, required=False)
        spec.output("spectrum", valid_type=orm.ArrayData, required=False)

        spec.exit_code(310, "ERROR_SCF_NOT_CONVERGED", message="{message}")
        spec.exit_code(320, "ERROR_GEOMETRY_NOT_CONVERGED", message="{message}")
        spec.exit_code(330, "ERROR_INVALID_INPUT", message="{message}")
        spec.exit_code(340, "ERROR_ENGINE_FAILED", message="The engine ended with an error: {message}")
        spec.exit_code(
            350, "ERROR_INTERRUPTED", message="The calculation was interrupted before it ended; it can be continued."
        )

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write ``input.json``; copy what an interrupted calculation had finished into ``previous/``."""
        atoms = self.inputs.structure.get_ase()
        task = {
            **self.inputs.parameters.get_dict(),
            "numbers": atoms.numbers.tolist(),
            "positions": atoms.positions.tolist(),
        }
        with folder.open("input.json", "w") as file:
            json.dump(task, file)
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        code.cmdline_params = ["-m", "simdeck_molecule.engine"]
        code.stdout_name = self.options.output_filename
        info = CalcInfo()
        info.codes_info = [code]
        info.retrieve_list = [
            "result.json", "error.json", "trajectory.xyz", "optimised.xyz", "frequencies.csv", "spectrum.csv",
            "progress.jsonl", self.options.output_filename,
        ]  # fmt: skip
        if "parent_folder" in self.inputs:
            folder.get_subfolder("previous", create=True)
            parent = self.inputs.parent_folder
            # A file that is not there yet is skipped by AiiDA with a warning: then there is nothing to continue from.
            info.remote_copy_list = [
                (parent.computer.uuid, f"{parent.get_remote_path()}/{name}", f"previous/{name}") for name in CONTINUED
            ]
        return info


class XtbParser(Parser):  # type: ignore[misc]
    """Turns ``result.json`` into nodes, ``error.json`` into an exit code, neither of them into an interruption."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Read the retrieved files."""
        codes = self.exit_codes
        result = self._read_json("result.json")
        if result is not None:
            self._hand_out(result)
            return None
        error = self._read_json("error.json")
        if error is not None:
            known = {
                "scf-not-converged": codes.ERROR_SCF_NOT_CONVERGED,
                "geometry-not-converged": codes.ERROR_GEOMETRY_NOT_CONVERGED,
                "invalid-input": codes.ERROR_INVALID_INPUT,
            }
            if "trajectory.xyz" in self.retrieved.base.repository.list_object_names():
                self._last_geometry()
            exit_code = known.get(error.get("code", ""), codes.ERROR_ENGINE_FAILED)
            return exit_code.format(message=error.get("message", "no message"))
        reason = crash_reason(self._read_text(self.node.get_option("scheduler_stderr") or "_scheduler-stderr.txt"))
        return codes.ERROR_ENGINE_FAILED.format(message=reason) if reason else codes.ERROR_INTERRUPTED

    def _read_text(self, name: str) -> str:
        repository = self.retrieved.base.repository
        if name not in repository.list_object_names():
            return ""
        return str(repository.get_object_content(name, mode="rb").decode(errors="replace"))

    def _read_json(self, name: str) -> dict[str, Any] | None:
        text = self._read_text(name)
        return json.loads(text) if text else None

    def _last_geometry(self) -> None:
        """The last geometry of an optimisation that failed, to look at or to go on from."""
        from io import StringIO

        from ase.io import read

        atoms = read(StringIO(self._read_text("trajectory.xyz")), format="extxyz", index=-1)
        self.out("structure", orm.StructureData(ase=atoms))

    def _hand_out(self, result: dict[str, Any]) -> None:
        from ase.units import Debye

        dipole = np.array(result["dipole"]) / Debye
        self.out("energy", orm.Float(result["energy"]))
        self.out("dipole", orm.Float(float(np.linalg.norm(dipole))))
        properties: dict[str, Any] = {
            "largest_force": result["fmax"],
            "dipole_vector": dipole.tolist(),
            "units": {"largest_force": "eV/Å", "dipole_vector": "D", "charges": "e"},
        }
        structure = self.node.inputs.structure
        if result["stage"] == "optimise":
            properties |= {"steps": result["steps"], "charges": result["charges"]}
            atoms = structure.get_ase()
            numbers = atoms.numbers.copy()
            atoms.positions = result["positions"]
            self.out("structure", orm.StructureData(ase=atoms))
            trajectory = orm.ArrayData()
            trajectory.set_array("atomic_numbers", numbers)
            for name in ("positions", "energies", "fmax"):
                trajectory.set_array(name, np.array(result["trajectory"][name]))
            trajectory.base.attributes.set("units", {"positions": "Å", "energies": "eV", "fmax": "eV/Å"})
            self.out("trajectory", trajectory)
        else:
            properties["projected_out"] = result["residue"]
            properties["units"]["projected_out"] = "cm⁻¹"
            self.out("frequencies", orm.Dict(_frequencies(result)))
            modes = orm.ArrayData()
            modes.set_array("displacements", np.array(result["modes"]))
            modes.base.attributes.set("units", {"displacements": "unit norm"})
            self.out("modes", modes)
            spectrum = orm.ArrayData()
            for name in ("wavenumbers", "absorption"):
                spectrum.set_array(name, np.array(result["spectrum"][name]))
            spectrum.base.attributes.set("units", {"wavenumbers": "cm⁻¹", "absorption": "km/mol per cm⁻¹"})
            self.out("spectrum", spectrum)
        self.out("properties", orm.Dict(properties))


def _frequencies(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "frequencies": result["frequencies"],
        "intensities": result["intensities"],
        "reduced_masses": result["reduced_masses"],
        "imaginary": sum(f < 0 for f in result["frequencies"]),
        "units": {"frequencies": "cm⁻¹", "intensities": "km/mol", "reduced_masses": "u"},
    }


def crash_reason(stderr: str) -> str | None:
    """Why the engine crashed, from its standard error; None if it was killed from outside or left no word."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        return lines[-1][:500]
    for line in lines:
        if any(
            sign in line
            for sign in ("No module named", "No such file or directory", "Segmentation fault", "command not found")
        ):
            return line[:500]
    return None
