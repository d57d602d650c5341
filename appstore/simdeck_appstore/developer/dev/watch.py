"""What was saved in a project: a look at names, sizes and times, twice a second."""

from __future__ import annotations

import os
from pathlib import Path

IGNORED = frozenset({"__pycache__", ".git", ".ipynb_checkpoints", "dist", "build", "node_modules", ".venv", "tests"})
IGNORED_ENDINGS = (".pyc", ".swp", ".tmp", "~")
MOST = 5000
"""Files looked at; a project with more is not an app project, and the rest is left out."""

Seen = dict[str, tuple[int, int, int]]


def look(folder: Path) -> Seen:
    """Return of each file that belongs to the project: time of change, size, number."""
    seen: Seen = {}
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in IGNORED and not name.startswith("."))
        for name in names:
            if name.startswith(".") or name.endswith(IGNORED_ENDINGS):
                continue
            try:
                info = os.stat(os.path.join(here, name))
            except OSError:
                continue  # an editor replaces files: it is there at the next look
            inside = os.path.relpath(os.path.join(here, name), folder)
            seen[inside] = (info.st_mtime_ns, info.st_size, info.st_ino)
            if len(seen) >= MOST:
                return seen
    return seen


def differing(before: Seen, after: Seen) -> set[str]:
    """Return the names of files that came, went or changed."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def touches_workflows(changed: set[str]) -> bool:
    """Tell whether the backend must start anew: it holds the package's modules."""
    return any(name.endswith((".py", "pyproject.toml")) for name in changed)
