"""Crystals made, not read: a library of well-known ones, and lattices by their type (ASE). Lengths in Å."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from ase import Atoms
from ase.build import bulk
from ase.data import chemical_symbols


@dataclass(frozen=True)
class Known:
    """One crystal of the library; ``a`` and ``c`` are measured lattice constants at room temperature."""

    id: str
    name: str
    formula: str
    lattice: str
    a: float
    c: float = 0.0
    magnetic: bool = False

    def atoms(self) -> Atoms:
        """The primitive cell."""
        return build(self.lattice, self.formula, self.a, self.c)


LIBRARY: Final = (
    Known("si", "silicon", "Si", "diamond", 5.431),
    Known("al", "aluminium", "Al", "fcc", 4.050),
    Known("fe", "iron (bcc)", "Fe", "bcc", 2.866, magnetic=True),
    Known("c", "diamond", "C", "diamond", 3.567),
    Known("cu", "copper", "Cu", "fcc", 3.615),
    Known("ni", "nickel", "Ni", "fcc", 3.524, magnetic=True),
    Known("mg", "magnesium", "Mg", "hcp", 3.209, 5.211),
    Known("ge", "germanium", "Ge", "diamond", 5.658),
    Known("bn", "boron nitride (cubic)", "BN", "zincblende", 3.615),
    Known("sic", "silicon carbide (3C)", "SiC", "zincblende", 4.360),
    Known("lih", "lithium hydride", "LiH", "rocksalt", 4.083),
    Known("ti", "titanium (hcp)", "Ti", "hcp", 2.951, 4.684),
    Known("pb", "lead", "Pb", "fcc", 4.951),
    Known("au", "gold", "Au", "fcc", 4.078),
    Known("mgo", "magnesium oxide", "MgO", "rocksalt", 4.212),
    Known("nacl", "sodium chloride", "NaCl", "rocksalt", 5.640),
    Known("gaas", "gallium arsenide", "GaAs", "zincblende", 5.653),
    Known("zno", "zinc oxide (wurtzite)", "ZnO", "wurtzite", 3.250, 5.207),
)

LATTICES: Final = {
    "fcc": "Face-centred cubic (fcc)",
    "bcc": "Body-centred cubic (bcc)",
    "sc": "Simple cubic",
    "hcp": "Hexagonal close-packed (hcp)",
    "diamond": "Diamond",
    "rocksalt": "Rock salt",
    "zincblende": "Zinc blende",
    "cesiumchloride": "Caesium chloride",
    "fluorite": "Fluorite",
    "wurtzite": "Wurtzite",
}
ATOMS_OF: Final = {
    "fcc": 1,
    "bcc": 1,
    "sc": 1,
    "hcp": 1,
    "diamond": 1,
    "rocksalt": 2,
    "zincblende": 2,
    "cesiumchloride": 2,
    "fluorite": 3,
    "wurtzite": 2,
}
HEXAGONAL: Final = ("hcp", "wurtzite")

FORM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["lattice", "formula", "a"],
    "properties": {
        "lattice": {
            "type": "string",
            "title": "Lattice",
            "enum": list(LATTICES),
            "x-simdeck-labels": list(LATTICES.values()),
            "default": "diamond",
        },
        "formula": {
            "type": "string",
            "title": "Elements",
            "default": "Si",
            "description": "One element, or as many as the lattice has: NaCl for rock salt, CaF2 for fluorite.",
        },
        "a": {
            "type": "number",
            "title": "Lattice constant a",
            "x-simdeck-unit": "Å",
            "minimum": 1.0,
            "maximum": 30.0,
            "default": 5.43,
            "description": "Of the conventional cell.",
        },
        "c": {
            "type": "number",
            "title": "Lattice constant c",
            "x-simdeck-unit": "Å",
            "minimum": 0,
            "maximum": 60.0,
            "default": 0.0,
            "description": "Of hexagonal lattices; 0 takes the ideal one.",
        },
    },
}


class BuildError(ValueError):
    """It cannot be built; the message is a sentence for people, ``field`` the input it is about."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def build(lattice: str, formula: str, a: float, c: float = 0.0) -> Atoms:
    """The primitive cell of a lattice.

    Raises
    ------
    BuildError
        The elements are none, or not as many as the lattice has.
    """
    formula = formula.strip()
    symbols = [(symbol, int(count or 1)) for symbol, count in re.findall(r"([A-Z][a-z]?)(\d*)", formula)]
    if not symbols or "".join(f"{s}{n if n > 1 else ''}" for s, n in symbols) != formula:
        raise BuildError("formula", f"“{formula}” is no formula; write it as NaCl or CaF2.")
    for symbol, _ in symbols:
        if symbol not in chemical_symbols[1:]:
            raise BuildError("formula", f"{symbol} is no chemical element.")
    wanted = ATOMS_OF[lattice]
    if sum(count for _, count in symbols) != wanted:
        example = {1: "Si", 2: "NaCl", 3: "CaF2"}[wanted]
        raise BuildError(
            "formula", f"{LATTICES[lattice]} takes {wanted} atom{'s' if wanted > 1 else ''}, for example {example}."
        )
    more: dict[str, Any] = {"c": c} if lattice in HEXAGONAL and c else {}
    try:
        return bulk(formula, lattice, a=a, **more)
    except (ValueError, RuntimeError, NotImplementedError) as error:
        raise BuildError("lattice", f"This lattice could not be built ({error}).") from None


def known(name: str) -> Known:
    """A crystal of the library by its id. Raises ``KeyError``."""
    return {one.id: one for one in LIBRARY}[name]
