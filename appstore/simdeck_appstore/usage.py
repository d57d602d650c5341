"""How much disk the installed apps take: each file once, and what a removal would give back."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from pydantic import BaseModel

from simdeck_appstore.sources import APP_ID
from simdeck_appstore.versions import AppFolder

BLOCK = 512


class VersionUsage(BaseModel):
    """One version. ``size``: bytes on disk; ``own``: those that no other folder or cache shares by hard links."""

    version: str
    size: int
    own: int
    site: bool = False


class AppUsage(BaseModel):
    """One app; its sizes count the person's own versions only, not those that are installed for everybody."""

    app: str
    size: int
    own: int
    versions: list[VersionUsage]


class Usage:
    """Measures; what was measured is kept, because an installed version does not change."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int], tuple[int, int]]] = {}
        self._lock = threading.Lock()

    def of(self, apps: Path) -> list[AppUsage]:
        """Return the apps below ``apps``, largest first."""
        try:
            names = sorted(path.name for path in apps.iterdir() if APP_ID.match(path.name) and not path.is_symlink())
        except OSError:
            return []
        found = [usage for name in names if (usage := self._app(AppFolder(apps, name))) is not None]
        return sorted(found, key=lambda usage: -usage.size)

    def _app(self, folder: AppFolder) -> AppUsage | None:
        versions = []
        for version in folder.versions() if not folder.versions_root.is_symlink() else ():
            home = folder.home(version)
            # What a link leads to is somebody else's.
            size, own = (0, 0) if home.is_symlink() else self._version(home)
            versions.append(VersionUsage(version=version, size=size, own=own, site=home.is_symlink()))
        if not versions:
            return None
        mine = [one for one in versions if not one.site]
        return AppUsage(
            app=folder.app, size=sum(one.size for one in mine), own=sum(one.own for one in mine), versions=versions
        )

    def _version(self, home: Path) -> tuple[int, int]:
        info = home.stat()
        stamp = (info.st_ino, info.st_mtime_ns)
        with self._lock:
            known = self._known.get(home)
        if known is not None and known[0] == stamp:
            return known[1]
        sizes = measure(home)
        with self._lock:
            self._known[home] = (stamp, sizes)
        return sizes


def measure(tree: Path) -> tuple[int, int]:
    """Return the bytes on disk of all below ``tree`` (links are not followed), and those that are only there."""
    sizes: dict[tuple[int, int], int] = {}
    left: dict[tuple[int, int], int] = {}
    for here, folders, names in os.walk(tree):
        for name in [*folders, *names]:
            try:
                info = os.lstat(os.path.join(here, name))
            except OSError:
                continue
            key = (info.st_dev, info.st_ino)
            sizes[key] = info.st_blocks * BLOCK
            if not stat.S_ISDIR(info.st_mode):
                left[key] = left.get(key, info.st_nlink) - 1
    return sum(sizes.values()), sum(size for key, size in sizes.items() if left.get(key, 0) == 0)
