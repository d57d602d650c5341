"""Apps that are installed for everybody: one copy that all can read, and links to it among each person's own apps.

A site's folder has the same layout as a person's. :func:`follow_site` gives a person a link
``apps/<app>/versions/<version>`` for each version there, so that pages, kernels, workflows and results find it as they
find one of the person's own. ``apps/<app>/site.json`` notes which version was current for everybody when it was last
looked at: while the person uses that one, they follow the site to the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

from simdeck_common.files import write_atomically
from simdeck_common.problems import Problem

from simdeck_appstore.sources import APP_ID
from simdeck_appstore.versions import AppFolder

NOTE = "site.json"


def follow_site(
    apps: Path, site: Path, offered: Callable[[str], bool], stays: Callable[[str], bool] = lambda app: False
) -> bool:
    """Make the links below ``apps`` those of the site's installs that are ``offered``; say whether anything changed.

    An app that ``stays`` keeps its current version, where that is still there. One that another process changes at the
    moment is left for the next time.
    """
    names = {path.name for path in _listed(site) if APP_ID.match(path.name)}
    noted = {path.parent.name for path in apps.glob(f"*/{NOTE}")}
    changed = False
    for app in sorted(names | noted):
        theirs = AppFolder(site, app)
        wanted = theirs.versions() if app in names and offered(app) else []
        current = theirs.current() if wanted else None
        mine = AppFolder(apps, app)
        if _agrees(mine, theirs, wanted, current):
            continue
        with contextlib.suppress(Problem), mine.lock():
            _follow(mine, theirs, wanted, current, stays=stays(app))
            changed = True
    return changed


def groups_for(site: Path, app: str) -> list[str]:
    """Return whom an app for everybody is restricted to; empty: nobody is left out, or there is no such app."""
    theirs = AppFolder(site, app)
    current = theirs.current()
    record = theirs.record(current) if current else None
    return record.groups if record is not None else []


def _agrees(mine: AppFolder, theirs: AppFolder, wanted: list[str], current: str | None) -> bool:
    links = _links(mine)
    missing = [version for version in wanted if version not in links and not mine.home(version).is_dir()]
    right = all(version in wanted and target == theirs.home(version) for version, target in links.items())
    return right and not missing and _note(mine) == current and (mine.current() is not None or not wanted)


def _follow(mine: AppFolder, theirs: AppFolder, wanted: list[str], current: str | None, *, stays: bool) -> None:
    """Make links, history and note those of the site; the caller holds the lock. A kill in between is made up for."""
    before, note = mine.current(), _note(mine)
    own = set(mine.versions()) - set(mine.site_versions()) - set(mine.guests())
    if wanted:
        mine.versions_root.mkdir(parents=True, exist_ok=True)
    links = _links(mine)
    for version in wanted:
        home, target = mine.home(version), theirs.home(version)
        if links.get(version) == target or (home.is_dir() and not home.is_symlink()):
            continue
        beside = mine.versions_root / f".{version}.link"
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        os.replace(beside, home)
    nothing = before is None or before in mine.guests()
    follows = nothing or (not stays and (before == note or (note is None and not own)))
    if current is not None and (follows or before not in mine.versions()):
        mine.switch(current)
    for version in links.keys() - set(wanted):
        mine.home(version).unlink(missing_ok=True)
    mine.recover()
    if mine.root.is_dir():
        if current is None:
            (mine.root / NOTE).unlink(missing_ok=True)
        else:
            write_atomically(mine.root / NOTE, json.dumps({"current": current}) + "\n")


def _links(folder: AppFolder) -> dict[str, Path]:
    """Return the links among the versions, whether anything lies where they lead or not."""
    found = {}
    for path in _listed(folder.versions_root):
        if path.is_symlink() and not path.name.startswith("."):
            found[path.name] = Path(os.readlink(path))
    return found


def _note(folder: AppFolder) -> str | None:
    try:
        return str(json.loads((folder.root / NOTE).read_text("utf-8"))["current"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


# --- the copy for everybody -------------------------------------------------------------------------------------------


def make_open(folder: Path) -> None:
    """Make the folder of the site's installs, which everybody may enter and its owner alone may change."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)


def open_to_all(tree: Path) -> None:
    """Let everybody read what lies in ``tree``, and its owner alone write it; what may be run may be run by all."""
    for here, folders, names in os.walk(tree):
        os.chmod(here, 0o755)  # noqa: S103 - for everybody, that is what it is for
        for name in [*folders, *names]:
            path = os.path.join(here, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                os.chmod(path, 0o755 if mode & 0o100 else 0o644)


def freeze_below(tree: Path) -> None:
    """Let nobody write what lies below ``tree``; the folder itself stays its owner's to move."""
    for here, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(here, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISREG(mode):
                os.chmod(path, stat.S_IMODE(mode) & ~0o222)
        if Path(here) != tree:
            os.chmod(here, 0o555)  # noqa: S103 - as above
