"""Hashes of files and folders, remembered by what the file system says of them: what did not change is not read again.

A hash is remembered for a file's size, number and times. A file that was written within the last seconds is hashed the
next time too: within one tick of the clock it could change without a trace.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from simdeck_appstore.hashing import files_below, sha256_of, tree_hash

SETTLED_SECONDS = 3.0
FORMAT = 1


class Seen:
    """What was seen, kept in the file ``path`` between builds; one that cannot be read costs a hashing and no more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, list[str]] = {}
        self._used: dict[str, list[str]] = {}
        self.state: dict[str, Any] = {}
        """What a build says to the next one."""
        try:
            kept = json.loads(path.read_text("utf-8"))
            if kept["format"] == FORMAT:
                self._known, self.state = dict(kept["known"]), dict(kept["state"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self._before = self.state

    def file(self, path: Path) -> str:
        """Return the SHA-256 of the file ``path``, as :func:`sha256_of`."""
        return self._of(f"file {path}", [(path.name, path)], lambda: sha256_of(path))

    def tree(self, folder: Path, parts: Iterable[str] = (".",)) -> str:
        """Return the hash of a source tree, as :func:`tree_hash`."""
        chosen = list(parts)
        files = [(path.relative_to(folder).as_posix(), path) for part in chosen for path in files_below(folder / part)]
        return self._of(f"tree {folder} {chosen}", files, lambda: tree_hash(folder, chosen))

    def save(self) -> None:
        """Keep what this build has used; what it did not ask for is forgotten."""
        if self._used == self._known and self.state == self._before:
            return
        kept = {"format": FORMAT, "known": self._used, "state": self.state}
        # Half a note is noticed by the next build, and costs it no more than none.
        with contextlib.suppress(OSError):
            self.path.write_text(json.dumps(kept), "utf-8")

    def _of(self, name: str, files: list[tuple[str, Path]], compute: Callable[[], str]) -> str:
        now = time.time()
        fingerprint, newest = _fingerprint(files)
        known = self._known.get(name)
        if known is not None and known[0] == fingerprint:
            self._used[name] = known
            return known[1]
        found = compute()
        if newest < now - SETTLED_SECONDS:
            self._used[name] = [fingerprint, found]
        return found


def shape(folder: Path) -> str:
    """Return a hash of the names, sizes and times of all files in ``folder``; nothing is read.

    Links to the same content do not change it: a build makes such links.
    """
    digest = hashlib.sha256()
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            info = os.lstat(os.path.join(here, name))
            digest.update(f"{here}/{name}\0{info.st_size} {info.st_mtime_ns} {info.st_ino}\0".encode(errors="replace"))
    return digest.hexdigest()


def _fingerprint(files: list[tuple[str, Path]]) -> tuple[str, float]:
    """Return what the file system says of ``files``, and when the newest of them was changed."""
    digest, newest = hashlib.sha256(), 0.0
    for name, path in files:
        info = path.stat()
        digest.update(
            f"{name}\0{info.st_size} {info.st_mtime_ns} {info.st_ctime_ns} {info.st_ino}\0".encode(errors="replace")
        )
        newest = max(newest, info.st_mtime, info.st_ctime)
    return digest.hexdigest(), newest
