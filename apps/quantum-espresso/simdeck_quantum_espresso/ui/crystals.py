"""A crystal as the page holds it, made from what a person gave. No widget."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from ase import Atoms
from simdeck_widgets.optimade import Found

from simdeck_quantum_espresso import builders, cell, pseudopotentials
from simdeck_quantum_espresso.reading import UnreadableError, read_crystal, right_handed
from simdeck_quantum_espresso.validation import check_structure

EDITED = "Its atoms were edited by hand."
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True)
class Crystal:
    """Atoms in Å with their cell, the name people see, and sentences to show."""

    name: str
    symbols: tuple[str, ...]
    positions: tuple[tuple[float, ...], ...]
    vectors: tuple[tuple[float, ...], ...]
    notes: tuple[str, ...] = ()
    magnetic: bool = False
    symmetry: cell.Symmetry | None = None
    origin: dict[str, str] | None = None
    """The database's entry it was taken from; kept with the run and cited."""

    @property
    def formula(self) -> str:
        """The formula of the cell, metals first as chemists write it."""
        return str(self.atoms().get_chemical_formula("metal"))

    @property
    def summary(self) -> str:
        """One line: name, formula, number of atoms, volume."""
        atoms = "1 atom" if len(self.symbols) == 1 else f"{len(self.symbols):,} atoms"
        shown = f" · {self.formula.translate(SUBSCRIPTS)}" if self.formula != self.name else ""
        return f"{self.name}{shown} · {atoms} · {self.atoms().get_volume():.1f} Å³"

    @property
    def details(self) -> tuple[str, ...]:
        """Cell, symmetry and notes."""
        a, b, c, alpha, beta, gamma = self.atoms().cell.cellpar()
        lines = [f"a = {a:.3f}, b = {b:.3f}, c = {c:.3f} Å; α = {alpha:.1f}°, β = {beta:.1f}°, γ = {gamma:.1f}°"]
        if self.symmetry is not None:
            lines.append(self.symmetry.text[:1].upper() + self.symmetry.text[1:])
        if self.origin is not None:
            lines.append(f"From {self.origin.get('text', self.origin.get('url', ''))}")
        return (*lines, *self.notes)

    def atoms(self) -> Atoms:
        """An ASE ``Atoms``."""
        return Atoms(list(self.symbols), positions=self.positions, cell=self.vectors, pbc=True)

    def to_input(self) -> dict[str, Any]:
        """The workflow's input ``structure``."""
        return {
            "symbols": list(self.symbols), "positions": [list(row) for row in self.positions],
            "cell": [list(row) for row in self.vectors], "pbc": [True] * 3,
        }  # fmt: skip


def of_atoms(
    atoms: Atoms,
    name: str,
    notes: tuple[str, ...] = (),
    *,
    magnetic: bool = False,
    origin: dict[str, str] | None = None,
) -> Crystal:
    """An ASE ``Atoms`` as a crystal."""
    return Crystal(
        name=name,
        symbols=tuple(atoms.get_chemical_symbols()),
        positions=tuple(tuple(float(x) for x in row) for row in atoms.positions),
        vectors=tuple(tuple(float(x) for x in row) for row in atoms.cell.array),
        notes=notes,
        magnetic=magnetic,
        symmetry=cell.symmetry(atoms),
        origin=origin,
    )


def of_file(name: str, data: bytes) -> Crystal:
    """Read a structure file; raises ``UnreadableError`` with a sentence for people."""
    found = read_crystal(name, data)
    return of_atoms(found.atoms, name.rpartition(".")[0] or name, found.notes)


def of_entry(found: Found, origin: dict[str, str]) -> Crystal:
    """An entry of a database; raises ``UnreadableError`` with a sentence for people."""
    atoms = Atoms(list(found.symbols), positions=found.positions, cell=found.cell, pbc=True)
    atoms = right_handed(atoms)
    if sentence := check_structure(atoms):
        raise UnreadableError(sentence)
    return of_atoms(atoms, found.formula, origin=origin)


def of_edit(crystal: Crystal, symbols: list[str], positions: list[list[float]]) -> Crystal:
    """A crystal whose atoms were edited; raises ``UnreadableError`` with a sentence for people."""
    atoms = Atoms(symbols, positions=positions, cell=crystal.vectors, pbc=True)
    if sentence := check_structure(atoms):
        raise UnreadableError(sentence)
    origin = crystal.origin
    if origin is not None and not origin.get("edited"):
        origin = {**origin, "edited": "yes", "text": f"{origin.get('text', '')}; edited since"}
    notes = crystal.notes if EDITED in crystal.notes else (*crystal.notes, EDITED)
    return of_atoms(atoms, crystal.name, notes, magnetic=crystal.magnetic, origin=origin)


def of_library(name: str) -> Crystal:
    """A crystal of the library. Raises ``KeyError``."""
    one = builders.known(name)
    return of_atoms(one.atoms(), one.name, magnetic=one.magnetic)


def of_lattice(lattice: str, formula: str, a: float, c: float) -> Crystal:
    """A crystal by its lattice; raises ``builders.BuildError``."""
    return of_atoms(builders.build(lattice, formula, a, c), formula.strip())


def of_input(value: dict[str, Any], name: str = "", origin: Any = None) -> Crystal | None:
    """The structure of a run's inputs or outputs, in either form the API has; None if it cannot be read."""
    known = {str(key): str(said) for key, said in origin.items()} if isinstance(origin, dict) and origin else None
    try:
        if "content" in value:
            return of_file(str(value.get("name", "structure.cif")), str(value["content"]).encode())
        atoms = Atoms(value["symbols"], positions=value["positions"], cell=value["cell"], pbc=True)
        return of_atoms(atoms, name or atoms.get_chemical_formula("metal"), origin=known)
    except (KeyError, ValueError, TypeError, UnreadableError):
        return None


def changed(crystal: Crystal, how: str, repeats: tuple[int, int, int] = (1, 1, 1)) -> Crystal:
    """Another cell of the same crystal: ``primitive``, ``conventional`` or ``supercell``."""
    atoms = crystal.atoms()
    made = {
        "primitive": lambda: cell.primitive(atoms),
        "conventional": lambda: cell.conventional(atoms),
        "supercell": lambda: cell.supercell(atoms, repeats),
    }[how]()
    return of_atoms(made, crystal.name, crystal.notes, magnetic=crystal.magnetic, origin=crystal.origin)


@cache
def library() -> list[dict[str, str]]:
    """The library as the chooser lists it; where the pseudopotentials can be seen, what has some of one functional."""
    places = pseudopotentials.folders()
    have = [pseudopotentials.elements_of(name, places) for name in ("PBE", "PBEsol", "LDA")] if places else []

    def usable(one: builders.Known) -> bool:
        elements = set(one.atoms().get_chemical_symbols())
        return not have or any(elements <= known for known in have)

    return [
        {"name": one.id, "label": one.name, "formula": one.formula.translate(SUBSCRIPTS), "plain": one.formula}
        for one in builders.LIBRARY
        if usable(one)
    ]
