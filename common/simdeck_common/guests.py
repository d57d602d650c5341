"""Guest versions: versions of apps that others share with a person, among that person's apps and yet not theirs.

A guest version lies where the person's own do, ``<apps>/<app>/versions/<version>/``, so that pages, kernels and
workflows find it as they find any other. ``<apps>/<app>/guests.json`` names those that are there as guests; they are on
no list of installed apps, and go when what brought them is over. Whoever has a page of one open holds a shared lock on
its ``app.json`` (:func:`hold`); nobody removes it meanwhile.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from simdeck_common.files import write_atomically

NOTE = "guests.json"
RECORD = "app.json"


def noted(app: Path) -> frozenset[str]:
    """Return the versions that ``<apps>/<app>`` has as guests, or is about to have."""
    try:
        return frozenset(str(version) for version in json.loads((app / NOTE).read_bytes())["versions"])
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def note(app: Path, versions: Iterable[str]) -> None:
    """Write down which versions are guests."""
    write_atomically(app / NOTE, json.dumps({"versions": sorted(versions)}) + "\n")


def hold(home: Path) -> int | None:
    """Keep a guest version where it is while the returned descriptor is open; None for versions that are no guests."""
    if home.name not in noted(home.parents[1]):
        return None
    handle = -1
    try:
        handle = os.open(home / RECORD, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        # It is being removed this moment: what opens it will say that it is gone.
        if handle >= 0:
            os.close(handle)
        return None
    return handle


@contextlib.contextmanager
def unused(home: Path) -> Iterator[bool]:
    """Tell whether nobody holds the version; nobody can begin to before the block has ended."""
    try:
        # For an exclusive lock network file systems want a file that is open for writing.
        handle = os.open(home / RECORD, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        yield True
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except OSError:
        free = False
    try:
        yield free
    finally:
        os.close(handle)
