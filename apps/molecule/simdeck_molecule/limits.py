"""The limits and defaults of every input, in one place: for the process spec, the page's fields and the checks."""

from __future__ import annotations

from typing import Final

METHODS: Final = ("GFN2-xTB", "GFN1-xTB", "IPEA1-xTB")
DEFAULT_METHOD: Final = "GFN2-xTB"

# One step costs about (basis functions)³: 60 carbon atoms take 0.3 s, 240 take 15 s on one core, and frequencies need
# 6 N steps.
MAX_ATOMS: Final = 250
MAX_ATOMS_FREQUENCIES: Final = 150
MAX_ATOMIC_NUMBER: Final = 86

MIN_CHARGE: Final = -10
MAX_CHARGE: Final = 10
MAX_MULTIPLICITY: Final = 11

# eV/Å. Below the first the self-consistency noise is as large as the force; above the second nothing is optimised.
MIN_FMAX: Final = 0.0005
MAX_FMAX: Final = 0.5
DEFAULT_FMAX: Final = 0.005

MIN_STEPS: Final = 1
MAX_STEPS: Final = 2000
DEFAULT_STEPS: Final = 300

# K and Pa. The ideal gas of rigid rotors and harmonic oscillators has no meaning much outside these.
MIN_TEMPERATURE: Final = 10.0
MAX_TEMPERATURE: Final = 5000.0
DEFAULT_TEMPERATURE: Final = 298.15
MIN_PRESSURE: Final = 1.0
MAX_PRESSURE: Final = 1.0e9
DEFAULT_PRESSURE: Final = 101325.0

MAX_SYMMETRY_NUMBER: Final = 120

# cm⁻¹, full width at half maximum of the spectrum's Lorentzian lines.
MIN_FWHM: Final = 1.0
MAX_FWHM: Final = 200.0
DEFAULT_FWHM: Final = 20.0

# Å. The shortest bond there is, H–H, is 0.74 Å long.
MIN_DISTANCE: Final = 0.4
# Å. Atoms farther out than this are another place, not the same molecule; it also keeps numbers sane.
MAX_COORDINATE: Final = 10_000.0

# Bytes and atoms a structure file may have before it is parsed at all.
MAX_FILE_BYTES: Final = 2_000_000
