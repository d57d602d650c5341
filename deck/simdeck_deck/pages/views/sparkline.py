"""A small curve of energies as an SVG path, drawn on the server so that it needs no script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sparkline:
    """An SVG path in a box of ``width`` × ``height``; the last point; the range drawn."""

    path: str
    width: int
    height: int
    last_x: float
    last_y: float
    low: float
    high: float
    count: int


def sparkline(
    values: Sequence[float], width: int = 240, height: int = 48, pad: int = 4, limit: int = 200
) -> Sparkline | None:
    """Return the curve through ``values`` (equally spaced), or None with fewer than two finite ones.

    More than ``limit`` values are thinned evenly; the first and the last always stay.
    """
    finite = [float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)]
    if len(finite) < 2:
        return None
    shown = _thin(finite, limit)
    low, high = min(shown), max(shown)
    span = high - low
    step = (width - 2 * pad) / (len(shown) - 1)
    points = []
    for index, value in enumerate(shown):
        # A flat curve is drawn through the middle.
        share = (value - low) / span if span > 0 else 0.5
        points.append((round(pad + index * step, 2), round(height - pad - share * (height - 2 * pad), 2)))
    path = "M" + " L".join(f"{x:g},{y:g}" for x, y in points)
    return Sparkline(path, width, height, points[-1][0], points[-1][1], low, high, len(finite))


def _thin(values: list[float], limit: int) -> list[float]:
    if len(values) <= limit:
        return values
    last = len(values) - 1
    return [values[round(index * last / (limit - 1))] for index in range(limit)]
