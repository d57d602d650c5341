"""Imported by the warm parent of the app's kernels: everything a page needs."""

from simdeck_quantum_espresso import builders, cell, pseudopotentials, reading, settings, validation
from simdeck_quantum_espresso.ui import page

__all__ = ["builders", "cell", "page", "pseudopotentials", "reading", "settings", "validation"]
