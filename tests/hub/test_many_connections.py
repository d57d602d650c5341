"""A hub holds a connection or two for each server, and its proxy more."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096))
from simdeck_hub.parts import allow_many_files
allow_many_files()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_as_many_files_as_the_system_lets_us_may_be_open() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(4096, 4096)"
