"""Imported by the warm parent of the app's kernels: everything a page needs, and the list of molecules, made once."""

from simdeck_molecule import reading, validation
from simdeck_molecule.ui import page, structures

structures.library()

__all__ = ["page", "reading", "validation"]
