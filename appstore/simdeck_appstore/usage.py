"""How much disk the apps and the workflow backend's generations take: each file once, and what is only there."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from pydantic import BaseModel
from simdeck_common.generations import Generation, all_in, covering, packages_of, site_packages

from simdeck_appstore.generations import Generations
from simdeck_appstore.sources import APP_ID
from simdeck_appstore.versions import AppFolder

BLOCK = 512


class VersionUsage(BaseModel):
    """One version. ``size``: bytes on disk; ``own``: those that no other folder or cache shares by hard links.

    ``site``: it is installed for everybody; ``guest``: it is here because somebody shares it.
    """

    version: str
    size: int
    own: int
    site: bool = False
    guest: bool = False


class AppUsage(BaseModel):
    """One app; its sizes count the person's own versions only, not those that are installed for everybody."""

    app: str
    size: int
    own: int
    versions: list[VersionUsage]


class GenerationUsage(BaseModel):
    """One generation of the workflow backend: what the workflows of ``apps`` brought into it, and its bytes on disk.

    ``current``: the next worker is started with it. ``site``: it is everybody's, and counts for nobody.
    """

    name: str
    made: str
    apps: list[str]
    packages: list[str]
    size: int
    own: int
    current: bool = False
    site: bool = False


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

    def all_generations(self, made: Generations) -> list[GenerationUsage]:
        """Return the generations that the apps of ``made`` may use, their own first."""
        needs, base = made.needs(), made.settings.backend_python
        found = covering(needs, made.places, base) if needs and base is not None else None
        current = found.folder if found is not None else None
        return [
            one for place in made.places for one in self.generations(place, current=current, site=place != made.apps)
        ]

    def generations(self, apps: Path, *, current: Path | None = None, site: bool = False) -> list[GenerationUsage]:
        """Return the generations made for the apps below ``apps``, newest first; ``current`` is the folder in use."""
        return [
            GenerationUsage(
                name=one.folder.name,
                made=one.made,
                apps=sorted(need.app for need in one.needs),
                packages=[f"{name} {version}" for name, version in sorted(added(one).items())],
                size=size,
                own=own,
                current=one.folder == current,
                site=site,
            )
            for one in all_in(apps)
            for size, own in (self._version(one.folder),)
        ]

    def _app(self, folder: AppFolder) -> AppUsage | None:
        versions, guests = [], folder.guests()
        for version in folder.versions() if not folder.versions_root.is_symlink() else ():
            home = folder.home(version)
            # What a link leads to is somebody else's.
            size, own = (0, 0) if home.is_symlink() else self._version(home)
            about = {"site": home.is_symlink(), "guest": version in guests}
            versions.append(VersionUsage(version=version, size=size, own=own, **about))
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


def added(generation: Generation) -> dict[str, str]:
    """Return the packages that a generation adds to the backend, by name."""
    return packages_of(site_packages(generation.python))


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
