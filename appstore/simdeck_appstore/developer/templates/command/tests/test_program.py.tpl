"""The program against the known period of an oscillator, started as the workflow starts it."""

import math
import re
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "$package" / "oscillator.awk"
INPUT = "mass 1.0\nstiffness {stiffness}\ndamping {damping}\nstart 1.0\nsteps 4000\n"


def run(folder: Path, stiffness: float, damping: float) -> subprocess.CompletedProcess[str]:
    (folder / "oscillator.in").write_text(INPUT.format(stiffness=stiffness, damping=damping))
    argv = ["awk", "-f", str(PROGRAM), "oscillator.in"]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)


def test_the_period_is_that_of_the_exact_solution(tmp_path: Path) -> None:
    found = re.search(r"period = (\S+)", run(tmp_path, 4.0, 0.1).stdout)
    assert found
    assert float(found[1]) == pytest.approx(2 * math.pi / math.sqrt(4.0 - 0.05**2), rel=0.01)


def test_an_overdamped_one_is_refused(tmp_path: Path) -> None:
    assert run(tmp_path, 1.0, 3.0).returncode == 3
