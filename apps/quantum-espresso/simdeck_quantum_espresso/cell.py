"""Another cell of the same crystal, and its symmetry (spglib)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import make_supercell

SYMPREC = 1e-3
"""Å: atoms this close to where the symmetry has them count as there."""


@dataclass(frozen=True)
class Symmetry:
    """A space group: number, Hermann–Mauguin symbol, and how many operations it has."""

    number: int
    symbol: str
    operations: int

    @property
    def text(self) -> str:
        """For people."""
        return f"space group {self.symbol} (no. {self.number}), {self.operations} operations"


def symmetry(atoms: Atoms) -> Symmetry | None:
    """The space group; None where none is found."""
    data = _dataset(atoms)
    return None if data is None else Symmetry(int(data.number), str(data.international), len(data.rotations))


def primitive(atoms: Atoms) -> Atoms:
    """The smallest cell, in its standard setting; the same atoms where none is found."""
    return _standard(atoms, to_primitive=True)


def conventional(atoms: Atoms) -> Atoms:
    """The conventional cell that shows the symmetry; the same atoms where none is found."""
    return _standard(atoms, to_primitive=False)


def supercell(atoms: Atoms, repeats: tuple[int, int, int]) -> Atoms:
    """The cell repeated along its vectors."""
    return make_supercell(atoms, np.diag(repeats))


def _standard(atoms: Atoms, *, to_primitive: bool) -> Atoms:
    import spglib

    found = spglib.standardize_cell(_cell(atoms), to_primitive=to_primitive, symprec=SYMPREC)
    if found is None:
        return atoms.copy()
    lattice, positions, numbers = found
    return Atoms(numbers, scaled_positions=positions, cell=lattice, pbc=True)


def _dataset(atoms: Atoms) -> Any:
    import spglib

    return spglib.get_symmetry_dataset(_cell(atoms), symprec=SYMPREC)


def _cell(atoms: Atoms) -> tuple[Any, Any, Any]:
    return atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers


def shown(atoms: Atoms, least: float = 3.0, most: int = 400) -> Atoms:
    """What a picture shows: the cell with the atoms on its borders repeated, and very small cells several times."""
    repeats = tuple(max(1, int(np.ceil(least / length - 1e-6))) for length in atoms.cell.lengths())
    if len(atoms) * int(np.prod(repeats)) > most:
        repeats = (1, 1, 1)
    scaled = atoms.get_scaled_positions(wrap=True)
    scaled[np.abs(scaled - 1) < 1e-4] = 0.0
    numbers, places = [], []
    for shift in np.ndindex(*(count + 1 for count in repeats)):
        for number, place in zip(atoms.numbers, scaled, strict=True):
            moved = place + shift
            if np.all(moved <= np.array(repeats) + 1e-4):
                numbers.append(number)
                places.append(moved)
    picture = Atoms(numbers, positions=np.array(places) @ atoms.cell.array)
    picture.set_cell(atoms.cell.array * np.array(repeats)[:, None])
    return picture
