"""What people read about the workflow's inputs and outputs: titles, units, limits, help.

Plain data; forms and docs are made of it.
"""

from __future__ import annotations

from typing import Any

from simdeck_molecule import limits

OPTIMIZE: dict[str, Any] = {
    "title": "Optimise a molecule",
    "summary": "Geometry optimisation, vibrational frequencies, IR spectrum and thermochemistry with GFN2-xTB.",
    "cures": {
        # The geometry had not converged by the last step that was allowed.
        420: [{"title": "Four times as many steps", "scale": {"max_steps": 4}}],
    },
    "inputs": {
        "structure": {
            "title": "Structure",
            "help": f"One molecule in vacuum, at most {limits.MAX_ATOMS} atoms ({limits.MAX_ATOMS_FREQUENCIES} with "
            "frequencies), hydrogen to radon; for example an XYZ or SDF file.",
        },
        "charge": {
            "title": "Total charge",
            "unit": "e",
            "minimum": limits.MIN_CHARGE,
            "maximum": limits.MAX_CHARGE,
            "help": "Charge of the whole molecule: 0 for a neutral one, 1 for ammonium, −1 for chloride.",
        },
        "multiplicity": {
            "title": "Spin multiplicity",
            "minimum": 0,
            "maximum": limits.MAX_MULTIPLICITY,
            "help": "Number of unpaired electrons plus one: 1 singlet, 2 doublet, 3 triplet. 0 takes the lowest that "
            "fits. Oxygen (O₂) is a triplet and needs 3.",
        },
        "method": {
            "title": "Method",
            "enum": list(limits.METHODS),
            "help": "GFN2-xTB is the best general choice; GFN1-xTB is its predecessor; IPEA1-xTB is fitted to "
            "ionisation potentials and electron affinities.",
        },
        "fmax": {
            "title": "Force threshold",
            "unit": "eV/Å",
            "minimum": limits.MIN_FMAX,
            "maximum": limits.MAX_FMAX,
            "help": "The geometry is converged when no atom feels a larger force. Frequencies need 0.01 or less.",
        },
        "max_steps": {
            "title": "Most optimisation steps",
            "minimum": limits.MIN_STEPS,
            "maximum": limits.MAX_STEPS,
            "help": "The run fails, and keeps the last geometry, if it has not converged by then.",
        },
        "frequencies": {
            "title": "Frequencies and thermochemistry",
            "help": "Compute normal modes, the IR spectrum and the thermochemistry: six further calculations per atom.",
        },
        "temperature": {
            "title": "Temperature",
            "unit": "K",
            "minimum": limits.MIN_TEMPERATURE,
            "maximum": limits.MAX_TEMPERATURE,
            "help": "For the thermochemistry.",
        },
        "pressure": {
            "title": "Pressure",
            "unit": "Pa",
            "minimum": limits.MIN_PRESSURE,
            "maximum": limits.MAX_PRESSURE,
            "help": "For the thermochemistry; one atmosphere is 101325 Pa, one bar 100000 Pa.",
        },
        "symmetry_number": {
            "title": "Rotational symmetry number",
            "minimum": 0,
            "maximum": limits.MAX_SYMMETRY_NUMBER,
            "help": "Number of rotations that leave the molecule unchanged (water 2, ammonia 3, methane 12). 0 "
            "detects it from the optimised geometry.",
        },
        "line_width": {
            "title": "Line width of the spectrum",
            "unit": "cm⁻¹",
            "minimum": limits.MIN_FWHM,
            "maximum": limits.MAX_FWHM,
            "help": "Full width at half maximum of the Lorentzian lines.",
        },
    },
    "outputs": {
        "structure": {"title": "Optimised structure", "unit": "Å"},
        "trajectory": {
            "title": "Optimisation trajectory",
            "help": "Positions (Å), energies (eV) and largest forces (eV/Å) by step.",
        },
        "energy": {"title": "Total energy", "unit": "eV"},
        "dipole": {"title": "Dipole moment", "unit": "D", "help": "About the centre of mass."},
        "properties": {"title": "Charges, dipole vector, convergence"},
        "frequencies": {
            "title": "Vibrational frequencies and IR intensities",
            "unit": "cm⁻¹",
            "help": "Imaginary frequencies are negative numbers. Intensities in km/mol.",
        },
        "modes": {"title": "Normal modes", "help": "Cartesian displacements of unit norm: (mode, atom, xyz)."},
        "spectrum": {"title": "IR spectrum", "help": "Wavenumbers (cm⁻¹) and absorption (km/mol per cm⁻¹)."},
        "thermochemistry": {
            "title": "Thermochemistry",
            "help": "Ideal gas of rigid rotors and harmonic oscillators. Energies in eV, entropy in eV/K.",
        },
        "zero_point_energy": {"title": "Zero-point energy", "unit": "eV"},
        "gibbs_energy": {
            "title": "Gibbs energy",
            "unit": "eV",
            "help": "At the temperature and pressure of the inputs.",
        },
    },
    "headline": ["energy", "dipole", "zero_point_energy", "gibbs_energy"],
}
