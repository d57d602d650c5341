"""What the molecule page makes of a run's outputs, against a recorded real result and plain geometry."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "apps" / "molecule"))
from simdeck_molecule.ui import results, structures

ETHANOL = json.loads((Path(__file__).parent / "data" / "ethanol.json").read_text())
OUTPUTS = ETHANOL["outputs"]


def test_bonds_and_angles_of_water() -> None:
    # 0.9572 Å and 104.52°, the experimental geometry.
    positions = [[0.0, 0.0, 0.0], [0.9572, 0.0, 0.0], [-0.23999, 0.92663, 0.0]]
    rows = results.geometry_rows(["O", "H", "H"], positions)
    assert [(row["atoms"], row["value"]) for row in rows] == [
        ("O1–H2", "0.9572"), ("O1–H3", "0.9572"), ("H2–O1–H3", "104.52"),
    ]  # fmt: skip


def test_ethanol_has_eight_bonds_and_twenty_one_modes() -> None:
    structure = OUTPUTS["structure"]
    assert len(results.bonds(structure["symbols"], structure["positions"])) == 8
    assert len(results.mode_rows(OUTPUTS["frequencies"])) == 21


def test_an_imaginary_mode_is_marked() -> None:
    rows = results.mode_rows({"frequencies": [-512.34, 100.0], "intensities": [1.0, 2.0], "reduced_masses": [1.0, 1.0]})
    assert rows[0]["frequency"] == "512.3i"
    assert [row["frequency_flag"] for row in rows] == [True, False]
    assert results.warnings({"frequencies": {"imaginary": 1}})


def test_thermochemistry_is_given_per_molecule_and_per_mole() -> None:
    rows = results.thermochemistry_rows({"zero_point_energy": 1.0, "entropy": 0.001})
    assert rows[0]["molar"] == "96.5 kJ/mol"
    assert rows[1] == {"what": "Entropy S", "value": "1.0000 meV/K", "molar": "96.49 J/(mol·K)"}


def test_negative_numbers_are_shown_with_a_minus_sign() -> None:
    outputs = {"energy": -137.9765424, "gibbs_energy": -137.90861}
    assert [row["value"] for row in results.summary_rows(outputs)] == ["−137.976542", "−137.9086"]
    (energy,) = results.thermochemistry_rows({"enthalpy": -137.3261})
    assert (energy["value"], energy["molar"]) == ("−137.3261 eV", "−13\u202f250.0 kJ/mol")
    line, _ = results.step_line([{"stage": "optimise", "step": 3, "energy": -1.5}], "running")
    assert "E = −1.50000 eV" in line


def test_the_spectrum_runs_from_high_to_low_wavenumbers() -> None:
    figure = results.spectrum_figure(OUTPUTS["spectrum"], OUTPUTS["frequencies"])
    high, low = figure["layout"]["xaxis"]["range"]
    assert high >= 4000 > low == 0
    assert figure["layout"]["xaxis"]["title"]["text"] == "Wavenumber / cm⁻¹"
    assert "km/mol" in figure["layout"]["yaxis"]["title"]["text"]


def test_a_step_that_a_restart_repeats_counts_once() -> None:
    lines = [{"stage": "optimise", "step": s, "energy": -float(s)} for s in (0, 1, 2, 1, 2, 3)]
    assert results.energies(lines) == [(0, 0.0), (1, -1.0), (2, -2.0), (3, -3.0)]


def test_progress_only_goes_forward_through_a_real_run() -> None:
    done = [results.step_line(ETHANOL["progress"][: n + 1], "running")[1] for n in range(len(ETHANOL["progress"]))]
    shown = [fraction for fraction in done if fraction >= 0]
    assert shown == sorted(shown)
    assert shown[-1] == pytest.approx(1.0)


def test_a_runs_inputs_become_a_structure_in_either_form() -> None:
    found = structures.from_input({"symbols": ["H", "H"], "positions": [[0, 0, 0], [0, 0, 0.74]]})
    assert found is not None
    assert found.summary == "H2 · 2 atoms"
    assert structures.from_input({"nothing": 1}) is None
