"""The Quantum ESPRESSO app's tests.

Its pure parts are tested in the test environment, its work chain in the backend's, its page's model with a stand-in for the
API. What needs the programs (Debian: quantum-espresso) is left out, with a line, where they are not installed.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "apps" / "quantum-espresso"
PSEUDOPOTENTIALS = Path("/usr/share/espresso/pseudo")

sys.path[:0] = [str(APP), str(Path(__file__).parent)]

collect_ignore = ["qe_backend_side.py"]


def lacking() -> str | None:
    """In a line why pw.x cannot be run here, or None."""
    missing = [program for program in ("pw.x", "projwfc.x") if shutil.which(program) is None]
    if missing:
        return f"{' and '.join(missing)} not found: `apt-get install quantum-espresso` adds these tests"
    if not PSEUDOPOTENTIALS.is_dir():
        return "there are no pseudopotentials: `apt-get install quantum-espresso-data` adds these tests"
    return None


@pytest.fixture(scope="session")
def backend_python() -> Path:
    """The Python of the workflow backend's environment."""
    python = ROOT / ".simdeck" / "envs" / "backend" / "bin" / "python"
    if not python.exists():
        pytest.skip("the workflow backend's environment is not there; `make environments` makes it")
    if reason := lacking():
        pytest.skip(reason)
    return python
