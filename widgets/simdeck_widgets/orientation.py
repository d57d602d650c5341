"""The view a structure is best seen in: its widest side across, its thinnest towards the eye. No NumPy needed."""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]

IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_SWEEPS = 30
_SAME = 1e-9


def best_view(positions: Sequence[Sequence[float]]) -> tuple[Matrix, Vector]:
    """How to turn and shift a structure for the eye; the structure itself stays as it is.

    Parameters
    ----------
    positions
        (N, 3) in Å; may be empty.

    Returns
    -------
    rotation, centre
        A proper rotation (no mirror image), whose rows are the principal axes of the positions by falling spread, and
        the middle (Å) of the turned structure's bounding box: a position ``r`` is seen at ``rotation @ r - centre``.
        The few atoms that stick out point up and to the right, so the same structure always looks the same.
    """
    if not positions:
        return IDENTITY, (0.0, 0.0, 0.0)
    points = [(float(x), float(y), float(z)) for x, y, z in positions]
    mean = [sum(p[i] for p in points) / len(points) for i in range(3)]
    moved = [_minus(p, mean) for p in points]
    covariance = [[sum(p[i] * p[j] for p in moved) for j in range(3)] for i in range(3)]
    across, up = (_towards_the_few(axis, moved) for axis in principal_axes(covariance)[:2])
    rotation = (across, up, _cross(across, up))
    seen = [turn(rotation, p) for p in points]
    low, high = ([pick(p[i] for p in seen) for i in range(3)] for pick in (min, max))
    return rotation, ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2)


def principal_axes(matrix: Sequence[Sequence[float]]) -> list[Vector]:
    """Orthonormal eigenvectors of a symmetric 3×3 matrix, the largest eigenvalue first (Jacobi's rotations)."""
    a = [list(row) for row in matrix]
    vectors = [list(row) for row in IDENTITY]
    size = sum(abs(a[i][i]) for i in range(3))
    for _ in range(_SWEEPS):
        if max(abs(a[0][1]), abs(a[0][2]), abs(a[1][2])) <= 1e-14 * size:
            break
        for p, q in ((0, 1), (0, 2), (1, 2)):
            angle = 0.5 * math.atan2(2 * a[p][q], a[q][q] - a[p][p])
            cosine, sine = math.cos(angle), math.sin(angle)
            for row in a:
                row[p], row[q] = cosine * row[p] - sine * row[q], sine * row[p] + cosine * row[q]
            for rows in (a, vectors):
                one, other = rows[p], rows[q]
                rows[p] = [cosine * x - sine * y for x, y in zip(one, other, strict=True)]
                rows[q] = [sine * x + cosine * y for x, y in zip(one, other, strict=True)]
    # Equal spreads keep their order: a methane in its box stays as it was drawn.
    order = sorted(range(3), key=lambda i: (-round(a[i][i] / size, 6) if size else 0.0, i))
    return [(vectors[i][0], vectors[i][1], vectors[i][2]) for i in order]


def turn(rotation: Matrix, point: Sequence[float]) -> Vector:
    """``rotation @ point``."""
    x, y, z = (sum(r * c for r, c in zip(row, point, strict=True)) for row in rotation)
    return x, y, z


def _towards_the_few(axis: Vector, moved: Sequence[Vector]) -> Vector:
    lopsided = sum(_dot(axis, p) ** 3 for p in moved)
    if abs(lopsided) <= _SAME:
        # Nothing to tell the ends apart by: let the axis point the way its largest part does.
        lopsided = max(axis, key=abs)
    return axis if lopsided > 0 else (-axis[0], -axis[1], -axis[2])


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _minus(a: Sequence[float], b: Sequence[float]) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
