"""The guard against computing twice in one working directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from simdeck_workflows.once import once

JOB = """
import sys
from simdeck_workflows.once import once
with once(sys.argv[1]) as first:
    if first:
        print("begun", flush=True)
        sys.stdin.readline()
    else:
        print("done before", flush=True)
"""


def _start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_start_waits_for_the_first_and_does_nothing(tmp_path: Path) -> None:
    first = _start(tmp_path)
    assert _line(first) == "begun"
    second = _start(tmp_path)
    first.communicate("go on\n", timeout=30)
    assert _line(second) == "done before"
    second.communicate(timeout=30)


def test_a_killed_start_leaves_the_work_to_the_next(tmp_path: Path) -> None:
    first = _start(tmp_path)
    assert _line(first) == "begun"
    first.kill()
    first.communicate(timeout=30)
    with once(tmp_path) as todo:
        assert todo


def test_a_failure_is_a_result(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="burnt"), once(tmp_path):
        raise ValueError("burnt")
    with once(tmp_path) as todo:
        assert not todo
