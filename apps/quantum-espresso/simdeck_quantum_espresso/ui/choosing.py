"""The crystal of the page: from a file, the library, a lattice or a database; edited; its cell. No widget."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import traitlets
from simdeck_widgets.form_model import FormModel
from simdeck_widgets.optimade import Found
from simdeck_widgets.optimade_model import OptimadeModel
from simdeck_widgets.structure_model import StructureModel

from simdeck_quantum_espresso import builders, validation
from simdeck_quantum_espresso.reading import UnreadableError
from simdeck_quantum_espresso.ui import crystals
from simdeck_quantum_espresso.ui.crystals import Crystal
from simdeck_quantum_espresso.ui.forms import SUPERCELL, lattice_defaults, lattice_errors


class StructureChoice(traitlets.HasTraits):  # type: ignore[misc]
    """The crystal that is chosen, and what was wrong with one that is not.

    ``search`` asks databases, ``atoms`` is under the editor; both end in ``crystal``.
    """

    crystal = traitlets.Instance(Crystal, allow_none=True)
    structure_error = traitlets.Unicode()
    source = traitlets.Unicode()
    """The library's id the crystal came from, or empty."""
    busy = traitlets.Bool(False)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.lattice = FormModel(check=lattice_errors)
        self.lattice.load(builders.FORM)
        self.repeats = FormModel()
        self.repeats.load(SUPERCELL)
        self.search = OptimadeModel(take=self.take_entry)
        self.atoms = StructureModel()
        self._loading = False
        self.atoms.observe(lambda _: self._edited(), ["atoms"])
        self.observe(lambda _: self._show_atoms(), ["crystal"])

    async def take_file(self, name: str, data: bytes) -> None:
        """Use an uploaded file."""
        await self._take("", lambda: crystals.of_file(name, data))

    async def take_library(self, name: str) -> None:
        """Use a crystal of the library."""
        await self._take(name, lambda: crystals.of_library(name))

    async def take_lattice(self) -> None:
        """Build what the lattice form says."""
        given = {**lattice_defaults(), **self.lattice.values}
        if self.lattice.valid:
            make = partial(crystals.of_lattice, given["lattice"], given["formula"], given["a"], given["c"])
            await self._take("", make)

    async def take_entry(self, found: Found, origin: dict[str, str]) -> None:
        """Use an entry of a database."""
        await self._take("", lambda: crystals.of_entry(found, origin))

    def _edited(self) -> None:
        """Take what was edited; what makes no crystal is said, and the crystal before stays."""
        crystal = self.crystal
        if crystal is None or self._loading:
            return
        try:
            changed = crystals.of_edit(crystal, self.atoms.symbols, self.atoms.positions)
        except UnreadableError as error:
            self.structure_error = str(error)
            return
        self.source = ""
        self.structure_error = ""
        self._loading = True
        try:
            self.crystal = changed
        finally:
            self._loading = False

    async def change_cell(self, how: str) -> None:
        """Take another cell of the same crystal."""
        crystal = self.crystal
        if crystal is None or (how == "supercell" and not self.repeats.valid):
            return
        repeats = tuple(int(self.repeats.values.get(name) or 1) for name in ("along_a", "along_b", "along_c"))
        atoms = len(crystal.symbols) * repeats[0] * repeats[1] * repeats[2]
        if how == "supercell" and (sentence := validation.check_atom_count(atoms)):
            self.repeats.refuse("along_a", sentence)
            return
        await self._take(self.source, lambda: crystals.changed(crystal, how, repeats))  # type: ignore[arg-type]

    async def _take(self, source: str, make: Any) -> None:
        self.busy = True
        self.structure_error = ""
        try:
            crystal = await asyncio.to_thread(make)
            self.source = source
            self.crystal = crystal
            self._suggest(crystal)
        except UnreadableError as error:
            self._refuse_structure(str(error))
        except Exception as error:
            self._refuse_structure(
                f"The structure could not be read ({type(error).__name__}). Try another file or format."
            )
        finally:
            self.busy = False

    def _refuse_structure(self, sentence: str) -> None:
        """Say why, and forget the crystal before: it was meant to be replaced and must not be submitted by mistake."""
        self.source = ""
        self.crystal = None
        self.structure_error = sentence

    def _suggest(self, crystal: Crystal) -> None:
        """Called with a crystal that was taken; a page sets what suits it."""

    def _show_atoms(self) -> None:
        if self.crystal is not None:
            self.structure_error = ""
        if self._loading:
            return
        self._loading = True
        try:
            crystal = self.crystal
            if crystal is None:
                self.atoms.load([], [])
            else:
                self.atoms.load(crystal.symbols, crystal.positions, crystal.vectors)
        finally:
            self._loading = False
