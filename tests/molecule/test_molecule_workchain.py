"""The work chain in the backend's environment: its results, its refusals, its failures, and going on after a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.backend

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "apps" / "molecule"
UV = Path(sys.executable).with_name("uv")
SCRIPT = Path(__file__).with_name("molecule_backend_side.py")


@pytest.fixture(scope="module")
def wheel(backend_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app's wheel, built with the backend's hatchling."""
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", backend_python, "-o", out, APP],
        check=True,
    )
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def answers(
    wheel: Path, backend_python: Path, app_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    scratch, site = tmp_path_factory.mktemp("aiida"), tmp_path_factory.mktemp("site")
    subprocess.run(
        [UV, "pip", "install", "--quiet", "--no-deps", "--python", backend_python, "--target", site, wheel], check=True
    )
    path = os.pathsep.join([str(site), str(ROOT / "workflows")])
    done = subprocess.run(
        [backend_python, SCRIPT, scratch, site, app_python, path], text=True, capture_output=True, timeout=800
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.rsplit("ANSWERS", 1)[1])


def test_water_runs_to_the_end_with_every_output(answers: dict[str, Any]) -> None:
    run = answers["water"]
    assert run["exit"] == 0
    outputs = run["outputs"]
    assert outputs["energy"] == pytest.approx(-137.9765, abs=1e-3)  # eV
    assert outputs["dipole"] == pytest.approx(2.217, abs=0.01)  # D
    assert outputs["structure"] == "H2O"
    assert outputs["frequencies"]["frequencies"] == pytest.approx([1539, 3642, 3651], abs=5)  # cm⁻¹
    assert outputs["modes"] == {"displacements": [3, 3, 3]}
    assert outputs["trajectory"]["positions"][1:] == [3, 3]
    assert set(outputs["spectrum"]) == {"wavenumbers", "absorption"}
    assert outputs["thermochemistry"]["symmetry_number"] == 2
    assert outputs["thermochemistry"]["zero_point_energy"] == outputs["zero_point_energy"]
    assert outputs["gibbs_energy"] < outputs["energy"] + outputs["zero_point_energy"]


def test_without_frequencies_only_the_geometry_is_computed(answers: dict[str, Any]) -> None:
    run = answers["geometry only"]
    assert run["exit"] == 0
    assert [label for label, _ in run["calculations"]] == ["Geometry optimisation"]
    assert "frequencies" not in run["outputs"]
    assert {"trajectory.xyz", "optimised.xyz", "result.json", "progress.jsonl"} <= set(run["files"])


def test_a_geometry_that_does_not_converge_ends_with_a_sentence_and_keeps_the_last_one(answers: dict[str, Any]) -> None:
    run = answers["out of steps"]
    assert run["exit"] == 420
    assert "did not converge in 1 step:" in run["message"]
    assert run["outputs"]["structure"] == "H2O"
    assert len(run["calculations"]) == 1


def test_an_environment_without_the_app_is_a_failure_that_is_not_repeated(answers: dict[str, Any]) -> None:
    run = answers["no app in the environment"]
    assert run["exit"] == 440
    assert "No module named" in run["message"]
    assert len(run["calculations"]) == 1


def test_an_engine_that_never_gets_to_its_end_is_given_up_after_five_continuations(answers: dict[str, Any]) -> None:
    run = answers["always interrupted"]
    assert run["exit"] == 450
    assert "interrupted 6 times" in run["message"]
    assert len(run["calculations"]) == 6


def test_vibrations_killed_in_the_middle_are_continued_and_the_run_succeeds(answers: dict[str, Any]) -> None:
    run = answers["killed vibrations"]
    assert run["killed"]
    assert run["exit"] == 0
    assert [status for _, status in run["calculations"]] == [0, 350, 0]
    assert any("continuing it (1 of 5)" in report for report in run["reports"])
    assert len(run["outputs"]["frequencies"]["frequencies"]) == 3 * 22 - 6


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("multiplicity", "multiplicity: H2O with charge 0 has an even number of electrons"),
        ("charge", "charge: H2O has 8 valence electrons"),
        ("limit", "fmax: The force threshold must be between 0.0005 and 0.5 eV/Å"),
        ("crystal", "structure: The structure is periodic"),
        ("huge", "structure: The structure has 5,000 atoms"),
        ("overlap", "structure: Atoms 2 (H) and 3 (H) overlap"),
        ("large with frequencies", "structure: The structure has 200 atoms; frequencies take 1,200"),
    ],
)
def test_the_process_spec_refuses_a_wrong_input_by_its_name(name: str, words: str, answers: dict[str, Any]) -> None:
    assert words in answers["refused"][name]
