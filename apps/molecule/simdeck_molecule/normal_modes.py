"""Normal modes and IR intensities from a Hessian and dipole derivatives. Pure functions, no calculator.

Translations and rotations are projected out before the diagonalisation: the mass-weighted Hessian is expressed in an
orthonormal basis of the internal space, so exactly 3N − 6 modes come out (3N − 5 of a linear molecule, none of an
atom), and residual forces do not mix rotations into soft modes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms, units

from simdeck_molecule.symmetry import is_linear

# sqrt(eV / (Å² amu)) as a wavenumber in cm⁻¹, and (D/Å)²/amu as an integrated absorption in km/mol.
EIGENVALUE_TO_CM = float(np.sqrt(units._e * 1e20 / units._amu) / (2 * np.pi * units._c * 100))
# A = N_A / (12 ε0 c²) (dμ/dQ)²: 42.256 km/mol for 1 (D/Å)²/u.
DEBYE2_TO_KM_MOL = float(
    units._Nav / (12 * units._eps0 * units._c**2) * (units.Debye * units._e) ** 2 / units._amu * 1e-3
)


@dataclass(frozen=True)
class NormalModes:
    """Internal vibrations, softest first.

    ``frequencies`` (M,) in cm⁻¹, an imaginary one as a negative number; ``intensities`` (M,) in km/mol; ``modes`` (M,
    N, 3) Cartesian displacements of unit norm; ``reduced_masses`` (M,) in u; ``residue`` the largest |wavenumber| in
    cm⁻¹ that the projection took out (a measure of numerical quality, 0 would be perfect).
    """

    frequencies: np.ndarray
    intensities: np.ndarray
    modes: np.ndarray
    reduced_masses: np.ndarray
    residue: float


def analyse(atoms: Atoms, hessian: np.ndarray, dipole_derivatives: np.ndarray) -> NormalModes:
    """Diagonalise.

    Parameters
    ----------
    hessian
        (3N, 3N) in eV/Å², symmetric.
    dipole_derivatives
        (3N, 3) in e (that is e·Å per Å).
    """
    masses = atoms.get_masses()
    root: np.ndarray = np.repeat(np.sqrt(masses), 3)
    weighted = hessian / np.outer(root, root)
    external, internal = external_and_internal(atoms)
    values, vectors = np.linalg.eigh(internal.T @ weighted @ internal)
    weighted_modes = (internal @ vectors).T
    cartesian = weighted_modes / root
    norms = np.linalg.norm(cartesian, axis=1)
    # (e·Å/Å)/sqrt(u) → (D/Å)/sqrt(u)
    gradients = cartesian @ dipole_derivatives / units.Debye
    taken_out = np.linalg.eigvalsh(external.T @ weighted @ external)
    return NormalModes(
        frequencies=_wavenumbers(values),
        intensities=DEBYE2_TO_KM_MOL * (gradients**2).sum(axis=1),
        modes=(cartesian / norms[:, None]).reshape(len(values), len(atoms), 3),
        reduced_masses=norms**-2,
        residue=float(np.abs(_wavenumbers(taken_out)).max()),
    )


def _wavenumbers(values: np.ndarray) -> np.ndarray:
    """Eigenvalues in eV/(Å² u) to cm⁻¹, negative for imaginary."""
    found: np.ndarray = np.asarray(np.sign(values) * np.sqrt(np.abs(values)) * EIGENVALUE_TO_CM)
    return found


def external_and_internal(atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal mass-weighted bases: translations and rotations (3N, 6, 5 or 3), and everything else."""
    root = np.sqrt(atoms.get_masses())
    centred = atoms.positions - atoms.get_center_of_mass()
    columns = [np.outer(root, axis).ravel() for axis in np.eye(3)]
    if len(atoms) > 1:
        axes = np.linalg.svd(centred * root[:, None], full_matrices=False)[2]
        # The first axis is the one most mass lies along: that of a linear molecule, around which nothing turns.
        turning = _complete(axes)[1:] if is_linear(atoms) else np.eye(3)
        columns += [(root[:, None] * np.cross(axis, centred)).ravel() for axis in turning]
    external = np.array(columns).T
    full = np.linalg.svd(external, full_matrices=True)[0]
    count = external.shape[1]
    return full[:, :count], full[:, count:]


def _complete(axes: np.ndarray) -> np.ndarray:
    """Three orthonormal rows that begin with the first of ``axes``."""
    found: np.ndarray = np.asarray(np.linalg.svd(axes[:1], full_matrices=True)[2])
    return found


def spectrum(frequencies: np.ndarray, intensities: np.ndarray, fwhm: float) -> tuple[np.ndarray, np.ndarray]:
    """The IR spectrum: Lorentzian lines of unit area times the intensities; imaginary modes are left out.

    Returns wavenumbers (K,) in cm⁻¹ and absorption (K,) in km/mol per cm⁻¹, whose integral is the sum of the
    intensities.
    """
    real = frequencies > 0
    top = max(4000.0, float(frequencies.max(initial=0.0)) + 200.0)
    grid = np.linspace(0.0, top, int(np.ceil(top / max(fwhm / 8, 0.25))) + 1)
    half = fwhm / 2
    lines = (half / np.pi) / ((grid[:, None] - frequencies[real][None]) ** 2 + half**2)
    return grid, lines @ intensities[real]
