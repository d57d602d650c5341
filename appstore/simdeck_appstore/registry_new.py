"""A new registry: the two lists it is built from, its settings, its keys."""

from __future__ import annotations

import json
from pathlib import Path

from simdeck_common.problems import Problem

from simdeck_appstore.registry_settings import NAME
from simdeck_appstore.signing import init_keys

APPS = """\
# The apps of this registry: id -> releases. `simdeck app publish --to` this folder adds one.
"""
CATEGORIES = """\
# The categories that apps may name: id -> title and description.
quantum-chemistry: {title: Quantum chemistry, description: Molecules and their electrons.}
solids: {title: Solids and surfaces, description: "Crystals, surfaces and two-dimensional materials."}
molecular-dynamics: {title: Molecular dynamics, description: Atoms in motion.}
spectroscopy: {title: Spectroscopy, description: Spectra computed and compared.}
thermodynamics: {title: Thermodynamics, description: "Free energies, phases and reactions."}
data-analysis: {title: Data analysis, description: Looking at results.}
teaching: {title: Teaching, description: Made for courses and first steps.}
"""


def create_registry(folder: Path, title: str) -> Path:
    """Write ``source/`` and ``keys/`` below ``folder`` and return the ``root.json`` that sites pin.

    Raises
    ------
    Problem
        ``folder-taken``: nothing is overwritten.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Problem("folder-taken", folder=folder)
    source = folder / "source"
    source.mkdir(parents=True)
    (source / "apps.yaml").write_text(APPS, "utf-8")
    (source / "categories.yaml").write_text(CATEGORIES, "utf-8")
    # A TOML string is written as JSON's.
    (source / NAME).write_text(
        f'title = {json.dumps(title, ensure_ascii=False)}\noutput = "../built"\nkeys = "../keys"\n', "utf-8"
    )
    return init_keys(folder / "keys")
