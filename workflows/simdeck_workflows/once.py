"""Run a calculation once per working directory, however often it is started. Standard library only.

A workflow engine that is killed between launching a job and noting its id launches it again. An app's calculation
guards its work with this:

    from simdeck_workflows.once import once

    with once() as first:
        if first:
            compute()          # writes its result files into the working directory

The second start waits for the first to end and is then told that there is nothing left to do. A start that was itself
killed leaves no marker, so the next one computes.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_NAME = ".simdeck-once.lock"
MARKER_NAME = ".simdeck-once.json"


@contextmanager
def once(directory: Path | str = ".") -> Iterator[bool]:
    """Hold the working directory's lock; yield True if the work is still to be done, False if it was done before.

    A block that raises counts as done too (``"ok": false`` in the marker): its failure is a result, and the engine, not
    a second start of the same job, decides whether to try again.

    Raises
    ------
    OSError
        The directory cannot be written.
    """
    folder = Path(directory)
    lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / MARKER_NAME).exists():
            yield False
            return
        try:
            yield True
        except BaseException as error:
            # A signal is not an outcome: whoever sent it may start the job again and mean it.
            if isinstance(error, Exception):
                _mark(folder, ok=False)
            raise
        _mark(folder, ok=True)
    finally:
        os.close(lock)


def _mark(folder: Path, *, ok: bool) -> None:
    marker = folder / MARKER_NAME
    half = marker.with_suffix(".tmp")
    half.write_text(json.dumps({"ok": ok, "pid": os.getpid(), "ended": time.time()}))
    os.replace(half, marker)
