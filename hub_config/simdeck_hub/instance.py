"""One `simdeck up` per data folder: the lock, and what the running one tells other commands."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from simdeck_common.files import write_atomically
from simdeck_common.problems import Problem

from simdeck_hub.places import DataFolder


@dataclass(frozen=True)
class Running:
    """The running instance of a data folder."""

    pid: int
    address: str
    api: str
    hub_api: str
    started: str
    users: list[str]
    ready: bool = False


@contextlib.contextmanager
def single_instance(data: DataFolder) -> Iterator[None]:
    """Hold the data folder's lock; the kernel frees it however this process ends.

    Raises
    ------
    Problem
        ``already-running``: another `simdeck up` holds it; names its address, pid and start.
    """
    handle = os.open(data.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = read_state(data)
            raise Problem(
                "already-running",
                address=running.address if running else "an address it has not said yet",
                pid=running.pid if running else "unknown",
                started=readable(running.started) if running else "a moment ago",
            ) from None
        yield
    finally:
        os.close(handle)


def is_locked(data: DataFolder) -> bool:
    """Return whether a `simdeck up` runs on this data folder."""
    try:
        handle = os.open(data.lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def write_state(data: DataFolder, running: Running) -> None:
    write_atomically(data.state, json.dumps(asdict(running), indent=1), mode=0o600)


def read_state(data: DataFolder) -> Running | None:
    try:
        return Running(**json.loads(data.state.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def clear_state(data: DataFolder) -> None:
    data.state.unlink(missing_ok=True)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def readable(started: str) -> str:
    """Return an ISO time as people say it, in local time."""
    try:
        return datetime.fromisoformat(started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return started


# --- finding the instance from any folder ---------------------------------------------------------------------------


def pointer_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file that notes the data folder started last by this person."""
    base = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "simdeck" / "instance"


def remember(data: DataFolder, environ: Mapping[str, str] = os.environ) -> None:
    """Note this data folder for commands run elsewhere; a home folder that cannot be written is no reason to fail."""
    path = pointer_file(environ)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, f"{data.root}\n", mode=0o600)


def find_running(environ: Mapping[str, str] = os.environ) -> tuple[DataFolder, Running]:
    """Return the running instance a command means: ``SIMDECK_DATA``, this checkout's, else the one started last.

    Raises
    ------
    Problem
        ``not-running``.
    """
    candidates = [DataFolder.find(environ)]
    if not environ.get("SIMDECK_DATA"):
        with contextlib.suppress(OSError):
            candidates.append(DataFolder(Path(pointer_file(environ).read_text(encoding="utf-8").strip())))
    for data in candidates:
        running = read_state(data)
        if running is not None and is_locked(data):
            return data, running
    raise Problem("not-running", looked=", ".join(f"looked in {one.root}" for one in dict.fromkeys(candidates)))
