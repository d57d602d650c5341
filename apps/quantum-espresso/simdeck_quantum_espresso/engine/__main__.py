"""``python -m simdeck_quantum_espresso.engine STAGE PROGRAM CORES [the program's arguments]`` in a working directory.

The program's output goes to standard output as it is; what it says of its progress to ``progress.jsonl``. At the end
``engine.json`` says how it ended. Where that file is missing the job was interrupted.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from simdeck_workflows.once import once

from simdeck_quantum_espresso.engine.programs import MissingProgramError, child_environment, command
from simdeck_quantum_espresso.engine.progress import Progress

END = "engine.json"
PROGRESS = "progress.jsonl"
K_POINTS_EVERY = 0.5
"""Seconds between two events of a band structure's k-points."""
_PR_SET_PDEATHSIG = 1


def tell(line: dict[str, Any]) -> None:
    """Append one line of progress, in one write so that no reader sees half of it."""
    data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
    descriptor = os.open(PROGRESS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def write_end(**said: Any) -> None:
    """Leave ``engine.json``, whole or not at all."""
    half = Path(END + ".half")
    half.write_text(json.dumps(said, ensure_ascii=False))
    half.replace(END)


def _die_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def main(stage: str, program: str, cores: int, arguments: list[str]) -> int:
    """Run the program to its end; returns its exit status."""
    try:
        argv = command(program, cores, socket.gethostname())
    except MissingProgramError as missing:
        tell({"stage": stage, "message": str(missing), "failed": "program-missing"})
        write_end(problem="program-missing", message=str(missing))
        return 1
    tell({"stage": stage, "message": f"{program} on {cores} core{'' if cores == 1 else 's'}"})
    child = subprocess.Popen(
        [*argv, *arguments], stdout=subprocess.PIPE, env=child_environment(), preexec_fn=_die_with_parent
    )
    stopped: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        stopped.append(number)
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    progress, due = Progress(stage), 0.0
    assert child.stdout is not None
    out = sys.stdout.buffer
    for raw in child.stdout:
        out.write(raw)
        out.flush()
        for line in progress.feed(raw.decode(errors="replace").rstrip("\n")):
            # A thousand k-points in a second are no news.
            if "k_point" in line and line["k_point"] < line["k_points"] and time.monotonic() < due:
                continue
            due = time.monotonic() + K_POINTS_EVERY
            tell(line)
    code = child.wait()
    # A program that a signal ended was interrupted from outside, or crashed: the end then says so only for a crash.
    if not stopped and code >= 0 and code < 128:
        write_end(program=program, code=code)
    return abs(code)


if __name__ == "__main__":
    with once() as first:
        if first:
            sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]))
