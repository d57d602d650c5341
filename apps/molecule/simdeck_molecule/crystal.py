"""One molecule out of a molecular crystal, made whole across the cell's borders. Pure functions on ASE atoms, Å."""

from __future__ import annotations

from collections import Counter, deque

import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list

MAX_CELL_ATOMS = 5000
_BOND_SCALE = 1.15  # of the sum of the covalent radii


class CrystalError(ValueError):
    """There is no molecule to take out; the message is a sentence for people."""


def molecule_of_crystal(crystal: Atoms) -> tuple[Atoms, list[str]]:
    """Take one molecule out of a periodic structure; return it without cell, and notes on the choice.

    Atoms closer than 1.15 times the sum of their covalent radii count as bonded. Of different molecules the largest is
    taken.

    Raises
    ------
    CrystalError
        The bonds go on forever (a salt, a metal, a network), or the cell is too large.
    """
    if len(crystal) > MAX_CELL_ATOMS:
        raise CrystalError(f"The unit cell has {len(crystal):,} atoms; at most {MAX_CELL_ATOMS:,} are looked at.")
    found = _molecules(crystal)
    largest = max(found, key=len)
    kinds = Counter(str(m.get_chemical_formula("hill")) for m in found)
    notes: list[str] = []
    if len(found) > 1:
        formula = largest.get_chemical_formula("hill")
        notes.append(
            f"The file is a crystal with {len(found)} molecules in its cell "
            f"({', '.join(f'{n} × {k}' for k, n in kinds.items())}); one {formula} was taken, without its "
            "surroundings."
        )
    return largest, notes


def _molecules(crystal: Atoms) -> list[Atoms]:
    """The connected molecules of a cell, each whole."""
    first, second, shifts = neighbor_list("ijS", crystal, natural_cutoffs(crystal, mult=_BOND_SCALE))
    bonds: list[list[tuple[int, np.ndarray]]] = [[] for _ in range(len(crystal))]
    for i, j, shift in zip(first, second, shifts, strict=True):
        bonds[int(i)].append((int(j), shift))
    cell = np.array(crystal.cell)
    image: dict[int, np.ndarray] = {}
    found: list[Atoms] = []
    for start in range(len(crystal)):
        if start in image:
            continue
        image[start] = np.zeros(3, dtype=int)
        members, waiting = [start], deque([start])
        while waiting:
            atom = waiting.popleft()
            for other, shift in bonds[atom]:
                there = image[atom] + shift
                if other not in image:
                    image[other] = there
                    members.append(other)
                    waiting.append(other)
                elif np.any(image[other] != there):
                    raise CrystalError(
                        "The structure is a crystal whose bonds go on without end (a salt, a metal or a network), "
                        "and this app computes one molecule in vacuum. Give a single molecule, for example as XYZ."
                    )
        positions = [crystal.positions[k] + image[k] @ cell for k in members]
        found.append(Atoms(numbers=crystal.numbers[members], positions=positions))
    return found
