"""Telling a process from a later one that was given the same pid."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")


def start_ticks(pid: int) -> int | None:
    """Return when ``pid`` started, in clock ticks since boot; ``None`` when there is no such (living) process."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold spaces and parentheses: count from the last one.
    fields = stat[stat.rindex(")") + 2 :].split()
    if fields[0] in {"Z", "X"}:
        return None
    return int(fields[19])


def boot_id() -> str:
    """Return an id that changes at each boot, so that ticks of an earlier boot mean nothing."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def is_same(pid: int, ticks: int | None, boot: str | None) -> bool:
    """Return whether ``pid`` is still the process that started at ``ticks`` of boot ``boot``."""
    if not pid or ticks is None or (boot or "") != boot_id():
        return False
    return start_ticks(pid) == ticks


def environment(pid: int) -> dict[str, str]:
    """Return the environment ``pid`` was started with; empty when it is gone or not ours to read."""
    try:
        raw = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    pairs = (part.partition(b"=") for part in raw.split(b"\0") if part)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
