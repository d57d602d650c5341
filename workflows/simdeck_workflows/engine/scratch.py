"""Working directories: what they take, whose they are, and giving back those that nothing needs any more.

A directory may go when the run it belongs to has ended: what the calculation gave back lies in the repository. The
nodes that point to it stay and are marked as cleaned, as ``verdi calcjob cleanworkdir`` does it. What belongs to no
process that is known (deleted by hand, or half made before a crash) may go when it has not been touched for a day.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiida import orm

from simdeck_workflows.engine import tree
from simdeck_workflows.engine.removal import size_of

STRAY_SECONDS = 24 * 3600.0
_LEVELS = 3
"""AiiDA's directories: two characters, two characters, the rest of a UUID."""


def look(roots: Iterable[Path]) -> dict[str, Any]:
    """``{folders, size, ended_folders, ended_size, stray_folders, stray_size}``; sizes in bytes on the disk."""
    known = _jobs()
    found = dict.fromkeys(("folders", "size", "ended_folders", "ended_size", "stray_folders", "stray_size"), 0)
    for folder in _folders(roots):
        size = size_of(folder)
        found["folders"] += 1
        found["size"] += size
        if folder not in known and _stray(folder):
            found["stray_folders"] += 1
            found["stray_size"] += size
        elif folder in known and _over(known[folder]):
            found["ended_folders"] += 1
            found["ended_size"] += size
    return found


def clean(roots: Iterable[Path], older_than_days: float = 0.0) -> dict[str, int]:
    """Remove the directories of ended runs that ended so many days ago; return ``{folders, size}`` of what went."""
    known = _jobs()
    before = datetime.now(UTC) - timedelta(days=older_than_days)
    gone = {"folders": 0, "size": 0}
    for folder in _folders(roots):
        node = known.get(folder)
        if not (_stray(folder) if node is None else _over(node) and _root(node).mtime <= before):
            continue
        size = size_of(folder)
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            continue
        gone["folders"] += 1
        gone["size"] += size
        if node is not None and "remote_folder" in node.outputs:
            node.outputs.remote_folder.base.extras.set(orm.RemoteData.KEY_EXTRA_CLEANED, True)
    return gone


def _jobs() -> dict[Path, Any]:
    """Calculations by their directory. A copy of an earlier one names the original's, which is the original's."""
    found: dict[Path, Any] = {}
    builder = orm.QueryBuilder().append(orm.CalcJobNode, project="*").order_by({orm.CalcJobNode: {"id": "asc"}})
    for (node,) in builder.iterall():
        path = tree.work_directory(node)
        if path is None:
            continue
        path = path.resolve()
        # An unfinished one holds the directory, whoever else names it.
        if path not in found or not _over(node):
            found[path] = node
    return found


def _root(node: Any) -> Any:
    while node.caller is not None:
        node = node.caller
    return node


def _over(node: Any) -> bool:
    """Whether the whole run has ended: a restart within it may read what an earlier step left."""
    return bool(node.is_terminated and _root(node).is_terminated)


def _folders(roots: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for root in {root.resolve() for root in roots}:
        level = [root] if root.is_dir() else []
        for _ in range(_LEVELS):
            level = [
                Path(entry.path)
                for folder in level
                for entry in sorted(os.scandir(folder), key=lambda one: one.name)
                if entry.is_dir(follow_symlinks=False)
            ]
        found += level
    return found


def _stray(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > STRAY_SECONDS
    except OSError:
        return False
