"""An engine killed in the middle, and the one that goes on from what it had."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from molecule_cases import case

KEPT = ("steps.jsonl", "displacements.jsonl")


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Runner:
    """Starts the engine in directories of its own, as the platform does."""

    def __init__(self, python: Path, env: dict[str, str], root: Path) -> None:
        self.python, self.env, self.root = python, env, root

    def folder(self, name: str, task: dict[str, Any], *, previous: Path | None = None) -> Path:
        folder = self.root / name
        folder.mkdir()
        (folder / "input.json").write_text(json.dumps(task))
        if previous is not None:
            (folder / "previous").mkdir()
            for kept in KEPT:
                if (previous / kept).exists():
                    shutil.copyfile(previous / kept, folder / "previous" / kept)
        return folder

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.python, "-m", "simdeck_molecule.engine"], cwd=folder, env=self.env, start_new_session=True
        )

    def run(self, folder: Path) -> dict[str, Any]:
        assert self.start(folder).wait(timeout=360) == 0
        return json.loads((folder / "result.json").read_text())

    def kill_when(self, folder: Path, reached: Callable[[dict[str, Any]], bool]) -> None:
        """Start, wait for a progress line, and kill with no warning."""
        process = self.start(folder)
        end = time.monotonic() + 60
        while not any(reached(line) for line in _complete(folder / "progress.jsonl")):
            assert process.poll() is None, "the engine ended before it could be killed"
            assert time.monotonic() < end, "the engine made no progress"
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


def _complete(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file that is being written."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


@pytest.fixture
def runner(app_python: Path, app_env: dict[str, str], tmp_path: Path) -> Runner:
    return Runner(app_python, app_env, tmp_path)


def test_a_killed_optimisation_goes_on_to_the_same_result_without_repeating_a_step(runner: Runner) -> None:
    task = {"stage": "optimise", "fmax": 0.002, **case("biphenyl")}
    whole = runner.run(runner.folder("whole", task))
    first = runner.folder("first", task)
    runner.kill_when(first, lambda line: line.get("step", -1) >= 3)
    assert not (first / "result.json").exists()
    second = runner.folder("second", task, previous=first)
    result = runner.run(second)
    finished = len(_complete(first / "steps.jsonl")) - 1  # without the line that names the task
    computed = [line["step"] for line in _lines(second / "progress.jsonl") if "step" in line]
    assert finished >= 4
    assert computed == list(range(finished, whole["steps"] + 1))
    assert result["energy"] == pytest.approx(whole["energy"], abs=1e-7)  # eV
    assert result["trajectory"]["energies"] == pytest.approx(whole["trajectory"]["energies"], abs=1e-6)  # eV
    for ours, theirs in zip(result["positions"], whole["positions"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)  # Å
    assert (second / "trajectory.xyz").read_text().count("Properties=") == whole["steps"] + 1


def test_killed_vibrations_go_on_to_the_same_result_without_repeating_a_displacement(runner: Runner) -> None:
    task = {"stage": "vibrations", **case("biphenyl")}
    whole = runner.run(runner.folder("whole", task))
    first = runner.folder("first", task)
    runner.kill_when(first, lambda line: line.get("displacement", 0) >= 20)
    second = runner.folder("second", task, previous=first)
    result = runner.run(second)
    keys = [[json.dumps(e["key"]) for e in _complete(f / "displacements.jsonl")[1:]] for f in (first, second)]
    recomputed = [line for line in _lines(second / "progress.jsonl") if "energy" in line]
    assert len(keys[1]) == len(set(keys[1])) == 6 * 22 + 1
    assert set(keys[0]) < set(keys[1])
    assert len(recomputed) == len(keys[1]) - len(keys[0])
    assert result["frequencies"] == pytest.approx(whole["frequencies"], abs=0.5)  # cm⁻¹


def test_a_torn_last_line_costs_one_step_only(runner: Runner) -> None:
    task = {"stage": "vibrations", **case("H2O")}
    first = runner.folder("first", task)
    whole = runner.run(first)
    journal = first / "displacements.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    second = runner.folder("second", task, previous=first)
    result = runner.run(second)
    assert len([line for line in _lines(second / "progress.jsonl") if "energy" in line]) == 1
    assert result["frequencies"] == pytest.approx(whole["frequencies"], abs=0.5)  # cm⁻¹


def test_another_calculations_steps_are_not_taken_up(runner: Runner) -> None:
    first = runner.folder("first", {"stage": "optimise", **case("H2O")})
    runner.run(first)
    second = runner.folder("second", {"stage": "optimise", "method": "GFN1-xTB", **case("H2O")}, previous=first)
    result = runner.run(second)
    assert result["energy"] == pytest.approx(-156.97, abs=0.05)  # eV, GFN1-xTB


def test_a_second_start_in_the_same_directory_computes_nothing(runner: Runner) -> None:
    folder = runner.folder("only", {"stage": "optimise", **case("H2O")})
    both = [runner.start(folder), runner.start(folder)]
    assert [process.wait(timeout=180) for process in both] == [0, 0]
    steps = [line["step"] for line in _lines(folder / "progress.jsonl") if "step" in line]
    assert steps == sorted(set(steps))
    assert len([line for line in _lines(folder / "progress.jsonl") if "message" in line]) == 1


def test_a_killed_engine_started_again_in_its_own_directory_goes_on(runner: Runner) -> None:
    folder = runner.folder("only", {"stage": "vibrations", **case("biphenyl")})
    runner.kill_when(folder, lambda line: line.get("displacement", 0) >= 20)
    runner.run(folder)
    assert len([line for line in _lines(folder / "progress.jsonl") if "energy" in line]) <= 6 * 22 + 2


def test_impossible_input_that_reaches_the_engine_is_an_answer_and_not_a_crash(runner: Runner) -> None:
    folder = runner.folder("wrong", {"stage": "optimise", "multiplicity": 2, **case("H2O")})
    assert runner.start(folder).wait(timeout=180) == 0
    error = json.loads((folder / "error.json").read_text())
    assert error["code"] == "invalid-input"
    assert "even number of electrons" in error["message"]


def test_a_larger_step_limit_goes_on_from_an_optimisation_that_ran_out(runner: Runner) -> None:
    task = {"stage": "optimise", "max_steps": 2, **case("CH3OH")}
    first = runner.folder("first", task)
    assert runner.start(first).wait(timeout=180) == 0
    assert json.loads((first / "error.json").read_text())["code"] == "geometry-not-converged"
    second = runner.folder("second", {**task, "max_steps": 100}, previous=first)
    runner.run(second)
    assert min(line["step"] for line in _lines(second / "progress.jsonl") if "step" in line) == 3
