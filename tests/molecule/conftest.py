"""The molecule app's tests.

Its pure parts (validation, reading, symmetry, modes, thermochemistry) are tested in the test environment. Its engine needs
tblite and is tested in an environment made here from the app's own lock, `.simdeck/envs/molecule-test`, once per lock; the
tests talk to it through processes and JSON, as the platform does. The work chain is tested in the backend's environment.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "apps" / "molecule"
UV = Path(sys.executable).with_name("uv")
ENVIRONMENTS = ROOT / ".simdeck" / "envs"

sys.path[:0] = [str(APP), str(Path(__file__).parent)]


@pytest.fixture(scope="session")
def app_python() -> Path:
    """The Python of an environment with exactly what the app's lock names."""
    lock = APP / "requirements.lock"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    environment = ENVIRONMENTS / "molecule-test"
    python, stamp = environment / "bin" / "python", environment / "lock.sha256"
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / ".molecule-test.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == digest and python.exists()):
            shutil.rmtree(environment, ignore_errors=True)
            subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, environment], check=True)
            subprocess.run(
                [UV, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", lock], check=True
            )
            stamp.write_text(digest)
    return python


@pytest.fixture(scope="session")
def app_env() -> dict[str, str]:
    """The environment variables that let the app's Python find the app and the platform in the checkout."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(APP), str(ROOT / "workflows")]), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def backend_python() -> Path:
    """The Python of the workflow backend's environment."""
    python = ENVIRONMENTS / "backend" / "bin" / "python"
    if not python.exists():
        pytest.skip("the workflow backend's environment is not there; `make environments` makes it")
    return python
