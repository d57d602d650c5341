"""What people read about the workflow's inputs and outputs; the form, the API and the command line are made of it."""

from __future__ import annotations

from typing import Any, Final

from simdeck_quantum_espresso import limits

CALMER: Final[dict[str, Any]] = {
    "title": "Calmer: mixing 0.1, 200 iterations",
    "inputs": {"mixing": 0.1, "scf_steps": 200},
}
WIDER: Final[dict[str, Any]] = {
    "title": "Wider smearing: 0.3 eV",
    "inputs": {"occupations": "smearing", "width": 0.3},
}

PROPERTIES: Final[dict[str, Any]] = {
    # The self-consistent field had not converged.
    "cures": {410: [CALMER, WIDER]},
    "title": "Crystal: bands and density of states",
    "summary": "Relax a crystal and compute its band structure, density of states and phonons at Γ with Quantum "
    "ESPRESSO.",
    "inputs": {
        "structure": {
            "title": "Crystal",
            "help": f"A structure that is periodic in all directions, up to {limits.MAX_ATOMS} atoms; for "
            f"example a CIF or "
            "POSCAR file.",
        },
        "protocol": {
            "title": "Protocol",
            "enum": list(limits.PROTOCOLS),
            "help": "Fast to try things out, balanced for most work, precise for numbers to publish. It sets cutoffs, "
            "k-points and thresholds.",
        },
        "functional": {
            "title": "Functional",
            "enum": list(limits.FUNCTIONALS),
            "help": "PBE is the usual choice, PBEsol gives better lattice constants of solids, LDA is the "
            "oldest. There must "
            "be a pseudopotential of it for each element.",
        },
        "family": {
            "title": "Pseudopotential family",
            "maxLength": 100,
            "help": "One of the families that the site offers, with its recommended cutoffs. Empty takes the best file "
            "of each element.",
        },
        "relax": {
            "title": "Relax first",
            "enum": list(limits.RELAXATIONS),
            "labels": ["Nothing", "Positions", "Positions and cell"],
            "help": "Move the atoms, or atoms and cell, to the lowest energy before anything else is computed.",
        },
        "bands": {
            "title": "Band structure",
            "help": "Along the path through the corners of the Brillouin zone (SeeK-path).",
        },
        "dos": {"title": "Density of states", "help": "In total, and projected on the shells of each element."},
        "phonons": {
            "title": "Phonons at Γ",
            "help": "Vibrations of the cell by perturbation theory (ph.x); takes longer than all else.",
        },
        "magnetism": {
            "title": "Magnetism",
            "enum": list(limits.MAGNETISM),
            "labels": ["None", "Ferromagnetic"],
            "help": "Ferromagnetic lets the electrons of spin up and down differ (collinear).",
        },
        "moment": {
            "title": "Starting moment",
            "unit": "μB",
            "minimum": -limits.MAX_MOMENT,
            "maximum": limits.MAX_MOMENT,
            "help": "Of each atom, at the start; the calculation finds the real one. 0 takes a usual one for "
            "each element.",
        },
        "occupations": {
            "title": "Occupations",
            "enum": list(limits.OCCUPATIONS),
            "labels": ["Smearing", "Fixed (insulators only)"],
            "help": "Smearing suits metals and insulators. Fixed is exact for insulators and fails for metals.",
        },
        "smearing": {
            "title": "Smearing",
            "enum": list(limits.SMEARINGS),
            "help": "How the occupation falls from one to zero at the Fermi level. Cold (Marzari–Vanderbilt) "
            "changes energies least.",
        },
        "width": {
            "title": "Width of the smearing",
            "unit": "eV",
            "minimum": 0,
            "maximum": limits.MAX_WIDTH,
            "help": "0 takes the protocol's. Wider converges more easily and is less exact.",
        },
        "k_spacing": {
            "title": "Distance between k-points",
            "unit": "1/Å",
            "minimum": 0,
            "maximum": limits.MAX_SPACING,
            "help": "At most this far apart. 0 takes the protocol's.",
        },
        "cutoff": {
            "title": "Cutoff of the wavefunctions",
            "unit": "Ry",
            "minimum": 0,
            "maximum": limits.MAX_CUTOFF,
            "help": "0 takes the largest that the elements' pseudopotentials ask for, times the protocol's factor.",
        },
        "density_cutoff": {
            "title": "Cutoff of the density",
            "unit": "Ry",
            "minimum": 0,
            "maximum": limits.MAX_DENSITY_CUTOFF,
            "help": "0 keeps the proportion that the pseudopotentials ask for.",
        },
        "mixing": {
            "title": "Mixing",
            "minimum": 0,
            "maximum": limits.MAX_MIXING,
            "help": "How much of the new density goes into the next iteration. 0 takes the protocol's 0.4; "
            "smaller is calmer.",
        },
        "scf_steps": {
            "title": "Most iterations",
            "minimum": limits.MIN_STEPS,
            "maximum": limits.MAX_STEPS,
            "help": "Of a self-consistent field, before it counts as not converged.",
        },
        "cores": {
            "title": "Cores",
            "minimum": 1,
            "maximum": limits.MAX_CORES,
            "help": "Of one machine, for each calculation (MPI).",
        },
        "walltime": {
            "title": "Time limit",
            "unit": "min",
            "minimum": 1,
            "maximum": limits.MAX_MINUTES,
            "help": "Of each calculation; one that needs longer is continued.",
        },
        "origin": {
            "title": "Where the structure comes from",
            "help": "Kept with the run and cited: `text` and `url` of a database's entry, and whatever else is known.",
        },
    },
    "outputs": {
        "structure": {"title": "Structure", "unit": "Å", "help": "The cell that the electronic properties belong to."},
        "energy": {"title": "Total energy", "unit": "eV"},
        "fermi_energy": {"title": "Fermi level", "unit": "eV"},
        "gap": {"title": "Band gap", "unit": "eV", "help": "Kohn–Sham gap on the path of the bands; none for a metal."},
        "moment": {"title": "Magnetic moment", "unit": "μB", "help": "Of the cell."},
        "properties": {"title": "Gap, edges, pressure, cutoffs, k-points, pseudopotentials"},
        "bands": {
            "title": "Band structure",
            "help": "Energies (eV) by spin, k-point and band; distance along the path (1/Å).",
        },
        "band_path": {"title": "Path of the bands", "help": "The path's corners, Fermi level and edges (eV)."},
        "dos": {
            "title": "Density of states",
            "help": "Energies (eV), total and by element and shell (states/eV), by spin.",
        },
        "forces": {"title": "Forces and stress", "help": "Forces in eV/Å, stress in GPa, after the relaxation."},
        "relaxation": {"title": "Relaxation", "help": "Positions (Å), cells (Å), energies (eV) by step."},
        "phonons": {"title": "Phonons at Γ", "unit": "cm⁻¹"},
    },
    "headline": ["energy", "gap", "fermi_energy", "moment"],
}
