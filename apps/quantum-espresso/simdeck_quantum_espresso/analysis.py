"""What bands and projections mean: gap, Fermi level, densities by element and shell. Pure NumPy; energies in eV."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

TINY = 1e-3
"""eV: a gap below this is none."""


@dataclass(frozen=True)
class Gap:
    """``valence`` and ``conduction`` are the edges (eV); ``at`` their k-points' numbers; a metal has no gap."""

    value: float
    direct: float
    valence: float
    conduction: float
    at: tuple[int, int]
    spins: tuple[int, int]

    @property
    def is_direct(self) -> bool:
        """Whether the smallest gap is between states of one k-point (and, where there are two, of any spins)."""
        return abs(self.direct - self.value) < TINY


def find_gap(energies: np.ndarray, electrons: float, moment: float = 0.0) -> Gap | None:
    """The gap of bands (spin, k, band) that hold ``electrons`` in the cell; None for a metal.

    Parameters
    ----------
    moment
        The cell's moment in μB: electrons of spin up less electrons of spin down.
    """
    spins = energies.shape[0]
    filled = [electrons / 2] if spins == 1 else [(electrons + moment) / 2, (electrons - moment) / 2]
    counts = [round(count) for count in filled]
    if any(abs(count - whole) > 0.02 for count, whole in zip(filled, counts, strict=True)):
        return None
    ordered = np.sort(energies, axis=2)
    if any(count >= ordered.shape[2] for count in counts):
        return None
    tops = np.array(
        [
            ordered[spin, :, count - 1] if count else np.full(ordered.shape[1], -np.inf)
            for spin, count in enumerate(counts)
        ]
    )
    bottoms = np.array([ordered[spin, :, count] for spin, count in enumerate(counts)])
    top_spin, top = (int(i) for i in np.unravel_index(np.argmax(tops), tops.shape))
    low_spin, low = (int(i) for i in np.unravel_index(np.argmin(bottoms), bottoms.shape))
    valence, conduction = float(tops[top_spin, top]), float(bottoms[low_spin, low])
    if not np.isfinite(valence) or conduction - valence < TINY:
        return None
    direct = float((bottoms.min(axis=0) - tops.max(axis=0)).min())
    # A point that occurs twice on the path: the one that makes the gap direct, if there is one.
    if abs(direct - (conduction - valence)) < TINY:
        low = top = int(np.argmin(bottoms.min(axis=0) - tops.max(axis=0)))
    return Gap(conduction - valence, direct, valence, conduction, (top, low), (top_spin, low_spin))


def distances(points: np.ndarray, breaks: list[int]) -> np.ndarray:
    """Lengths along a path of k-points (1/Å); between a point in ``breaks`` and the next one there is no way."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    steps[[place for place in breaks if place < len(steps)]] = 0.0
    return np.concatenate([[0.0], np.cumsum(steps)])


def path_breaks(labels: list[tuple[int, str]]) -> list[int]:
    """The places where a path ends and another begins: two labelled points side by side."""
    places = [place for place, _ in labels]
    return [place for place, following in pairwise(places) if following == place + 1]


def ticks(labels: list[tuple[int, str]], along: np.ndarray) -> list[dict[str, Any]]:
    """Where the path's corners are: ``{"at", "label"}``, corners at one place joined by a bar."""
    found: list[dict[str, Any]] = []
    for place, name in labels:
        shown = pretty(name)
        at = float(along[place])
        if found and abs(found[-1]["at"] - at) < 1e-9:
            if found[-1]["label"] != shown:
                found[-1]["label"] += f"|{shown}"
        else:
            found.append({"at": at, "label": shown})
    return found


def pretty(name: str) -> str:
    """A corner's name as it is printed: ``GAMMA`` is Γ, ``H_2`` is H₂."""
    name = name.replace("GAMMA", "Γ").replace("SIGMA", "Σ").replace("DELTA", "Δ").replace("LAMBDA", "Λ")
    base, _, low = name.partition("_")
    return base + low.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


SHELLS = "spdfg"


def sum_by_shell(parts: list[tuple[str, int, np.ndarray]]) -> dict[str, np.ndarray]:
    """Densities by element and shell, ``Si_p``, from (element, angular momentum, density) of every orbital."""
    found: dict[str, np.ndarray] = {}
    for element, momentum, density in parts:
        name = f"{element}_{SHELLS[momentum]}"
        found[name] = found[name] + density if name in found else np.array(density, dtype=float)
    return dict(sorted(found.items(), key=lambda item: (item[0].split("_")[0], SHELLS.index(item[0].split("_")[1]))))


def density_at(energies: np.ndarray, density: np.ndarray, where: float) -> float:
    """A density of states (1/eV) at an energy, between the two nearest points."""
    return float(np.interp(where, energies, density))
