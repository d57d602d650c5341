"""What a protocol and the advanced inputs mean in numbers: one place for the workflow, the page and the estimate. Pure.

Spacings in 1/Å, cutoffs in Ry, widths in eV. A number given as 0 means "as the protocol has it".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ase import Atoms

from simdeck_quantum_espresso.pseudopotentials import Pseudopotential

RYDBERG: Final = 13.605693122994
"""eV"""

UPSTREAM: Final = {"fast": "fast", "balanced": "balanced", "precise": "stringent"}
"""Our names of the protocols of aiida-quantumespresso."""

DEFAULTS: Final[dict[str, Any]] = {
    "protocol": "balanced", "functional": "PBE", "family": "", "relax": "none", "bands": True, "dos": True,
    "phonons": False, "magnetism": "none", "moment": 0.0, "occupations": "smearing", "smearing": "cold", "width": 0.0,
    "k_spacing": 0.0, "cutoff": 0.0, "density_cutoff": 0.0, "mixing": 0.0, "scf_steps": 80, "cores": 1, "walltime": 60,
}  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """Numbers of one protocol; ``path`` and ``dos_spacing`` are of the bands' path and the density of states."""

    k_spacing: float
    dos_spacing: float
    path: float
    width: float
    factor: float
    dos_step: float
    energy_per_atom: float
    force: float


PROTOCOLS: Final = {
    "fast": Protocol(0.30, 0.25, 0.08, 0.0275 * RYDBERG, 1.0, 0.05, 4e-10, 1e-3),
    "balanced": Protocol(0.15, 0.12, 0.04, 0.0200 * RYDBERG, 1.1, 0.02, 2e-10, 1e-4),
    "precise": Protocol(0.10, 0.08, 0.025, 0.0125 * RYDBERG, 1.3, 0.01, 1e-10, 5e-5),
}


@dataclass(frozen=True)
class Numbers:
    """What will be computed with. ``mesh`` is the k-point mesh of the self-consistent field for the given cell."""

    cutoff: float
    density_cutoff: float
    k_spacing: float
    dos_spacing: float
    path: float
    dos_step: float
    smearing: str
    width: float
    mesh: tuple[int, int, int]
    electrons: int
    bands: int


def numbers(atoms: Atoms, inputs: Mapping[str, Any], pseudos: Mapping[str, Pseudopotential]) -> Numbers:
    """The numbers for a crystal; missing inputs count as their defaults."""
    given = {**DEFAULTS, **{name: value for name, value in inputs.items() if value is not None}}
    protocol = PROTOCOLS[given["protocol"]]
    wanted = max(one.cutoff for one in pseudos.values())
    dense = max(one.density_cutoff for one in pseudos.values())
    # A family's cutoffs were tested as a whole and hold as they are, but for the last word in precision.
    factor = 1.0 if given["family"] and given["protocol"] != "precise" else protocol.factor
    cutoff = given["cutoff"] or float(math.ceil(wanted * factor))
    # A cutoff of the wavefunctions that was given keeps the proportion, unless the density's was given too.
    density = given["density_cutoff"] or float(math.ceil(dense * max(cutoff / wanted, 0.1)))
    spacing = given["k_spacing"] or protocol.k_spacing
    electrons = sum(pseudos[symbol].valence for symbol in atoms.get_chemical_symbols())
    return Numbers(
        cutoff=cutoff,
        density_cutoff=density,
        k_spacing=spacing,
        dos_spacing=min(spacing, protocol.dos_spacing),
        path=protocol.path,
        dos_step=protocol.dos_step,
        smearing=given["smearing"] if given["occupations"] == "smearing" else "fixed",
        width=given["width"] or protocol.width,
        mesh=mesh(atoms, spacing),
        electrons=electrons,
        bands=band_count(electrons),
    )


def mesh(atoms: Atoms, spacing: float) -> tuple[int, int, int]:
    """The mesh whose points are at most ``spacing`` (1/Å) apart; one point along what is not periodic.

    As AiiDA makes it: reciprocal lengths include 2π.
    """
    lengths = 2 * math.pi * atoms.cell.reciprocal().lengths()
    found = [
        max(1, math.ceil(length / spacing - 1e-9)) if periodic else 1
        for length, periodic in zip(lengths, atoms.pbc, strict=True)
    ]
    # The same along axes of the same length, as the symmetry asks.
    sides = atoms.cell.lengths()
    if max(sides) - min(sides) < 1e-5:
        found = [max(found) if periodic else 1 for periodic in atoms.pbc]
    return found[0], found[1], found[2]


def band_count(electrons: int) -> int:
    """How many bands the band structure and the density of states show: half again as many as are filled, 4 at
    least."""
    filled = math.ceil(electrons / 2)
    return max(filled + 6, math.ceil(1.5 * filled))


@dataclass(frozen=True)
class Estimate:
    """Seconds and MiB; how far the seconds may be off stands at :func:`estimate`."""

    seconds: float
    memory_mb: float
    calculations: int


FIELD_SECONDS: Final = 3.05e-9
"""One iteration of a field at one k-point, for each band and point of the smooth grid times its logarithm."""
BANDS_SECONDS: Final = 2.5e-8
"""The same for a band structure, whose states are converged at once."""
MANY_BANDS: Final = 25
"""So many bands cost as much to keep orthogonal as to move between the grids."""
ITERATIONS: Final = 8
MAGNETIC_ITERATIONS: Final = 15
START_SECONDS: Final = 2.5
"""Of each calculation: what is not the program."""
PATH_LENGTH: Final = 3.2
"""Of SeeK-path's path, in cube roots of the reciprocal cell; 2.8 for fcc, 3.8 for simple cubic."""


def estimate(atoms: Atoms, inputs: Mapping[str, Any], found: Numbers, operations: int = 1) -> Estimate:
    """How long a run takes, from the number of plane waves, bands and k-points.

    The factors are fitted to CPU times of Debian's pw.x 6.7 on one core (silicon with 2 atoms, fast and balanced, and
    with 8; ferromagnetic iron): those fields, bands and densities come out within 35 %. Another machine may be three
    times as fast or slow, a field may need more iterations, and relaxations and phonons were not measured.
    """
    given = {**DEFAULTS, **inputs}
    volume = atoms.get_volume() / 0.529177210903**3
    waves = volume * found.cutoff**1.5 / (6 * math.pi**2)
    # Bands live on a grid of their own, which ultrasoft and PAW pseudopotentials do not make finer.
    grid = volume * min(found.density_cutoff, 4 * found.cutoff) ** 1.5 / (6 * math.pi**2) * 4
    dense = volume * found.density_cutoff**1.5 / (6 * math.pi**2) * 4
    magnetic = given["magnetism"] == "ferromagnetic"
    spins = 2 if magnetic else 1
    filled = max(1.0, found.electrons / 2)

    def work(bands: float) -> float:
        return spins * bands * grid * math.log2(max(grid, 2)) * (1 + bands / MANY_BANDS)

    points = irreducible(found.mesh, operations)
    rounds = MAGNETIC_ITERATIONS if magnetic else ITERATIONS
    scf = FIELD_SECONDS * points * rounds * work(max(1.2 * filled, filled + 4))
    jobs, seconds = 1, scf
    if given["relax"] != "none":
        steps = 4 if given["relax"] == "positions" else 7
        seconds += steps * scf * (1.6 if given["relax"] == "cell" else 1.0)
        jobs += 1
    if given["bands"]:
        length = PATH_LENGTH * 2 * math.pi / atoms.get_volume() ** (1 / 3)
        seconds += BANDS_SECONDS * (length / found.path) * work(found.bands)
        jobs += 1
    if given["dos"]:
        seconds += BANDS_SECONDS * irreducible(mesh(atoms, found.dos_spacing), operations) * work(found.bands)
        jobs += 2
    if given["phonons"]:
        seconds += 3 * len(atoms) * scf * 2
        jobs += 1
    cores = max(1, int(given["cores"]))
    speed = 1.0 if cores == 1 else 0.85 * cores
    memory = 120 + spins * (waves * found.bands * 16 * 3 + dense * 16 * 12) / 1e6
    return Estimate(seconds / speed + START_SECONDS * jobs, memory, jobs)


def irreducible(points: tuple[int, int, int], operations: int) -> int:
    """About how many points are left of a mesh by the crystal's operations and time reversal."""
    total = math.prod(points)
    if operations < 8:
        return max(1, min(total, math.ceil(total / max(2.0, 0.85 * operations)) + 4))
    # A cell of several lattice points has operations that move none of the points. Points on the borders of the zone
    # have fewer images than others, which counts where there are few of them.
    images = math.prod(n + 2 for n in points)
    return max(1, min(total, math.ceil(images / (0.85 * min(operations, 48))) + 4))
