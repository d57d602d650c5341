"""Thermochemistry of an ideal gas of rigid rotors and harmonic oscillators, by ASE.

A pure function; the backend runs it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms, units
from ase.thermochemistry import IdealGasThermo

from simdeck_molecule.symmetry import geometry, symmetry_number

SOFT_MODE = 50.0
"""cm⁻¹ below which a harmonic oscillator's entropy is doubtful."""

_CM = units._c * 100 * units._hplanck / units._e  # eV per cm⁻¹


def thermochemistry(
    atoms: Atoms,
    *,
    energy: float,
    frequencies: list[float],
    multiplicity: int,
    temperature: float,
    pressure: float,
    symmetry: int = 0,
) -> dict[str, Any]:
    """Compute ZPE, U, H, S and G.

    Parameters
    ----------
    energy
        Electronic energy in eV; ``frequencies`` of all internal modes in cm⁻¹, imaginary ones negative;
        ``temperature`` in K, ``pressure`` in Pa, ``symmetry`` the rotational symmetry number (0: detect).

    Returns
    -------
    dict
        Energies in eV, ``entropy`` in eV/K, and what was assumed. Imaginary modes are left out, and ``notes`` says so.
    """
    shape = geometry(atoms)
    sigma = symmetry or symmetry_number(atoms)
    real = [f for f in frequencies if f > 0]
    notes: list[str] = []
    imaginary = [f for f in frequencies if f <= 0]
    if imaginary:
        plural = "frequencies" if len(imaginary) > 1 else "frequency"
        notes.append(
            f"{len(imaginary)} imaginary {plural} ({', '.join(f'{abs(f):.0f}i cm⁻¹' for f in imaginary)}): this "
            "geometry is not a minimum. The thermochemistry leaves imaginary modes out and is not that of a stable "
            "molecule."
        )
    soft = [f for f in real if f < SOFT_MODE]
    if soft:
        plural = "modes" if len(soft) > 1 else "mode"
        notes.append(
            f"{len(soft)} soft {plural} below {SOFT_MODE:.0f} cm⁻¹: treated as harmonic, which overestimates the "
            "entropy and makes G uncertain."
        )
    gas = IdealGasThermo(
        vib_energies=[f * _CM for f in real],
        geometry=shape,
        potentialenergy=energy,
        atoms=atoms,
        symmetrynumber=sigma,
        spin=(multiplicity - 1) / 2,
        vib_selection="all",
    )
    zpe = float(np.sum(real)) * _CM / 2
    internal = float(gas.get_internal_energy(temperature, verbose=False))
    enthalpy = float(gas.get_enthalpy(temperature, verbose=False))
    entropy = float(gas.get_entropy(temperature, pressure, verbose=False))
    return {
        "temperature": temperature,
        "pressure": pressure,
        "geometry": shape,
        "symmetry_number": sigma,
        "multiplicity": multiplicity,
        "electronic_energy": energy,
        "zero_point_energy": zpe,
        "internal_energy": internal,
        "enthalpy": enthalpy,
        "entropy": entropy,
        "gibbs_energy": enthalpy - temperature * entropy,
        "imaginary_modes": len(imaginary),
        "notes": notes,
        "units": {
            "temperature": "K",
            "pressure": "Pa",
            "electronic_energy": "eV",
            "zero_point_energy": "eV",
            "internal_energy": "eV",
            "enthalpy": "eV",
            "entropy": "eV/K",
            "gibbs_energy": "eV",
        },
    }
