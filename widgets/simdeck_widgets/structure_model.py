"""A structure as it is edited: atoms that come, go, move and change; every change can be undone. No widget, no ASE."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import traitlets

_ELEMENTS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru
Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At
Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
ELEMENTS = tuple(_ELEMENTS.split())
AXES = ("x", "y", "z")
FAR = 10_000.0
"""Å: a coordinate beyond this is a slip of the keyboard."""
BESIDE = 1.5
"""Å between a new atom and the one it is put beside."""
MOST_STEPS = 100

Atom = dict[str, Any]


class StructureModel(traitlets.HasTraits):  # type: ignore[misc]
    """Atoms under edit.

    Traits
    ------
    atoms
        ``{"symbol", "x", "y", "z"}`` in Å, in order.
    cell
        (3, 3) vectors in Å, or empty; it is carried along, not edited.
    errors
        Sentences by ``"<index>.<field>"`` for what was typed and not taken.
    selected
        Index of the atom a new one is put beside; −1: none.
    can_undo, can_redo
        Whether there is a step back, or forward.
    """

    atoms = traitlets.List()
    cell = traitlets.List()
    errors = traitlets.Dict()
    selected = traitlets.Int(-1)
    can_undo = traitlets.Bool(False)
    can_redo = traitlets.Bool(False)

    def __init__(self, **traits: Any) -> None:
        self._past: list[list[Atom]] = []
        self._future: list[list[Atom]] = []
        super().__init__(**traits)

    @property
    def symbols(self) -> list[str]:
        """The chemical symbols in order."""
        return [str(atom["symbol"]) for atom in self.atoms]

    @property
    def positions(self) -> list[list[float]]:
        """(N, 3) in Å."""
        return [[float(atom[axis]) for axis in AXES] for atom in self.atoms]

    def load(
        self, symbols: Sequence[str], positions: Sequence[Sequence[float]], cell: Sequence[Sequence[float]] = ()
    ) -> None:
        """Begin with a structure; what was undone or redone before is forgotten."""
        self._past, self._future = [], []
        with self.hold_trait_notifications():
            self.cell = [[float(x) for x in row] for row in cell]
            self.errors = {}
            self.selected = -1
            self.atoms = [
                {"symbol": symbol, **dict(zip(AXES, map(float, place), strict=True))}
                for symbol, place in zip(symbols, positions, strict=True)
            ]
            self._tell()

    def change(self, index: int, field: str, text: str) -> bool:
        """Take what was typed for an atom's ``symbol`` or coordinate; returns whether it will do."""
        key = f"{index}.{field}"
        if not 0 <= index < len(self.atoms) or field not in ("symbol", *AXES):
            return False
        value, sentence = _symbol(text) if field == "symbol" else _coordinate(text, field)
        if sentence:
            self.errors = {**self.errors, key: sentence}
            return False
        self.errors = {name: said for name, said in self.errors.items() if name != key}
        if self.atoms[index][field] != value:
            self._do(lambda atoms: [{**atom, field: value} if n == index else atom for n, atom in enumerate(atoms)])
        return True

    def add(self, symbol: str = "") -> None:
        """Put an atom beside the selected one, else the last, with its element unless ``symbol`` says another."""
        near = self.atoms[self.selected] if 0 <= self.selected < len(self.atoms) else (self.atoms or [None])[-1]
        if near is None:
            fresh: Atom = {"symbol": symbol or "H", "x": 0.0, "y": 0.0, "z": 0.0}
        else:
            fresh = {**near, "symbol": symbol or near["symbol"], "x": round(near["x"] + BESIDE, 5)}
        self._do(lambda atoms: [*atoms, fresh])
        self.selected = len(self.atoms) - 1

    def remove(self, index: int) -> None:
        """Take an atom away."""
        if 0 <= index < len(self.atoms):
            self._do(lambda atoms: [atom for n, atom in enumerate(atoms) if n != index])
            self.errors = {}
            self.selected = min(self.selected, len(self.atoms) - 1)

    def undo(self) -> None:
        """Go back one step."""
        self._step(self._past, self._future)

    def redo(self) -> None:
        """Do again what was undone."""
        self._step(self._future, self._past)

    def _do(self, change: Callable[[list[Atom]], list[Atom]]) -> None:
        self._past = [*self._past, list(self.atoms)][-MOST_STEPS:]
        self._future = []
        with self.hold_trait_notifications():
            self.atoms = change(list(self.atoms))
            self._tell()

    def _step(self, source: list[list[Atom]], target: list[list[Atom]]) -> None:
        if not source:
            return
        target.append(list(self.atoms))
        with self.hold_trait_notifications():
            self.errors = {}
            self.atoms = source.pop()
            self.selected = min(self.selected, len(self.atoms) - 1)
            self._tell()

    def _tell(self) -> None:
        self.can_undo, self.can_redo = bool(self._past), bool(self._future)


def _symbol(text: str) -> tuple[str, str]:
    name = text.strip().capitalize()
    if name in ELEMENTS:
        return name, ""
    return "", f"{text.strip() or 'Nothing'} is no element. Give a symbol such as H, Si or Fe."


def _coordinate(text: str, axis: str) -> tuple[float, str]:
    try:
        value = float(text.strip().replace("−", "-").replace(",", "."))
    except ValueError:
        return 0.0, f"{axis} must be a number in Å."
    if not math.isfinite(value) or abs(value) > FAR:
        return 0.0, f"{axis} must lie within ±{FAR:,.0f} Å."
    return value, ""
