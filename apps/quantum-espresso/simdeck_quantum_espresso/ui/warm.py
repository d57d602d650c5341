"""Imported by the warm parent of the app's kernels: everything a page needs."""

import spglib

from simdeck_quantum_espresso import builders, cell, pseudopotentials, reading, settings, validation
from simdeck_quantum_espresso.ui import crystals, page

crystals.library()

__all__ = ["builders", "cell", "crystals", "page", "pseudopotentials", "reading", "settings", "spglib", "validation"]
