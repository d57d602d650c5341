"""The atoms of a structure in a table that can be edited."""

from __future__ import annotations

from typing import Any

import traitlets

from simdeck_widgets.base import View, script, style
from simdeck_widgets.structure_model import StructureModel
from simdeck_widgets.viewer import StructureViewer

MOST_ATOMS = 200
"""A longer table is for a file and a program that makes it."""


class StructureEditor(View):
    """Shows a :class:`~simdeck_widgets.structure_model.StructureModel`: fields by atom, undo and redo.

    Parameters
    ----------
    viewer
        A viewer that shows what is edited.
    """

    _esm = script("editor")
    _css = style()
    atoms = traitlets.List().tag(sync=True)
    errors = traitlets.Dict().tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)
    can_undo = traitlets.Bool(False).tag(sync=True)
    can_redo = traitlets.Bool(False).tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)

    def __init__(self, model: StructureModel, viewer: StructureViewer | None = None, **traits: Any) -> None:
        super().__init__(**traits)
        self.model = model
        self._viewer = viewer
        for name in ("errors", "can_undo", "can_redo"):
            traitlets.dlink((model, name), (self, name))
        traitlets.link((model, "selected"), (self, "selected"))
        self.when(
            "change", lambda said, _: model.change(int(said["index"]), str(said["field"]), str(said["text"])[:40])
        )
        self.when("add", lambda *_: model.add())
        self.when("remove", lambda said, _: model.remove(int(said["index"])))
        self.when("undo", lambda *_: model.undo())
        self.when("redo", lambda *_: model.redo())
        model.observe(lambda _: self._refresh(), ["atoms", "cell"])
        self._refresh()

    def _refresh(self) -> None:
        many = len(self.model.atoms) > MOST_ATOMS
        with self.hold_sync():
            self.atoms = [] if many else list(self.model.atoms)
            self.note = (
                f"{len(self.model.atoms):,} atoms are too many for a table; up to {MOST_ATOMS} can be edited here."
                if many
                else ""
            )
        if self._viewer is not None:
            self._viewer.show(self.model.symbols, self.model.positions, cell=self.model.cell)
