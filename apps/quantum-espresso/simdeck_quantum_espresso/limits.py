"""The limits and defaults of every input, in one place: for the process spec, the page's fields and the checks."""

from __future__ import annotations

from typing import Final

PROTOCOLS: Final = ("fast", "balanced", "precise")
DEFAULT_PROTOCOL: Final = "balanced"
RELAXATIONS: Final = ("none", "positions", "cell")
FUNCTIONALS: Final = ("PBE", "PBEsol", "LDA")
DEFAULT_FUNCTIONAL: Final = "PBE"
MAGNETISM: Final = ("none", "ferromagnetic")
OCCUPATIONS: Final = ("smearing", "fixed")
SMEARINGS: Final = ("cold", "gaussian", "methfessel-paxton", "fermi-dirac")

# A plane-wave calculation costs about (atoms)³; more belongs to a command line and a large allocation.
MAX_ATOMS: Final = 200
MAX_FILE_BYTES: Final = 2_000_000
MIN_DISTANCE: Final = 0.5  # Å
MAX_VOLUME: Final = 20_000.0  # Å³; vacuum costs plane waves too
MAX_SUPERCELL: Final = 6

MIN_WIDTH: Final = 0.001  # eV
MAX_WIDTH: Final = 2.0
MIN_SPACING: Final = 0.04  # 1/Å
MAX_SPACING: Final = 1.5
MAX_POINTS: Final = 50_000  # k-points of a mesh, before symmetry
MIN_CUTOFF: Final = 10.0  # Ry
MAX_CUTOFF: Final = 250.0
MIN_DENSITY_CUTOFF: Final = 40.0
MAX_DENSITY_CUTOFF: Final = 3000.0
MIN_MIXING: Final = 0.02
MAX_MIXING: Final = 0.9
MIN_STEPS: Final = 5
MAX_STEPS: Final = 500
DEFAULT_STEPS: Final = 80
MAX_MOMENT: Final = 8.0  # μB for an atom
MAX_CORES: Final = 128
MAX_MINUTES: Final = 7 * 24 * 60
DEFAULT_MINUTES: Final = 60
