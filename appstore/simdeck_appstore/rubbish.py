"""Deleting a folder that a dying process may still be writing into."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

PATIENCE_SECONDS = 10.0


def remove_tree(path: Path) -> None:
    """Delete the folder ``path`` with all it holds. That it cannot be done is no error: the next start tries again.

    A command of a killed install gets its own kill at the same moment, but may finish a write after we have listed the
    folder: so look again until nothing is left.
    """
    if path.is_symlink():
        # What it leads to is somebody else's.
        path.unlink(missing_ok=True)
        return
    deadline = time.monotonic() + PATIENCE_SECONDS
    shutil.rmtree(path, ignore_errors=True)
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
        _make_writable(path)
        shutil.rmtree(path, ignore_errors=True)


def _make_writable(path: Path) -> None:
    """Let its owner delete what lies in read-only folders (the tree of an AiiDAlab app)."""
    for here, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            os.chmod(here, 0o700)
