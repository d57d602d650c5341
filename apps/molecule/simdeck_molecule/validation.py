"""Is this a question the app can answer? Plain sentences for whatever is not, by input.

Pure functions on ASE atoms and numbers, shared by the process spec (which refuses a run), the page (which shows the
sentence next to the field) and the engine (which trusts nobody). Every check answers ``None`` or one or two sentences:
what is wrong, and what to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from ase import Atoms

from simdeck_molecule import limits
from simdeck_molecule.electrons import electron_count, lowest_multiplicity

Sentence = str | None


def check_inputs(inputs: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a set of plain input values, by input name; empty if nothing is.

    ``structure`` is an ASE ``Atoms``; every other input has its JSON type. Missing inputs count as their defaults.
    """
    found: dict[str, str] = {}

    def note(name: str, sentence: Sentence) -> None:
        if sentence and name not in found:
            found[name] = sentence

    for name, check in SCALAR_CHECKS.items():
        if name in inputs:
            note(name, check(inputs[name]))
    atoms = inputs.get("structure")
    if atoms is None:
        note("structure", "There is no structure yet. Upload a file or pick a molecule.")
        return found
    note("structure", check_structure(atoms, frequencies=bool(inputs.get("frequencies", True))))
    if "structure" in found:
        return found
    charge = inputs.get("charge", 0)
    if "charge" not in found:
        note("charge", check_charge_fits(atoms, charge))
    if "charge" not in found and "multiplicity" not in found:
        note("multiplicity", check_multiplicity_fits(atoms, charge, inputs.get("multiplicity", 0)))
    return found


# --- numbers ----------------------------------------------------------------------------------------------------


def _number(value: Any, title: str, low: float, high: float, unit: str = "") -> Sentence:
    unit = f" {unit}" if unit else ""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
        return f"{title} must be a number."
    if not low <= value <= high:
        return f"{title} must be between {low:g} and {high:g}{unit}; it is {value:g}{unit}."
    return None


def _whole(value: Any, title: str, low: int, high: int) -> Sentence:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return f"{title} must be a whole number."
    if not low <= value <= high:
        return f"{title} must be between {low} and {high}; it is {value}."
    return None


def check_charge(charge: Any) -> Sentence:
    """The total charge's own limits, in units of e."""
    return _whole(charge, "The total charge", limits.MIN_CHARGE, limits.MAX_CHARGE)


def check_multiplicity(multiplicity: Any) -> Sentence:
    """The spin multiplicity's own limits; 0 means the lowest that fits."""
    return _whole(multiplicity, "The spin multiplicity", 0, limits.MAX_MULTIPLICITY)


def check_method(method: Any) -> Sentence:
    """The method's name."""
    return (
        None
        if method in limits.METHODS
        else f"The method must be one of {', '.join(limits.METHODS)}; it is {method!r}."
    )


def check_fmax(fmax: Any) -> Sentence:
    """The force that counts as converged, in eV/Å."""
    return _number(fmax, "The force threshold", limits.MIN_FMAX, limits.MAX_FMAX, "eV/Å")


def check_max_steps(steps: Any) -> Sentence:
    """The most optimisation steps."""
    return _whole(steps, "The number of optimisation steps", limits.MIN_STEPS, limits.MAX_STEPS)


def check_temperature(temperature: Any) -> Sentence:
    """The temperature in K."""
    return _number(temperature, "The temperature", limits.MIN_TEMPERATURE, limits.MAX_TEMPERATURE, "K")


def check_pressure(pressure: Any) -> Sentence:
    """The pressure in Pa."""
    return _number(pressure, "The pressure", limits.MIN_PRESSURE, limits.MAX_PRESSURE, "Pa")


def check_symmetry_number(number: Any) -> Sentence:
    """The rotational symmetry number; 0 means detect."""
    return _whole(number, "The symmetry number", 0, limits.MAX_SYMMETRY_NUMBER)


def check_line_width(fwhm: Any) -> Sentence:
    """The width of the spectrum's lines in cm⁻¹."""
    return _number(fwhm, "The line width", limits.MIN_FWHM, limits.MAX_FWHM, "cm⁻¹")


SCALAR_CHECKS: Final[dict[str, Callable[[Any], Sentence]]] = {
    "charge": check_charge,
    "multiplicity": check_multiplicity,
    "method": check_method,
    "fmax": check_fmax,
    "max_steps": check_max_steps,
    "temperature": check_temperature,
    "pressure": check_pressure,
    "symmetry_number": check_symmetry_number,
    "line_width": check_line_width,
}


# --- the structure ----------------------------------------------------------------------------------------------


def check_atom_count(count: int, *, frequencies: bool = False) -> Sentence:
    """The number of atoms alone, so that a huge structure is refused before anything else is looked at."""
    if count < 1:
        return "The structure has no atoms. Give at least one."
    if count > limits.MAX_ATOMS:
        return (
            f"The structure has {count:,} atoms; this app takes at most {limits.MAX_ATOMS}, because the time of each "
            "step grows with the cube of the size. Cut out the part that matters, or use a force field for the whole."
        )
    if frequencies and count > limits.MAX_ATOMS_FREQUENCIES:
        return (
            f"The structure has {count} atoms; frequencies take {6 * count:,} further calculations and are offered up "
            f"to {limits.MAX_ATOMS_FREQUENCIES} atoms. Turn the frequencies off, or use a smaller structure."
        )
    return None


def check_structure(atoms: Atoms, *, frequencies: bool = False) -> Sentence:
    """Everything about the atoms that does not depend on charge and spin; cheap checks first."""
    sentence = check_atom_count(len(atoms), frequencies=frequencies)
    if sentence:
        return sentence
    if any(atoms.pbc):
        return (
            "The structure is periodic (a crystal, slab or wire), and this app computes one molecule in vacuum. Give "
            "the molecule alone, without a periodic cell, for example as XYZ."
        )
    for index, z in enumerate(atoms.numbers):
        if not 1 <= z <= limits.MAX_ATOMIC_NUMBER:
            return (
                f"Atom {index + 1} is {_element(z)}; the xTB methods have parameters from hydrogen to radon (elements "
                f"1 to {limits.MAX_ATOMIC_NUMBER}). Replace it with a supported element."
            )
    positions = atoms.positions
    if not np.all(np.isfinite(positions)):
        index = int(np.argmin(np.isfinite(positions).all(axis=1)))
        return f"Atom {index + 1} ({atoms.symbols[index]}) has a coordinate that is not a number. Correct the file."
    span = np.abs(positions - positions.mean(axis=0)).max()
    if span > limits.MAX_COORDINATE:
        return (
            f"The atoms are spread over more than {limits.MAX_COORDINATE:,.0f} Å. Coordinates are in ångström; check "
            "the file's units."
        )
    return _overlap(atoms)


def _overlap(atoms: Atoms) -> Sentence:
    """The two closest atoms, if they are closer than any bond."""
    if len(atoms) < 2:
        return None
    distances = np.linalg.norm(atoms.positions[:, None] - atoms.positions[None], axis=2)
    distances[np.diag_indices_from(distances)] = np.inf
    i, j = sorted(int(k) for k in np.unravel_index(np.argmin(distances), distances.shape))
    closest = float(distances[i, j])
    if closest >= limits.MIN_DISTANCE:
        return None
    return (
        f"Atoms {i + 1} ({atoms.symbols[i]}) and {j + 1} ({atoms.symbols[j]}) overlap: they are {closest:.2f} Å "
        f"apart, and the shortest distance accepted is {limits.MIN_DISTANCE} Å. Move or remove one of them; "
        "coordinates are in ångström."
    )


def _element(z: int) -> str:
    from ase.data import chemical_symbols

    symbol = chemical_symbols[z] if 1 <= z < len(chemical_symbols) else "a dummy atom"
    return f"{symbol} (element {z})" if z else "a dummy atom"


# --- charge and spin against the atoms ---------------------------------------------------------------------------


def check_charge_fits(atoms: Atoms, charge: int) -> Sentence:
    """Whether the molecule has enough electrons for the charge, and not absurdly many."""
    neutral = electron_count(atoms.numbers, 0)
    left = neutral - charge
    if left < 1:
        return (
            f"{_formula(atoms)} has {_electrons(neutral)}, so a charge of {_signed(charge)} leaves none. The largest "
            f"charge that fits is {_signed(neutral - 1)}."
        )
    # An atom of xTB's minimal basis takes at most about one further electron; more has no orbital to go to.
    if -charge > len(atoms):
        return (
            f"A charge of {_signed(charge)} is too much for {len(atoms)} atom{'s' if len(atoms) > 1 else ''}: at most "
            f"one extra electron per atom is accepted. The lowest charge that fits is {_signed(-len(atoms))}."
        )
    return None


def check_multiplicity_fits(atoms: Atoms, charge: int, multiplicity: int) -> Sentence:
    """Whether the number of electrons allows the spin multiplicity."""
    electrons = electron_count(atoms.numbers, charge)
    if multiplicity <= 0:
        return None
    lowest = lowest_multiplicity(electrons)
    if (multiplicity - lowest) % 2:
        even = electrons % 2 == 0
        return (
            f"{_formula(atoms)} with charge {_signed(charge)} has an {'even' if even else 'odd'} number of electrons, "
            f"so its multiplicity is {'odd (1, 3, 5 …)' if even else 'even (2, 4, 6 …)'}; {multiplicity} does not "
            f"fit. Use {lowest}, or 0 for the lowest that fits, or change the charge by one."
        )
    if multiplicity - 1 > electrons:
        return (
            f"A multiplicity of {multiplicity} needs {multiplicity - 1} unpaired electrons, and {_formula(atoms)} "
            f"with charge {_signed(charge)} has {_electrons(electrons)} outside the cores. Use at most "
            f"{electrons + 1}."
        )
    return None


def _formula(atoms: Atoms) -> str:
    return str(atoms.get_chemical_formula("hill"))


def _signed(charge: int) -> str:
    return f"{charge:+d}" if charge else "0"


def _electrons(count: int) -> str:
    return f"{count} valence electron{'' if count == 1 else 's'}"
