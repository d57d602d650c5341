"""Molecules of the tests, and the running of scripts in the app's environment."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from simdeck_molecule.library import library_atoms

SCRIPT = Path(__file__).with_name("molecule_app_side.py")

AMMONIUM = {
    "numbers": [7, 1, 1, 1, 1],
    "positions": [[0, 0, 0], [0.6, 0.6, 0.6], [-0.6, -0.6, 0.6], [-0.6, 0.6, -0.6], [0.6, -0.6, -0.6]],
    "charge": 1,
}


def case(name: str, **options: Any) -> dict[str, Any]:
    """A case from the app's library, as JSON."""
    atoms = library_atoms(name)
    return {"numbers": atoms.numbers.tolist(), "positions": atoms.positions.tolist(), **options}


def run_app_side(python: Path, env: dict[str, str], command: str, cases: dict[str, Any]) -> dict[str, Any]:
    """Have the app's environment compute; answer by case name."""
    done = subprocess.run(
        [python, SCRIPT, command], input=json.dumps(cases), env=env, text=True, capture_output=True, timeout=800
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
