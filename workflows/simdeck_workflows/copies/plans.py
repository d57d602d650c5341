"""Which files of a folder belong in its copy, and in which order they are read while people go on working.

The order is what makes a copy whole. What refers is read before what is referred to: the run store (refers to
processes), AiiDA's database (refers to objects of the repository), the repository (loose objects, which are moved into
packs but never back; the packs' index; the packs).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from simdeck_workflows.storage import StorageInUse

DUMP = "workflows/postgresql.dump"
"""Where the dump of a PostgreSQL database stands in a user's copy."""

CONTAINER_FOLDERS = ("loose", "packs", "duplicates", "sandbox")
_NEVER = ("-wal", "-shm", "-journal", ".lock", ".log", ".log.1", ".sock", ".pid", ".part")


@dataclass(frozen=True)
class Plan:
    """``tops``: what is copied of the folder. ``without``: folders below it, by pattern, that are not."""

    tops: tuple[str, ...]
    first: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


PLANS = {
    "user": Plan(
        tops=("agent", "workflows"),
        first=("workflows/runs.sqlite",),
        # Working directories, what is being handed over, and what tells where a daemon listens.
        without=(
            "workflows/scratch", "workflows/handover", "workflows/aiida/.aiida/daemon",
            "workflows/aiida/.aiida/broker", "workflows/aiida/.aiida/access",
            # Made for one machine's PostgreSQL, or written again by the next agent.
            "workflows/storage.json", "agent/active",
        ),
    ),
    "site": Plan(
        tops=("hub", "private", "deck", "keys", "site.toml", "codes.json", "audit.jsonl"),
        # The ports of one start.
        without=("hub/runtime.json",),
    ),
}  # fmt: skip


def files(root: Path, plan: Plan) -> Iterator[Path]:
    """The regular files to copy, in order; a file may be gone by the time it is read."""
    told: set[Path] = set()
    for path in _ordered(root, plan):
        if path not in told:
            told.add(path)
            yield path


def storage_of(root: Path) -> StorageInUse | None:
    """The storage of the user's profile as AiiDA's own configuration has it; None where there is no profile."""
    return StorageInUse.read(root / "workflows" / "aiida")


def containers(root: Path) -> list[Path]:
    """The repositories below a user's AiiDA folder."""
    repositories = root / "workflows" / "aiida" / ".aiida" / "repository"
    return sorted(path for path in repositories.glob("*/container") if path.is_dir())


def loose_objects(container: Path) -> set[str]:
    """The names (hashes) of a repository's loose objects."""
    return {path.parent.name + path.name for path in (container / "loose").glob("*/*")}


def _ordered(root: Path, plan: Plan) -> Iterator[Path]:
    for name in plan.first:
        if (root / name).is_file():
            yield root / name
    repositories = containers(root) if "workflows" in plan.tops else []
    used = storage_of(root) if repositories else None
    moved = used.repository / "database.sqlite" if used is not None and used.postgresql is not None else None
    for container in repositories:
        if (database := container.with_name("database.sqlite")).is_file() and database != moved:
            yield database
    for container in repositories:
        yield from _walk(root, container / "loose", plan)
        if (index := container / "packs.idx").is_file():
            yield index
    for top in plan.tops:
        # The file that a moved profile has left behind is no part of what it holds now.
        yield from (path for path in _walk(root, root / top, plan) if path != moved)


def _walk(root: Path, path: Path, plan: Plan) -> Iterator[Path]:
    relative = path.relative_to(root).as_posix()
    if relative in plan.without or path.is_symlink() or path.name.endswith(_NEVER):
        return
    if path.is_file():
        yield path
    elif path.is_dir():
        try:
            inside = sorted(path.iterdir())
        except FileNotFoundError:
            return
        for entry in inside:
            yield from _walk(root, entry, plan)


def referred(metadata: str) -> Iterator[str]:
    """The hashes of the objects that a node's ``repository_metadata`` (JSON) refers to."""
    waiting = [json.loads(metadata or "{}")]
    while waiting:
        found = waiting.pop()
        if "k" in found:
            yield found["k"]
        waiting.extend(found.get("o", {}).values())
