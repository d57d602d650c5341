"""The built-in molecules to pick from: ASE's G2 set and extras, and the S22 dimers, with names people search by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from ase import Atoms
from ase.build import molecule
from ase.collections import g2
from ase.data.s22 import create_s22_system, s22

from simdeck_molecule.electrons import electron_count, lowest_multiplicity
from simdeck_molecule.library_names import COMMON_NAMES

_EXTRAS = ("C60", "biphenyl", "BDA", "C7NH5", "Be2")
_FIRST = ("H2O", "CO2", "NH3", "CH4", "CH3OH", "CH3CH2OH", "C6H6", "H2", "N2", "O2", "HCOOH", "CH3COOH", "CH3COCH3")


@dataclass(frozen=True)
class LibraryMolecule:
    """One entry: ``id`` (ASE's name), common ``name``, Hill ``formula``, number of atoms, usual spin multiplicity."""

    id: str
    name: str
    formula: str
    atoms_count: int
    multiplicity: int

    @property
    def label(self) -> str:
        """What a list shows: ``water (H2O)``."""
        return f"{self.name} ({self.formula})"

    def atoms(self) -> Atoms:
        """The structure in Å, without cell, charge or spin."""
        return library_atoms(self.id)


@cache
def library() -> tuple[LibraryMolecule, ...]:
    """All entries: everyday molecules first, then by name."""
    entries = [_entry(name) for name in (*g2.names, *_EXTRAS, *s22)]
    rank = {name: place for place, name in enumerate(_FIRST)}
    return tuple(sorted(entries, key=lambda entry: (rank.get(entry.id, len(rank)), entry.name.lower())))


def search(text: str) -> list[LibraryMolecule]:
    """Entries whose name, formula or id contains the text, in any case; all for an empty text."""
    wanted = text.strip().lower()
    return [e for e in library() if wanted in f"{e.name} {e.formula} {e.id}".lower()]


def library_atoms(name: str) -> Atoms:
    """The structure of an entry by its id.

    Raises
    ------
    KeyError
        There is no such entry.
    """
    if name in s22:
        found = create_s22_system(name)
    elif name in _EXTRAS or name in g2.names:
        found = molecule(name)
    else:
        raise KeyError(name)
    return Atoms(numbers=found.numbers, positions=found.positions)


def _entry(name: str) -> LibraryMolecule:
    atoms = library_atoms(name)
    if name in g2.names:
        multiplicity = round(float(g2[name].get_initial_magnetic_moments().sum())) + 1
    else:
        multiplicity = lowest_multiplicity(electron_count(atoms.numbers, 0))
    title = COMMON_NAMES.get(name, name.replace("_", " ").replace("-", " ") if name in s22 else name)
    return LibraryMolecule(name, title, str(atoms.get_chemical_formula("hill")), len(atoms), multiplicity)
