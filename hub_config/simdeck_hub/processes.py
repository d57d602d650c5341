"""Finding and ending every process of one instance: whatever carries its ``SIMDECK_INSTANCE``, or descends from us.

The mark is inherited by everything a part starts, so nothing has to be registered, and a start after a crash finds what
the last one left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from simdeck_spawners.identity import environment, start_ticks

MARK = "SIMDECK_INSTANCE"
WAVES: tuple[tuple[str, tuple[str, ...]], ...] = (
    # First whoever would start others again, last what is only worked for.
    ("services", ("simdeck_deck", "jupyterhub -f", "-m jupyterhub ")),
    (
        "agents and servers",
        ("simdeck_agent", "simdeck-agent", "jupyterhub-singleuser", "simdeck_spawners", "simdeck_appstore"),
    ),
    ("workers", ("simdeck_workflows",)),
    ("the rest", ("",)),
)
GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Found:
    """One living process, told apart from a later one with the same pid by its start."""

    pid: int
    ticks: int
    command: str

    def alive(self) -> bool:
        return start_ticks(self.pid) == self.ticks

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.alive():
                os.kill(self.pid, number)


def find(instance: str, proc: Path = Path("/proc"), *, own_only: bool = False) -> list[Found]:
    """Return this user's living processes of ``instance`` and our own descendants; never us or our parents.

    ``own_only`` leaves out descendants of other users: what is being started for them is theirs.
    """
    spared = own_line()
    parents: dict[int, int] = {}
    marked: set[int] = set()
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        # A process that is just ending has no environment any more and seems to be root's: its parent still tells.
        parents[pid] = parent_of(pid)
        if environment(pid).get(MARK) == instance:
            marked.add(pid)
    chosen = (marked | descendants(os.getpid(), parents)) - spared
    found = []
    for pid in sorted(chosen):
        ticks = start_ticks(pid)
        if ticks is not None and not (own_only and owner_of(pid) != os.geteuid()):
            found.append(Found(pid, ticks, command_of(pid)))
    return found


def owner_of(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def descendants(root: int, parents: dict[int, int]) -> set[int]:
    """Return all pids below ``root`` in the map pid → parent."""
    below: set[int] = set()
    grown = True
    while grown:
        new = {pid for pid, parent in parents.items() if (parent == root or parent in below) and pid not in below}
        grown = bool(new)
        below |= new
    return below


def own_line() -> set[int]:
    """Return this process and its ancestors: they may carry the mark when Simdeck was started from inside Simdeck."""
    line, pid = set(), os.getpid()
    while pid > 0 and pid not in line:
        line.add(pid)
        pid = parent_of(pid)
    return line


def parent_of(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(stat[stat.rindex(")") + 2 :].split()[1])


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def wave_of(command: str) -> int:
    """Return the index of the wave in which a process with this command line is asked to end."""
    for index, (_, parts) in enumerate(WAVES):
        if any(part in f"{command} " for part in parts):
            return index
    return len(WAVES) - 1


async def stop_all(
    instance: str,
    *,
    grace: float = GRACE_SECONDS,
    hurry: Callable[[], bool] = lambda: False,
    report: Callable[[str], None] = lambda message: None,
    own_only: bool = False,
) -> list[Found]:
    """End every process of ``instance``: TERM wave by wave, then KILL until none is left.

    ``hurry`` is asked while waiting; once true everything is killed at once. Returns what refused even SIGKILL for
    ``grace`` seconds (a process stuck in the kernel), normally nothing.
    """
    for index, (name, _) in enumerate(WAVES):
        wave = [found for found in find(instance, own_only=own_only) if wave_of(found.command) <= index]
        if not wave:
            continue
        report(f"stopping {name}")
        for found in wave:
            found.send(signal.SIGTERM)
        await _gone(wave, grace, hurry)
        if hurry():
            break
        for found in wave:
            found.send(signal.SIGKILL)
    deadline = time.monotonic() + grace
    while left := find(instance, own_only=own_only):
        for found in left:
            found.send(signal.SIGKILL)
        await _gone(left, 0.2, lambda: False)
        if time.monotonic() > deadline:
            return [found for found in left if found.alive()]
    return []


async def _gone(processes: Iterable[Found], seconds: float, hurry: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    waiting = list(processes)
    while True:
        waiting = [found for found in waiting if found.alive()]
        if not waiting:
            return True
        if hurry() or time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
