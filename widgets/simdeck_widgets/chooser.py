"""Choosing a structure: a file, a molecule of a library, or a SMILES text."""

from __future__ import annotations

import traitlets

from simdeck_widgets.base import View, script, style


class StructureChooser(View):
    """Sends what a person chose as actions: ``file`` (``name``, one buffer), ``pick`` (``name``), ``smiles``
    (``text``).

    ``library`` holds ``{"name", "label", "formula", "plain"?}``; ``summary`` and ``error`` are what
    is said about the choice. ``noun`` is what the library holds (``molecule``, ``crystal``), ``example`` its search's
    hint.
    """

    _esm = script("chooser")
    _css = style()
    library = traitlets.List().tag(sync=True)
    selected = traitlets.Unicode().tag(sync=True)
    summary = traitlets.Unicode().tag(sync=True)
    notes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    smiles = traitlets.Bool(False).tag(sync=True)
    accept = traitlets.Unicode(".xyz,.extxyz,.cif,.sdf,.mol").tag(sync=True)
    formats = traitlets.Unicode("XYZ, extended XYZ, CIF, SDF or MOL").tag(sync=True)
    noun = traitlets.Unicode("molecule").tag(sync=True)
    example = traitlets.Unicode("Name or formula, for example water or C6H6").tag(sync=True)
    max_bytes = traitlets.Int(2_000_000).tag(sync=True)
