"""A molecule's shape: linear or not, and its rotational symmetry number. Pure functions on positions in Å."""

from __future__ import annotations

import numpy as np
from ase import Atoms

LINEAR_TOLERANCE = 0.02
"""Å an atom may be off the axis of a linear molecule."""

SYMMETRY_TOLERANCE = 0.1
"""Å an atom may be off its image. An optimised geometry is only as symmetric as its remaining forces allow."""


def geometry(atoms: Atoms) -> str:
    """``monatomic``, ``linear`` or ``nonlinear``, as ASE's thermochemistry names them."""
    if len(atoms) == 1:
        return "monatomic"
    return "linear" if is_linear(atoms) else "nonlinear"


def is_linear(atoms: Atoms) -> bool:
    """Whether all atoms (at least two) lie on one line, within ``LINEAR_TOLERANCE``."""
    if len(atoms) < 2:
        return False
    centred = atoms.positions - atoms.positions.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    off = centred - np.outer(centred @ axis, axis)
    return bool(np.linalg.norm(off, axis=1).max() < LINEAR_TOLERANCE)


def symmetry_number(atoms: Atoms, tolerance: float = SYMMETRY_TOLERANCE) -> int:
    """The number of proper rotations that map the molecule onto itself.

    Water 2, ammonia 3, methane 12, benzene 12, carbon dioxide 2, hydrogen chloride 1, an atom 1. Isotopes are not told
    apart.
    """
    if len(atoms) == 1:
        return 1
    numbers = atoms.numbers
    positions = atoms.positions - atoms.get_center_of_mass()
    if is_linear(atoms):
        return 2 if _maps_onto_itself(numbers, positions, -positions, tolerance) else 1
    # A rotation is fixed by where it takes two atoms; those two come from the smallest sets of possibly equal atoms.
    first, second = _reference_atoms(numbers, positions, tolerance)
    rotations: list[np.ndarray] = []
    for i in _alike(numbers, positions, first, tolerance):
        for j in _alike(numbers, positions, second, tolerance):
            if i == j or abs(_angle_gap(positions, first, second, i, j)) > 2 * tolerance:
                continue
            rotation = _superpose(positions[[first, second]], positions[[i, j]])
            images = _match(numbers, positions, positions @ rotation.T, 3 * tolerance)
            if images is None:
                continue
            rotation = _superpose(positions, positions[images])
            off = np.linalg.norm(positions @ rotation.T - positions[images], axis=1).max()
            if off < tolerance and not any(np.abs(rotation - other).max() < 0.05 for other in rotations):
                rotations.append(rotation)
    return max(1, len(rotations))


def _alike(numbers: np.ndarray, positions: np.ndarray, atom: int, tolerance: float) -> np.ndarray:
    radii = np.linalg.norm(positions, axis=1)
    return np.flatnonzero((numbers == numbers[atom]) & (np.abs(radii - radii[atom]) < tolerance))


def _reference_atoms(numbers: np.ndarray, positions: np.ndarray, tolerance: float) -> tuple[int, int]:
    """Two atoms with as few look-alikes as possible, off the centre and not on one line with it."""
    radii = np.linalg.norm(positions, axis=1)
    off_centre = [k for k in range(len(numbers)) if radii[k] > 0.3]
    order = sorted(off_centre, key=lambda k: (len(_alike(numbers, positions, k, tolerance)), -radii[k]))
    first = order[0]
    axis = positions[first] / radii[first]
    for second in order[1:]:
        if np.linalg.norm(np.cross(positions[second], axis)) > 0.3:
            return first, second
    # All but collinear: the atom farthest from the first one's axis.
    return first, int(np.argmax(np.linalg.norm(np.cross(positions, axis), axis=1)))


def _angle_gap(positions: np.ndarray, a: int, b: int, i: int, j: int) -> float:
    return float(np.linalg.norm(positions[a] - positions[b]) - np.linalg.norm(positions[i] - positions[j]))


def _superpose(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The proper rotation R about the origin that brings ``source`` closest to ``target`` (R @ source[k])."""
    u, _, vt = np.linalg.svd(target.T @ source)
    correction = np.diag([1.0, 1.0, float(np.sign(np.linalg.det(u @ vt)))])
    found: np.ndarray = np.asarray(u @ correction @ vt)
    return found


def _match(numbers: np.ndarray, positions: np.ndarray, moved: np.ndarray, tolerance: float) -> np.ndarray | None:
    """For each moved atom the atom it falls on, or None if some atom falls on nothing or two on one."""
    distances = np.linalg.norm(moved[:, None] - positions[None], axis=2)
    distances[numbers[:, None] != numbers[None]] = np.inf
    images = distances.argmin(axis=1)
    if distances[np.arange(len(numbers)), images].max() > tolerance or len(set(images.tolist())) != len(numbers):
        return None
    found: np.ndarray = np.asarray(images)
    return found


def _maps_onto_itself(numbers: np.ndarray, positions: np.ndarray, moved: np.ndarray, tolerance: float) -> bool:
    return _match(numbers, positions, moved, tolerance) is not None
