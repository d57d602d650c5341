"""Symmetry numbers, normal modes of springs, and thermochemistry against the textbook's formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ase import Atoms
from simdeck_molecule import normal_modes
from simdeck_molecule.library import library_atoms
from simdeck_molecule.symmetry import geometry, is_linear, symmetry_number
from simdeck_molecule.thermochemistry import thermochemistry

# CODATA 2018, SI.
PLANCK, BOLTZMANN, LIGHT, DALTON, EV = 6.62607015e-34, 1.380649e-23, 299792458.0, 1.66053906660e-27, 1.602176634e-19


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("H2O", 2), ("NH3", 3), ("CH4", 12), ("C6H6", 12), ("C2H4", 4), ("C2H6", 6), ("CH3Cl", 3), ("SiF4", 12),
        ("BF3", 6), ("CO2", 2), ("HCl", 1), ("N2", 2), ("HCN", 1), ("C2H2", 2), ("H2O2", 2), ("CH3OH", 1), ("O3", 2),
        ("C3H4_D2d", 4), ("cyclobutane", 4), ("C3H6_D3h", 6), ("C60", 60), ("He", 1),
    ],
)  # fmt: skip
def test_the_symmetry_number_is_that_of_the_point_group(name: str, number: int) -> None:
    atoms = Atoms("He") if name == "He" else library_atoms(name)
    assert symmetry_number(atoms) == number


def test_a_slightly_bent_out_symmetry_is_still_found() -> None:
    methane = library_atoms("CH4")
    methane.rattle(0.01, seed=3)  # Å
    assert symmetry_number(methane) == 12


def test_linear_bent_and_monatomic_are_told_apart() -> None:
    assert [geometry(library_atoms(name)) for name in ("CO2", "H2O", "H2", "HCN", "C2H2")] == [
        "linear", "nonlinear", "linear", "linear", "linear",
    ]  # fmt: skip
    assert geometry(Atoms("Ar")) == "monatomic"
    assert not is_linear(Atoms("Ar"))


def test_a_spring_between_two_atoms_vibrates_at_its_textbook_frequency() -> None:
    stiffness = 30.0  # eV/Å²
    atoms = Atoms("CO", positions=[[0, 0, 0], [0.3, 0.5, 0.9]])
    axis = atoms.positions[1] / np.linalg.norm(atoms.positions[1])
    block = stiffness * np.outer(axis, axis)
    found = normal_modes.analyse(atoms, np.block([[block, -block], [-block, block]]), np.zeros((6, 3)))
    reduced = 12.011 * 15.999 / (12.011 + 15.999)
    expected = math.sqrt(stiffness * EV * 1e20 / (reduced * DALTON)) / (2 * math.pi * LIGHT * 100)
    assert found.frequencies == pytest.approx([expected], rel=1e-6)  # cm⁻¹
    # Of the mode of unit Cartesian norm, as is usual for polyatomic molecules.
    assert found.reduced_masses == pytest.approx([28.010 * 12.011 * 15.999 / (12.011**2 + 15.999**2)], rel=1e-4)  # u
    assert found.residue == pytest.approx(0, abs=1e-3)


def test_unit_charges_on_a_spring_absorb_as_the_double_harmonic_formula_says() -> None:
    # Charges of +1 and −1 e: dμ/dQ = 1/√(reduced mass) in e/√u, and 974.88 km/mol for 1 e²/u.
    atoms = Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.4]])
    block = np.diag([0.0, 0.0, 5.0])
    charges = np.vstack([np.eye(3), -np.eye(3)])
    found = normal_modes.analyse(atoms, np.block([[block, -block], [-block, block]]), charges)
    masses = atoms.get_masses()
    assert found.intensities == pytest.approx([974.8801 * (1 / masses[0] + 1 / masses[1])], rel=1e-4)  # km/mol


@pytest.mark.parametrize(("name", "modes"), [("H2O", 3), ("CO2", 4), ("H2", 1), ("C6H6", 30), ("C2H2", 7)])
def test_a_molecule_has_three_n_minus_six_or_five_modes(name: str, modes: int) -> None:
    atoms = library_atoms(name)
    external, internal = normal_modes.external_and_internal(atoms)
    assert internal.shape == (3 * len(atoms), modes)
    both = np.hstack([external, internal])
    assert both.T @ both == pytest.approx(np.eye(3 * len(atoms)), abs=1e-10)


def _translational_entropy(mass: float, temperature: float, pressure: float) -> float:
    """Sackur and Tetrode: J/K per molecule; mass in u, temperature in K, pressure in Pa."""
    wave = PLANCK / math.sqrt(2 * math.pi * mass * DALTON * BOLTZMANN * temperature)
    return BOLTZMANN * (math.log(BOLTZMANN * temperature / pressure / wave**3) + 2.5)


def test_argons_entropy_is_sackur_and_tetrodes() -> None:
    found = thermochemistry(Atoms("Ar"), energy=-1.0, frequencies=[], multiplicity=1, temperature=298.15, pressure=1e5)
    assert found["entropy"] == pytest.approx(_translational_entropy(39.95, 298.15, 1e5) / EV, rel=1e-4)  # eV/K
    assert found["entropy"] * 96485.33 == pytest.approx(154.85, abs=0.05)  # J/(mol K), measured
    assert found["enthalpy"] == pytest.approx(-1.0 + 2.5 * BOLTZMANN * 298.15 / EV, abs=1e-7)  # eV


def test_waters_thermochemistry_is_the_rigid_rotors_and_harmonic_oscillators() -> None:
    water, frequencies, temperature, pressure = library_atoms("H2O"), [1539.0, 3642.0, 3651.0], 400.0, 2e5
    found = thermochemistry(
        water, energy=-137.9, frequencies=frequencies, multiplicity=1, temperature=temperature, pressure=pressure
    )
    masses = np.array([15.999, 1.008, 1.008])
    centred = water.positions - masses @ water.positions / masses.sum()
    inertia = sum(m * (r @ r * np.eye(3) - np.outer(r, r)) for m, r in zip(masses, centred, strict=True))
    moments = np.linalg.eigvalsh(inertia) * DALTON * 1e-20  # kg m²
    rotor = np.prod(np.sqrt(8 * math.pi**2 * moments * BOLTZMANN * temperature / PLANCK**2)) * math.sqrt(math.pi) / 2
    quanta = [PLANCK * LIGHT * 100 * f for f in frequencies]
    ratios = [q / (BOLTZMANN * temperature) for q in quanta]
    vibration = sum(x / math.expm1(x) - math.log(-math.expm1(-x)) for x in ratios)
    entropy = _translational_entropy(18.015, temperature, pressure) + BOLTZMANN * (math.log(rotor) + 1.5 + vibration)
    heat = 4 * BOLTZMANN * temperature + sum(q / 2 + q / math.expm1(x) for q, x in zip(quanta, ratios, strict=True))
    assert found["symmetry_number"] == 2
    assert found["zero_point_energy"] == pytest.approx(sum(quanta) / 2 / EV, abs=1e-7)  # eV
    assert found["entropy"] == pytest.approx(entropy / EV, rel=1e-5)  # eV/K
    assert found["enthalpy"] == pytest.approx(-137.9 + heat / EV, abs=1e-6)  # eV
    assert found["gibbs_energy"] == pytest.approx(-137.9 + (heat - temperature * entropy) / EV, abs=1e-5)  # eV


def test_a_doublet_gains_the_entropy_of_two_spin_states() -> None:
    common = {"energy": 0.0, "frequencies": [3500.0], "temperature": 298.15, "pressure": 1e5}
    singlet, doublet = (thermochemistry(library_atoms("OH"), multiplicity=m, **common) for m in (1, 2))
    gained = (doublet["entropy"] - singlet["entropy"]) * EV / BOLTZMANN
    assert gained == pytest.approx(math.log(2), rel=1e-5)


def test_imaginary_modes_are_left_out_and_said() -> None:
    found = thermochemistry(
        library_atoms("NH3"), energy=0.0, frequencies=[-600.0, 1500.0, 1500.0, 3400.0, 3500.0, 3500.0], multiplicity=1,
        temperature=298.15, pressure=1e5,
    )  # fmt: skip
    assert found["imaginary_modes"] == 1
    assert "600i cm⁻¹" in found["notes"][0]
    assert "not a minimum" in found["notes"][0]


def test_soft_modes_are_said() -> None:
    found = thermochemistry(
        library_atoms("H2O"), energy=0.0, frequencies=[20.0, 3600.0, 3700.0], multiplicity=1, temperature=298.15,
        pressure=1e5,
    )  # fmt: skip
    assert "1 soft mode below 50 cm⁻¹" in found["notes"][0]
