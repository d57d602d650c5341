"""The processes of the stages, with their inputs, made with aiida-quantumespresso's protocols. Imported when a run
begins."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.engine import calcfunction
from aiida_pseudo.data.pseudo.upf import UpfData
from aiida_quantumespresso.calculations.projwfc import ProjwfcCalculation
from aiida_quantumespresso.common.types import ElectronicType, SpinType
from aiida_quantumespresso.workflows.ph.base import PhBaseWorkChain
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from simdeck_quantum_espresso import settings
from simdeck_quantum_espresso.engine.programs import CONTAINER, FOLDER, LAUNCHER
from simdeck_quantum_espresso.pseudopotentials import Pseudopotential, choose

RETRIEVED = ["engine.json"]
SAFE_MIXINGS = 4
"""Iterations mixed in a phonon calculation: the programs of 2021 stop at more."""


@calcfunction  # type: ignore[untyped-decorator]
def path_of(structure: orm.StructureData, spacing: orm.Float) -> dict[str, Any]:
    """The standard primitive cell, and a path of k-points at most ``spacing`` (1/Å) apart through its corners."""
    from aiida.tools import get_explicit_kpoints_path

    found = get_explicit_kpoints_path(structure, reference_distance=spacing.value)
    return {"structure": found["primitive_structure"], "path": found["explicit_kpoints"]}


def protocol(inputs: Any) -> settings.Protocol:
    """The numbers of the protocol that a run asks for."""
    return settings.PROTOCOLS[inputs.protocol.value]


def plain(inputs: Any) -> dict[str, Any]:
    """A run's plain inputs as Python values."""
    return {name: inputs[name].value for name in settings.DEFAULTS if name in inputs}


def numbers(inputs: Any, structure: orm.StructureData) -> settings.Numbers:
    """What a run computes with."""
    atoms = structure.get_ase()
    return settings.numbers(atoms, plain(inputs), chosen(atoms.get_chemical_symbols(), inputs))


def build(stage: str, inputs: Any, context: Any, title: str) -> tuple[Any, dict[str, Any]]:
    """The process of a stage and its inputs."""
    if stage == "projwfc":
        return ProjwfcCalculation, _projection(inputs, context, title)
    if stage == "phonons":
        return PhBaseWorkChain, _phonons(inputs, context, title)
    return PwBaseWorkChain, _pw(stage, inputs, context, title)


def _pw(stage: str, inputs: Any, context: Any, title: str) -> dict[str, Any]:
    structure = context.structure
    found = numbers(inputs, structure)
    magnetic = inputs.magnetism.value == "ferromagnetic"
    system: dict[str, Any] = {"ecutwfc": found.cutoff, "ecutrho": found.density_cutoff}
    electrons: dict[str, Any] = {"electron_maxstep": inputs.scf_steps.value}
    if inputs.mixing.value:
        electrons["mixing_beta"] = inputs.mixing.value
    if found.smearing != "fixed":
        system |= {"smearing": found.smearing, "degauss": found.width / settings.RYDBERG}
    if stage in {"bands", "nscf"}:
        system["nbnd"] = found.bands
        # Debian's release knows ParO by name only and writes a file that its own schema does not allow.
        electrons["diagonalization"] = "david"
    overrides: dict[str, Any] = {
        "clean_workdir": False,
        "kpoints_distance": found.dos_spacing if stage == "nscf" else found.k_spacing,
        "pw": {
            "pseudos": _pseudos(structure, inputs),
            "parameters": {
                "CONTROL": {"calculation": stage},
                "SYSTEM": system,
                "ELECTRONS": electrons,
            },
            "settings": {"cmdline": _command(stage, "pw.x", inputs)},
        },
    }
    builder = PwBaseWorkChain.get_builder_from_protocol(
        code=inputs.code,
        structure=structure,
        protocol=settings.UPSTREAM[inputs.protocol.value],
        overrides=overrides,
        electronic_type=ElectronicType.INSULATOR if found.smearing == "fixed" else ElectronicType.METAL,
        spin_type=SpinType.COLLINEAR if magnetic else SpinType.NONE,
        initial_magnetic_moments=_moments(structure, inputs.moment.value) if magnetic and inputs.moment.value else None,
        options=_options(inputs),
    )
    builder.pw.metadata["label"] = title
    if stage in {"bands", "nscf"}:
        builder.pw["parent_folder"] = context.scf.outputs.remote_folder
        parameters = builder.pw.parameters.get_dict()
        if magnetic:
            # The density of the field before carries the moment.
            parameters["SYSTEM"].pop("starting_magnetization", None)
            parameters["SYSTEM"]["starting_magnetization"] = _none(structure)
        if stage == "nscf" and found.smearing != "fixed":
            for name in ("smearing", "degauss"):
                parameters["SYSTEM"].pop(name, None)
            parameters["SYSTEM"]["occupations"] = "tetrahedra_opt"
        builder.pw["parameters"] = orm.Dict(parameters)
    if stage == "bands":
        del builder["kpoints_distance"]
        builder.kpoints = context.path
    return dict(builder._inputs(prune=True))


def _none(structure: orm.StructureData) -> dict[str, float]:
    return {kind.name: 0.0 for kind in structure.kinds}


def _moments(structure: orm.StructureData, moment: float) -> dict[str, float]:
    return {kind.name: moment for kind in structure.kinds}


def _projection(inputs: Any, context: Any, title: str) -> dict[str, Any]:
    band = context.nscf.outputs.output_parameters.get_dict()
    fermi = float(band.get("fermi_energy") or 0.0)
    energies = context.nscf.outputs.output_band.get_bands()
    parameters = {
        "DeltaE": protocol(inputs).dos_step,
        "Emin": float(energies.min()) - 2.0,
        "Emax": max(float(energies.max()), fermi) + 1.0,
    }
    if inputs.occupations.value == "fixed":
        parameters |= {"ngauss": 0, "degauss": 0.01}
    return {
        "code": inputs.code,
        "parameters": orm.Dict({"PROJWFC": parameters}),
        "parent_folder": context.nscf.outputs.remote_folder,
        "settings": orm.Dict({"cmdline": _command("projwfc", "projwfc.x", inputs)}),
        "metadata": {"options": _options(inputs, "projwfc.x"), "label": title},
    }


def _phonons(inputs: Any, context: Any, title: str) -> dict[str, Any]:
    gamma = orm.KpointsData()
    gamma.set_kpoints_mesh([1, 1, 1])
    insulating = inputs.occupations.value == "fixed"
    tight = {"fast": 1e-14, "balanced": 1e-16, "precise": 1e-18}[inputs.protocol.value]
    return {
        "ph": {
            "code": inputs.code,
            "parent_folder": context.scf.outputs.remote_folder,
            "parameters": orm.Dict(
                {"INPUTPH": {"tr2_ph": tight, "nmix_ph": SAFE_MIXINGS, "alpha_mix(1)": 0.5, "epsil": insulating}}
            ),
            "settings": orm.Dict({"cmdline": _command("phonons", "ph.x", inputs)}),
            "metadata": {"options": _options(inputs, "ph.x"), "label": title},
        },
        "qpoints": gamma,
        "clean_workdir": orm.Bool(False),
    }


def _command(stage: str, program: str, inputs: Any) -> list[str]:
    return ["-m", "simdeck_quantum_espresso.engine", stage, program, str(inputs.cores.value)]


def _options(inputs: Any, program: str = "pw.x") -> dict[str, Any]:
    # Where an administrator told the worker to look: a batch job gets little of its environment.
    told = {name: os.environ[name] for name in (FOLDER, LAUNCHER, CONTAINER) if os.environ.get(name)}
    code = offered(inputs.code.computer.label, program)
    if code is not None:
        given = {
            FOLDER: code.folder,
            LAUNCHER: " ".join(code.mpi),
            CONTAINER: " ".join(code.container_words()),
        }
        told = {name: value for name, value in given.items() if value}
    return {
        "resources": {
            "num_machines": 1,
            "num_mpiprocs_per_machine": 1,
            "num_cores_per_mpiproc": inputs.cores.value,
        },
        # The engine starts MPI itself: it must see the program's output, once.
        "withmpi": False,
        "max_wallclock_seconds": 60 * inputs.walltime.value,
        "additional_retrieve_list": RETRIEVED,
        "prepend_text": code.prepend_text() if code is not None else "",
        "environment_variables": told,
    }


def offered(computer: str, program: str) -> Any:
    """The code that the site offers for a program; ``pw.x`` stands for the programs of its installation."""
    from simdeck_workflows.engine.codes import site_code

    return site_code(computer, program) or site_code(computer, "pw.x")


def chosen(symbols: list[str], inputs: Any) -> dict[str, Pseudopotential]:
    """The pseudopotentials that a run's inputs lead to, by element."""
    return choose(symbols, inputs.functional.value, family=inputs.family.value if "family" in inputs else "")


def _pseudos(structure: orm.StructureData, inputs: Any) -> dict[str, Any]:
    """The pseudopotentials' nodes by kind; a file that is known already is not stored again."""
    files = chosen([kind.symbol for kind in structure.kinds], inputs)
    nodes = {element: _stored(one.path) for element, one in files.items()}
    return {kind.name: nodes[kind.symbol] for kind in structure.kinds}


def _stored(path: Path) -> Any:
    return UpfData.get_or_create(io.BytesIO(path.read_bytes()), filename=path.name)
