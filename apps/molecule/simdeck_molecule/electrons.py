"""How many electrons xTB treats, and which spin multiplicities fit them. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable

_NOBLE_GASES = (2, 10, 18, 36, 54, 86)


def valence_electrons(atomic_number: int) -> int:
    """Valence electrons of a neutral atom as GFN-xTB counts them.

    Lanthanides have three (the 4f shell is part of the core), and zinc, cadmium and mercury two (a filled d shell
    too), as do the later elements of their rows. These numbers are those of tblite; a test compares every element.

    Raises
    ------
    ValueError
        The element is outside hydrogen to radon (1–86).
    """
    z = int(atomic_number)
    if not 1 <= z <= 86:
        raise ValueError(f"no xTB parameters for atomic number {z}")
    if z == 2:
        return 2
    if 57 <= z <= 71:
        return 3
    core = max((gas for gas in _NOBLE_GASES if gas < z), default=0)
    valence = z - core
    if z >= 72:
        valence -= 14
    # From zinc's column on the d shell is full and belongs to the core.
    return valence - 10 if core >= 18 and valence >= 12 else valence


def electron_count(numbers: Iterable[int], charge: int) -> int:
    """Valence electrons of a molecule with total charge ``charge`` (in units of e).

    May be negative for a nonsense charge.
    """
    return sum(valence_electrons(z) for z in numbers) - charge


def lowest_multiplicity(electrons: int) -> int:
    """The lowest spin multiplicity (2S + 1) this number of electrons allows: 1 if even, 2 if odd."""
    return 1 + electrons % 2


def resolve_multiplicity(numbers: Iterable[int], charge: int, multiplicity: int) -> int:
    """The multiplicity to compute with: the given one, or the lowest that fits where it is 0."""
    return multiplicity if multiplicity > 0 else lowest_multiplicity(electron_count(numbers, charge))
