"""A structure as the page holds it, made from what a person gave. ASE and RDKit are imported when first needed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

MAX_SHOWN = 2000
"""Atoms drawn; more is refused by the checks anyway."""


@dataclass(frozen=True)
class Structure:
    """Atoms in ångström, with the name people see and what their source says about them.

    ``charge`` and ``multiplicity`` are None where the source does not say; ``notes`` are sentences to show.
    """

    name: str
    symbols: tuple[str, ...]
    positions: tuple[tuple[float, float, float], ...]
    charge: int | None = None
    multiplicity: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def formula(self) -> str:
        return formula(self.symbols)

    @property
    def summary(self) -> str:
        """One line: name, formula, number of atoms."""
        atoms = "1 atom" if len(self.symbols) == 1 else f"{len(self.symbols):,} atoms"
        shown = f" · {subscripted(self.formula)}" if self.formula != self.name else ""
        return f"{self.name}{shown} · {atoms}"

    def to_input(self) -> dict[str, Any]:
        """The workflow's input ``structure``."""
        return {
            "symbols": list(self.symbols),
            "positions": [list(row) for row in self.positions],
            "cell": None,
            "pbc": [False] * 3,
        }

    def atoms(self) -> Any:
        """An ASE ``Atoms``."""
        from ase import Atoms

        return Atoms(list(self.symbols), positions=self.positions)


def from_atoms(atoms: Any, name: str, **said: Any) -> Structure:
    """An ASE ``Atoms`` as a structure."""
    positions = tuple((float(x), float(y), float(z)) for x, y, z in atoms.get_positions())
    return Structure(name=name, symbols=tuple(atoms.get_chemical_symbols()), positions=positions, **said)


def from_reading(found: Any, name: str) -> Structure:
    """What :mod:`simdeck_molecule.reading` found, as a structure."""
    return from_atoms(found.atoms, name, charge=found.charge, multiplicity=found.multiplicity, notes=tuple(found.notes))


def from_input(value: dict[str, Any], name: str = "") -> Structure | None:
    """The structure of a run's inputs or outputs, in either form the API has; None if it cannot be read."""
    if "symbols" in value:
        symbols = tuple(value["symbols"])
        positions = tuple((float(x), float(y), float(z)) for x, y, z in value["positions"])
        return Structure(name or formula(symbols), symbols, positions)
    if "content" in value:
        from simdeck_molecule.reading import UnreadableError

        file = str(value.get("name", "structure.xyz"))
        try:
            return from_file(file, str(value["content"]).encode())
        except UnreadableError:
            return None
    return None


def from_file(name: str, data: bytes) -> Structure:
    """Read a structure file; raises ``reading.UnreadableError`` with a sentence for people."""
    from simdeck_molecule.reading import read_structure

    return from_reading(read_structure(name, data), name.rpartition(".")[0] or name)


def from_smiles(text: str) -> Structure:
    """A rough 3-D structure of a SMILES text; raises ``reading.UnreadableError``."""
    from simdeck_molecule.reading import read_smiles

    return from_reading(read_smiles(text), text.strip()[:60])


def from_library(name: str) -> Structure:
    """A built-in molecule; raises ``reading.UnreadableError`` where there is none of this name."""
    from simdeck_molecule.electrons import electron_count, lowest_multiplicity
    from simdeck_molecule.library import library as entries
    from simdeck_molecule.reading import UnreadableError

    entry = next((entry for entry in entries() if entry.id == name), None)
    if entry is None:
        raise UnreadableError(f"There is no built-in molecule called {name}.")
    atoms = entry.atoms()
    usual = lowest_multiplicity(electron_count(atoms.numbers, 0))
    # 0 lets the workflow take the lowest; oxygen's triplet must be said.
    multiplicity = 0 if entry.multiplicity == usual else entry.multiplicity
    return from_atoms(atoms, entry.name, charge=0, multiplicity=multiplicity)


def smiles_available() -> bool:
    """Whether RDKit is there, without importing it."""
    from importlib.util import find_spec

    return find_spec("rdkit") is not None


@cache
def library() -> list[dict[str, str]]:
    """The built-in molecules as the chooser lists them."""
    from simdeck_molecule.library import library as entries

    return [{"name": e.id, "label": e.name, "formula": subscripted(e.formula), "plain": e.formula} for e in entries()]


def formula(symbols: Any) -> str:
    """Hill formula of chemical symbols: C, H, then the rest by letter."""
    counts = Counter(symbols)
    order = [s for s in ("C", "H") if s in counts] if "C" in counts else []
    order += sorted(s for s in counts if s not in order)
    return "".join(f"{s}{counts[s] if counts[s] > 1 else ''}" for s in order)


def subscripted(text: str) -> str:
    """A formula with its numbers set low."""
    return text.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
