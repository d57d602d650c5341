"""A structure in 3-D."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import traitlets

from simdeck_widgets.base import View, library_url, script, style
from simdeck_widgets.orientation import best_view

Positions = Sequence[Sequence[float]]


class StructureViewer(View):
    """Shows atoms with 3Dmol.js: rotate, zoom, a trajectory's frames, one vibration at a time, atom labels.

    Traits
    ------
    symbols
        (N,) chemical symbols.
    positions
        (N, 3) in Å.
    trajectory
        (F, N, 3) in Å, or empty; ``frame`` is the one shown.
    mode
        (N, 3) displacements of a vibration, or empty; ``amplitude`` scales them (Å for a displacement of one),
        ``playing`` moves. A person who asked their system for reduced motion sees it still until they press play.
    view
        ``{"rotation": 3×3, "centre": [3] in Å}``: how the eye sees all of the above at first and after "Reset view"
        (:func:`~simdeck_widgets.orientation.best_view` of ``positions``).
    cell
        (3, 3) vectors in Å whose box is drawn, from the origin; empty: none.
    description
        What a screen reader says.
    """

    _esm = script("viewer")
    _css = style()
    library_url = traitlets.Unicode().tag(sync=True)
    symbols = traitlets.List(traitlets.Unicode()).tag(sync=True)
    positions = traitlets.List().tag(sync=True)
    trajectory = traitlets.List().tag(sync=True)
    frame = traitlets.Int(0).tag(sync=True)
    mode = traitlets.List().tag(sync=True)
    amplitude = traitlets.Float(0.6).tag(sync=True)
    playing = traitlets.Bool(True).tag(sync=True)
    labels = traitlets.Bool(False).tag(sync=True)
    cell = traitlets.List().tag(sync=True)
    view = traitlets.Dict().tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)

    @traitlets.default("library_url")  # type: ignore[untyped-decorator]
    def _default_library_url(self) -> str:
        return library_url("$3Dmol")

    def show(
        self,
        symbols: Sequence[str],
        positions: Positions,
        *,
        trajectory: Sequence[Positions] = (),
        name: str = "",
        cell: Positions = (),
    ) -> None:
        """Show a structure; with a trajectory, its last frame; with a cell, its box."""
        with self.hold_sync():
            self.mode = []
            self.cell = plain(cell)
            self.symbols = list(symbols)
            self.positions = plain(positions)
            rotation, centre = best_view([*self.positions, *corners(self.cell)])
            self.view = {"rotation": [list(row) for row in rotation], "centre": list(centre)}
            self.trajectory = [plain(frame) for frame in trajectory]
            self.frame = max(0, len(self.trajectory) - 1)
            self.description = describe(symbols, name)

    def clear(self) -> None:
        """Show nothing."""
        self.show([], [])

    def vibrate(self, mode: Positions, name: str = "") -> None:
        """Animate a vibration about the structure shown; an empty mode stops it."""
        with self.hold_sync():
            self.mode = plain(mode)
            self.description = describe(self.symbols, name)


def corners(cell: Positions) -> list[list[float]]:
    """The eight corners of a cell's box, the first at the origin; none without a cell."""
    if len(cell) != 3:
        return []
    return [
        [i * a + j * b + k * c for a, b, c in zip(*cell, strict=True)] for i in (0, 1) for j in (0, 1) for k in (0, 1)
    ]


def plain(positions: Any) -> list[list[float]]:
    """Rows of three numbers as plain lists, with the 1e-5 Å a picture can use."""
    return [[round(float(x), 5) for x in row] for row in positions]


def describe(symbols: Sequence[str], name: str = "") -> str:
    """One sentence about a structure: how many atoms of what."""
    if not symbols:
        return "No structure"
    counts: dict[str, int] = {}
    for symbol in symbols:
        counts[symbol] = counts.get(symbol, 0) + 1
    parts = ", ".join(f"{count} {symbol}" for symbol, count in counts.items())
    atoms = "1 atom" if len(symbols) == 1 else f"{len(symbols)} atoms"
    subject = f" of {name}" if name else ""
    return f"Three-dimensional picture{subject}: {atoms} ({parts}). Arrow keys turn it, plus and minus zoom."
