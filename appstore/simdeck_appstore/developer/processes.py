"""The processes of one session: each carries its mark, so that none stays behind, whatever it started itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from simdeck_appstore.process import GUARD

MARK = "SIMDECK_INSTANCE"
GRACE_SECONDS = 8.0


def start(argv: list[str], environment: dict[str, str], log: Path, cwd: Path) -> subprocess.Popen[bytes]:
    """Start ``argv`` (first: an absolute path) so that it dies with us, with its output in ``log``."""
    guarded = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), *argv]
    with log.open("ab") as stream:
        return subprocess.Popen(
            guarded, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            start_new_session=True,
        )  # fmt: skip


def marked(instance: str, words: str = "") -> dict[int, int]:
    """Return our other processes that carry ``instance`` (and ``words`` in their command) by pid, as descriptors."""
    wanted = f"{MARK}={instance}".encode()
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            # Held before it is looked at: the number cannot become another's in between.
            handle = os.pidfd_open(int(entry.name))
            if wanted in (entry / "environ").read_bytes().split(b"\0") and words.encode() in (
                entry / "cmdline"
            ).read_bytes().replace(b"\0", b" "):
                found[int(entry.name)] = handle
            else:
                os.close(handle)
    return found


def end(instance: str, words: str = "") -> None:
    """End them: asked first, killed after a grace, until none is left."""
    deadline = time.monotonic() + GRACE_SECONDS
    number = signal.SIGTERM
    while handles := marked(instance, words):
        for handle in handles.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            os.close(handle)
        # Zombies of ours carry no environment any more; others are reaped by whoever started them.
        time.sleep(0.1)
        if time.monotonic() > deadline:
            number = signal.SIGKILL
