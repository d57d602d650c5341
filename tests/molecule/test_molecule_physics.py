"""The engine's numbers against an independent calculation with tblite's own interface, and against known values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from molecule_cases import AMMONIUM, case, run_app_side

HARTREE = 27.211386245988  # eV


def _turned(original: dict[str, Any]) -> dict[str, Any]:
    """The same molecule, turned about an odd axis and moved away from the origin (Å)."""
    axis = np.array([1.0, 2.0, -0.5]) / np.linalg.norm([1.0, 2.0, -0.5])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + math.sin(0.7) * cross + (1 - math.cos(0.7)) * cross @ cross
    return {**original, "positions": (np.array(original["positions"]) @ rotation.T + [3.0, -7.0, 11.0]).tolist()}


CASES: dict[str, dict[str, Any]] = {
    "water": case("H2O"),
    "carbon dioxide": case("CO2"),
    "hydrogen": case("H2"),
    "hydroxyl": case("OH", multiplicity=2),
    "ammonium": AMMONIUM,
}


@pytest.fixture(scope="module")
def engine(app_python: Path, app_env: dict[str, str]) -> dict[str, Any]:
    cases = {name: {**value, "fmax": 0.001} for name, value in CASES.items()}
    cases["turned water"] = _turned(cases["water"])
    cases["turned ammonium"] = _turned(cases["ammonium"])
    cases["helium"] = {"numbers": [2], "positions": [[0, 0, 0]]}
    cases["flat ammonia"] = {
        "numbers": [7, 1, 1, 1],
        "positions": [[0, 0, 0], [1.0, 0, 0], [-0.5, 0.8660254, 0], [-0.5, -0.8660254, 0]],
    }
    cases["impatient water"] = {**cases["water"], "max_steps": 1}
    cases["scandium by IPEA1"] = {"numbers": [21], "positions": [[0, 0, 0]], "multiplicity": 2, "method": "IPEA1-xTB"}
    return run_app_side(app_python, app_env, "engine", cases)


@pytest.fixture(scope="module")
def independent(app_python: Path, app_env: dict[str, str]) -> dict[str, Any]:
    return run_app_side(app_python, app_env, "independent", CASES)


def _distance(positions: list[list[float]], i: int, j: int) -> float:
    return float(np.linalg.norm(np.array(positions[i]) - np.array(positions[j])))


def _angle(positions: list[list[float]], i: int, apex: int, j: int) -> float:
    a, b = (np.array(positions[k]) - np.array(positions[apex]) for k in (i, j))
    return math.degrees(math.acos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))


def test_waters_bond_length_agrees_with_an_independent_optimisation(
    engine: dict[str, Any], independent: dict[str, Any]
) -> None:
    ours = _distance(engine["water"]["optimise"]["positions"], 0, 1)
    assert ours == pytest.approx(_distance(independent["water"]["positions"], 0, 1), abs=1e-4)  # Å
    assert ours == pytest.approx(0.959, abs=0.002)  # Å, GFN2-xTB


def test_waters_angle_agrees_with_an_independent_optimisation(
    engine: dict[str, Any], independent: dict[str, Any]
) -> None:
    ours = _angle(engine["water"]["optimise"]["positions"], 1, 0, 2)
    assert ours == pytest.approx(_angle(independent["water"]["positions"], 1, 0, 2), abs=0.05)  # degrees
    assert ours == pytest.approx(107.2, abs=0.2)  # degrees, GFN2-xTB


@pytest.mark.parametrize("name", CASES)
def test_the_energy_agrees_with_an_independent_optimisation(
    name: str, engine: dict[str, Any], independent: dict[str, Any]
) -> None:
    assert engine[name]["optimise"]["energy"] == pytest.approx(independent[name]["energy"], abs=1e-5)  # eV


def test_waters_energy_is_the_one_the_xtb_program_gives(engine: dict[str, Any]) -> None:
    assert engine["water"]["optimise"]["energy"] / HARTREE == pytest.approx(-5.070544, abs=2e-6)  # Eh


@pytest.mark.parametrize(("name", "modes"), [("water", 3), ("carbon dioxide", 4), ("hydrogen", 1), ("ammonium", 9)])
def test_frequencies_and_intensities_agree_with_an_independent_hessian(
    name: str, modes: int, engine: dict[str, Any], independent: dict[str, Any]
) -> None:
    ours, theirs = engine[name]["vibrations"], independent[name]
    assert len(ours["frequencies"]) == modes
    assert ours["frequencies"] == pytest.approx(theirs["frequencies"][-modes:], abs=2.0)  # cm⁻¹
    # Degenerate modes may mix in any way; their sum does not.
    assert sum(ours["intensities"]) == pytest.approx(sum(theirs["intensities"][-modes:]), rel=0.01, abs=0.1)  # km/mol


def test_waters_intensities_agree_mode_by_mode(engine: dict[str, Any], independent: dict[str, Any]) -> None:
    ours = engine["water"]["vibrations"]["intensities"]
    assert ours == pytest.approx(independent["water"]["intensities"][-3:], rel=0.02, abs=0.1)  # km/mol


def test_carbon_dioxides_bend_is_degenerate_and_its_symmetric_stretch_is_silent(engine: dict[str, Any]) -> None:
    found = engine["carbon dioxide"]["vibrations"]
    bend, other_bend, symmetric, _ = found["frequencies"]
    assert bend == pytest.approx(other_bend, abs=0.5)  # cm⁻¹
    assert symmetric > 1000  # cm⁻¹
    assert found["intensities"][2] == pytest.approx(0, abs=0.01)  # km/mol
    assert min(found["intensities"][0], found["intensities"][1], found["intensities"][3]) > 10  # km/mol


def test_hydrogens_only_mode_is_silent(engine: dict[str, Any]) -> None:
    assert engine["hydrogen"]["vibrations"]["intensities"] == pytest.approx([0], abs=0.01)  # km/mol


def test_the_hydroxyl_radical_is_computed_as_a_doublet(engine: dict[str, Any], independent: dict[str, Any]) -> None:
    ours, theirs = engine["hydroxyl"], independent["hydroxyl"]
    length = _distance(ours["optimise"]["positions"], 0, 1)
    assert length == pytest.approx(_distance(theirs["positions"], 0, 1), abs=2e-4)  # Å
    assert ours["vibrations"]["frequencies"] == pytest.approx(theirs["frequencies"][-1:], abs=5.0)  # cm⁻¹


def test_ammonium_is_a_tetrahedron_whose_charges_sum_to_one(engine: dict[str, Any]) -> None:
    found = engine["ammonium"]["optimise"]
    angles = [_angle(found["positions"], i, 0, j) for i in range(1, 5) for j in range(i + 1, 5)]
    assert angles == pytest.approx([109.4712] * 6, abs=0.1)  # degrees
    assert sum(found["charges"]) == pytest.approx(1, abs=1e-6)  # e
    assert found["dipole"] == pytest.approx([0, 0, 0], abs=1e-3)  # e·Å about the centre of mass


@pytest.mark.parametrize("name", ["water", "ammonium"])
def test_turning_and_moving_the_molecule_changes_nothing(name: str, engine: dict[str, Any]) -> None:
    before, after = engine[name], engine[f"turned {name}"]
    assert after["optimise"]["energy"] == pytest.approx(before["optimise"]["energy"], abs=1e-6)  # eV
    assert after["vibrations"]["frequencies"] == pytest.approx(before["vibrations"]["frequencies"], abs=1.0)  # cm⁻¹
    assert np.linalg.norm(after["optimise"]["dipole"]) == pytest.approx(
        np.linalg.norm(before["optimise"]["dipole"]), abs=1e-3
    )  # e·Å
    total = sum(before["vibrations"]["intensities"])
    assert sum(after["vibrations"]["intensities"]) == pytest.approx(total, rel=0.01)  # km/mol


def test_a_single_atom_has_no_modes(engine: dict[str, Any]) -> None:
    assert engine["helium"]["optimise"]["steps"] == 0
    assert engine["helium"]["vibrations"]["frequencies"] == []
    assert engine["helium"]["vibrations"]["modes"] == []


def test_a_saddle_point_is_reported_as_an_imaginary_frequency(engine: dict[str, Any]) -> None:
    frequencies = engine["flat ammonia"]["vibrations"]["frequencies"]
    assert [f < 0 for f in frequencies] == [True, False, False, False, False, False]
    assert frequencies[0] < -300  # cm⁻¹: the umbrella mode


def test_an_optimisation_out_of_steps_says_so(engine: dict[str, Any]) -> None:
    error = engine["impatient water"]["error"]
    assert error["code"] == "geometry-not-converged"
    assert "did not converge in 1 step:" in error["message"]
    assert "vibrations" not in engine["impatient water"]


def test_a_wavefunction_that_does_not_converge_says_so(engine: dict[str, Any]) -> None:
    error = engine["scandium by IPEA1"]["error"]
    assert error["code"] == "scf-not-converged"
    assert "did not become self-consistent" in error["message"]


def test_the_spectrums_area_is_the_sum_of_the_intensities(engine: dict[str, Any]) -> None:
    found = engine["water"]["vibrations"]
    spectrum = found["spectrum"]
    area = np.trapezoid(spectrum["absorption"], spectrum["wavenumbers"])
    assert area == pytest.approx(sum(found["intensities"]), rel=0.02)  # km/mol


def test_the_modes_neither_move_nor_turn_the_molecule(engine: dict[str, Any]) -> None:
    masses = np.array([15.999, 1.008, 1.008])
    centred = np.array(engine["water"]["optimise"]["positions"])
    centred -= masses @ centred / masses.sum()
    for mode in np.array(engine["water"]["vibrations"]["modes"]):
        assert masses @ mode == pytest.approx(np.zeros(3), abs=1e-6)
        assert (masses[:, None] * np.cross(centred, mode)).sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-6)


def test_valence_electrons_are_counted_as_tblite_counts_them(app_python: Path, app_env: dict[str, str]) -> None:
    from simdeck_molecule.electrons import valence_electrons

    theirs = run_app_side(app_python, app_env, "valence", {"all": {}})["all"]
    assert {int(z): count for z, count in theirs.items()} == {z: valence_electrons(z) for z in range(1, 87)}
