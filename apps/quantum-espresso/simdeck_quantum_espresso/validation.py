"""Is this a question the app can answer? Plain sentences for whatever is not, by input.

Pure functions on ASE atoms and numbers, shared by the process spec (which refuses a run) and the page (which shows the
sentence next to the field). Every check answers ``None`` or what is wrong and what to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from ase import Atoms

from simdeck_quantum_espresso import limits, settings

Sentence = str | None


def check_inputs(inputs: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a set of plain input values, by input name; ``structure`` is an ASE ``Atoms``."""
    found: dict[str, str] = {}

    def note(name: str, sentence: Sentence) -> None:
        if sentence and name not in found:
            found[name] = sentence

    for name, check in SCALAR_CHECKS.items():
        if inputs.get(name) is not None:
            note(name, check(inputs[name]))
    atoms = inputs.get("structure")
    if atoms is None:
        note("structure", "There is no structure yet. Build a crystal or upload a file.")
        return found
    note("structure", check_structure(atoms))
    for name, sentence in check_together(inputs).items():
        note(name, sentence)
    return found


def check_together(inputs: Mapping[str, Any]) -> dict[str, str]:
    """What only several inputs together can tell."""
    found: dict[str, str] = {}
    cutoff, density = inputs.get("cutoff") or 0.0, inputs.get("density_cutoff") or 0.0
    if density and not cutoff:
        found["density_cutoff"] = "Give the cutoff of the wavefunctions too, or neither of them."
    elif density and density < 4 * cutoff:
        found["density_cutoff"] = (
            f"The density needs at least four times the cutoff of the wavefunctions, {4 * cutoff:g} Ry; ultrasoft and "
            "PAW pseudopotentials eight to twelve times."
        )
    if inputs.get("occupations") == "fixed" and inputs.get("magnetism") == "ferromagnetic":
        found["occupations"] = "A magnetic calculation needs smearing here, because its moment is found on the way."
    if inputs.get("moment") and inputs.get("magnetism", "none") == "none":
        found["moment"] = "A starting moment needs magnetism; choose ferromagnetic, or leave it at 0."
    if inputs.get("occupations") == "fixed" and inputs.get("width"):
        found["width"] = "Fixed occupations have no smearing; leave the width at 0, or choose smearing."
    atoms = inputs.get("structure")
    if atoms is not None and inputs.get("k_spacing"):
        points = settings.mesh(atoms, max(float(inputs["k_spacing"]), limits.MIN_SPACING))
        if math.prod(points) > limits.MAX_POINTS:
            mesh = " × ".join(map(str, points))
            found["k_spacing"] = (
                f"That is {mesh} k-points for this cell, and at most {limits.MAX_POINTS:,} are taken. Give a larger "
                "distance."
            )
    if inputs.get("phonons"):
        if inputs.get("magnetism") == "ferromagnetic":
            found["phonons"] = "Phonons are offered for crystals without magnetism."
        elif atoms is not None and len(atoms) > MAX_PHONON_ATOMS:
            found["phonons"] = f"Phonons are offered up to {MAX_PHONON_ATOMS} atoms; this structure has {len(atoms)}."
    return found


MAX_PHONON_ATOMS: Final = 20


def _number(title: str, low: float, high: float, unit: str, *, zero: bool = True) -> Callable[[Any], Sentence]:
    """A check of a number; 0 may mean "as the protocol has it"."""

    def check(value: Any) -> Sentence:
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
            return f"{title} must be a number."
        if (zero and value == 0) or low <= value <= high:
            return None
        free = ", or 0 for the protocol's own" if zero else ""
        return f"{title} must be between {low:g} and {high:g} {unit}{free}; it is {value:g} {unit}.".replace("  ", " ")

    return check


def _choice(title: str, choices: tuple[str, ...]) -> Callable[[Any], Sentence]:
    def check(value: Any) -> Sentence:
        return None if value in choices else f"{title} must be one of {', '.join(choices)}; it is {value!r}."

    return check


def _whole(title: str, low: int, high: int) -> Callable[[Any], Sentence]:
    def check(value: Any) -> Sentence:
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            return f"{title} must be a whole number."
        return None if low <= value <= high else f"{title} must be between {low} and {high}; it is {value}."

    return check


SCALAR_CHECKS: Final[dict[str, Callable[[Any], Sentence]]] = {
    "protocol": _choice("The protocol", limits.PROTOCOLS),
    "functional": _choice("The functional", limits.FUNCTIONALS),
    "relax": _choice("The relaxation", limits.RELAXATIONS),
    "magnetism": _choice("The magnetism", limits.MAGNETISM),
    "occupations": _choice("The occupations", limits.OCCUPATIONS),
    "smearing": _choice("The smearing", limits.SMEARINGS),
    "moment": _number("The starting moment", -limits.MAX_MOMENT, limits.MAX_MOMENT, "μB"),
    "width": _number("The smearing's width", limits.MIN_WIDTH, limits.MAX_WIDTH, "eV"),
    "k_spacing": _number("The distance between k-points", limits.MIN_SPACING, limits.MAX_SPACING, "1/Å"),
    "cutoff": _number("The cutoff", limits.MIN_CUTOFF, limits.MAX_CUTOFF, "Ry"),
    "density_cutoff": _number(
        "The density's cutoff", limits.MIN_DENSITY_CUTOFF, limits.MAX_DENSITY_CUTOFF, "Ry"
    ),
    "mixing": _number("The mixing", limits.MIN_MIXING, limits.MAX_MIXING, ""),
    "scf_steps": _whole("The number of iterations", limits.MIN_STEPS, limits.MAX_STEPS),
    "cores": _whole("The number of cores", 1, limits.MAX_CORES),
    "walltime": _whole("The time limit", 1, limits.MAX_MINUTES),
}  # fmt: skip


def check_atom_count(count: int) -> Sentence:
    """The number of atoms alone, so that a huge structure is refused before anything else is looked at."""
    if count < 1:
        return "The structure has no atoms. Give at least one."
    if count > limits.MAX_ATOMS:
        return (
            f"The structure has {count:,} atoms; this app takes at most {limits.MAX_ATOMS}, because the time "
            f"grows with "
            "the cube of the size. Use the primitive cell, or a smaller supercell."
        )
    return None


def check_structure(atoms: Atoms) -> Sentence:
    """Everything about the atoms and the cell; cheap checks first."""
    if sentence := check_atom_count(len(atoms)):
        return sentence
    if not all(atoms.pbc):
        return (
            "The structure is not periodic in all three directions, and this app computes crystals. Give the cell, for "
            "example as CIF or POSCAR; a slab or a molecule needs a cell with vacuum around it."
        )
    if not np.all(np.isfinite(atoms.positions)) or not np.all(np.isfinite(atoms.cell.array)):
        return "The structure has coordinates that are not numbers. Correct the file."
    volume = abs(atoms.get_volume())
    if volume < 1.0:
        return "The cell has no volume: its vectors lie in one plane. Correct the file."
    if volume > limits.MAX_VOLUME:
        return (
            f"The cell has {volume:,.0f} Å³; at most {limits.MAX_VOLUME:,.0f} Å³ are taken, because plane waves fill "
            "vacuum too. Use a smaller cell."
        )
    return _overlap(atoms)


def _overlap(atoms: Atoms) -> Sentence:
    """The two closest atoms, periodic images included, if they are closer than any bond."""
    scaled = atoms.get_scaled_positions(wrap=True)
    shifts = np.array([[i, j, k] for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    for i in range(len(atoms)):
        apart = (scaled[i:, None] - scaled[i] + shifts[None]) @ atoms.cell.array
        distances = np.linalg.norm(apart, axis=2)
        distances[0, 13] = np.inf  # an atom from itself
        j, _ = np.unravel_index(np.argmin(distances), distances.shape)
        closest = float(distances.min())
        if closest < limits.MIN_DISTANCE:
            other = i + int(j)
            return (
                f"Atoms {i + 1} ({atoms.symbols[i]}) and {other + 1} ({atoms.symbols[other]}) overlap: they are "
                f"{closest:.2f} Å apart, and the shortest distance accepted is {limits.MIN_DISTANCE} Å."
            )
    return None
