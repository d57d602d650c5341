"""The Morse potential of a diatomic molecule, in reduced units: energies in eV, lengths in Å."""

from __future__ import annotations

import math

HBAR_SQUARED = 4.1801592e-3
"""ħ² in eV Å² u (unified atomic mass units)."""


def curve(depth: float, width: float, points: int = 121) -> list[tuple[float, float]]:
    """Return (distance from the equilibrium in Å, energy in eV) for a well of ``depth`` eV and ``width`` 1/Å."""
    found = []
    for number in range(points):
        x = -0.6 + 3.6 * number / (points - 1)
        found.append((x, depth * (1 - math.exp(-width * x)) ** 2))
    return found


def levels(depth: float, width: float, mass: float) -> list[float]:
    """Return the energies in eV of the bound vibrational levels; ``mass`` is the reduced mass in u."""
    quantum = width * math.sqrt(2 * depth * HBAR_SQUARED / mass)
    found = []
    number = 0
    while (energy := quantum * (number + 0.5) - (quantum * (number + 0.5)) ** 2 / (4 * depth)) < depth:
        if found and energy <= found[-1]:
            break
        found.append(energy)
        number += 1
    return found
