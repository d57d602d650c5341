"""The installed versions of one app on disk, and switching between them so that a kill at any line is mended.

``history.json`` holds what should be: ``{"current": "2.0", "earlier": ["1.0"]}``. It is written first; the link
``current`` follows it. :meth:`AppFolder.recover` makes the two agree again: it finishes the switch when the version is
there, and goes back when it is not.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from packaging.version import InvalidVersion, Version
from pydantic import ValidationError
from simdeck_common import guests
from simdeck_common.files import write_atomically
from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem

from simdeck_appstore.kernelspec import link_kernel
from simdeck_appstore.models import VersionRecord
from simdeck_appstore.rubbish import remove_tree
from simdeck_appstore.sources import APP_ID
from simdeck_appstore.swap import recover_swap, swap

RECORD = "app.json"
# A child that a killed install had just forked holds the lock until its own program starts; that is no owner.
LOCK_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True)
class History:
    """Which version should be current, and which were before it, newest last."""

    current: str
    earlier: tuple[str, ...] = ()

    def switched(self, version: str) -> History:
        """Return the history after ``version`` became current."""
        if version == self.current:
            return self
        return History(version, (*(old for old in self.earlier if old != version), self.current))

    def within(self, versions: set[str]) -> History:
        return replace(self, earlier=tuple(old for old in self.earlier if old in versions and old != self.current))


class AppFolder:
    """``<apps>/<app>/``."""

    def __init__(self, apps: Path, app: str) -> None:
        if not APP_ID.match(app):
            raise Problem("app-not-found", field="app", app=app)
        self.apps = apps
        self.app = app
        self.root = apps / app
        self.versions_root = self.root / "versions"
        self.link = self.root / "current"
        self.history_file = self.root / "history.json"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the app for one change.

        Raises
        ------
        Problem
            ``app-busy``: another thread or process changes it.
        """
        with (private_dir(self.apps / ".locks") / f"{self.app}.lock").open("w") as handle:
            deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
            while not _locked(handle):
                if time.monotonic() > deadline:
                    raise Problem("app-busy", app=self.app)
                time.sleep(0.02)
            yield

    def home(self, version: str) -> Path:
        return self.versions_root / version

    def versions(self) -> list[str]:
        """Return the installed versions, newest first."""
        try:
            names = [path.name for path in self.versions_root.iterdir() if (path / RECORD).is_file()]
        except FileNotFoundError:
            return []
        return sorted((name for name in names if not name.startswith(".")), key=_order, reverse=True)

    def site_versions(self) -> list[str]:
        """Return those of the versions that are installed for everybody: links to the site's copies."""
        return [version for version in self.versions() if self.home(version).is_symlink()]

    def guests(self) -> list[str]:
        """Return those of the versions that somebody shares with the person, and that are not theirs."""
        noted = guests.noted(self.root)
        return [version for version in self.versions() if version in noted]

    def mark_guest(self, version: str) -> None:
        """Note that ``version`` is there, or about to be, as a guest."""
        self.root.mkdir(parents=True, exist_ok=True)
        guests.note(self.root, guests.noted(self.root) | {version})

    def unmark_guest(self, version: str) -> None:
        """Make ``version`` the person's own, or forget one that is gone."""
        noted = guests.noted(self.root)
        if version in noted:
            guests.note(self.root, noted - {version})

    def current(self) -> str | None:
        """Return the version that ``current`` leads to, or None."""
        try:
            version = Path(os.readlink(self.link)).name
        except OSError:
            return None
        return version if (self.home(version) / RECORD).is_file() else None

    def record(self, version: str) -> VersionRecord | None:
        """Return ``app.json`` of ``version``, or None where it is not installed or damaged."""
        try:
            return VersionRecord.model_validate_json((self.home(version) / RECORD).read_bytes())
        except (OSError, ValidationError):
            return None

    def history(self) -> History | None:
        try:
            data = json.loads(self.history_file.read_text("utf-8"))
            return History(str(data["current"]), tuple(str(old) for old in data["earlier"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def previous(self) -> str | None:
        """Return the version that a roll back would switch to."""
        history = self.history()
        if history is None:
            return None
        earlier = history.within(self._own()).earlier
        return earlier[-1] if earlier else None

    def _own(self) -> set[str]:
        return set(self.versions()) - guests.noted(self.root)

    def adopt(self, tree: Path, version: str, *, beside: bool = False) -> None:
        """Make the finished ``tree`` the app's current ``version``; a version of that name moves into ``tree``.

        ``beside`` leaves the version that is current as it is, where there is one.
        """
        self.versions_root.mkdir(parents=True, exist_ok=True)
        if not beside or self.current() is None:
            self._intend(version)
        swap(tree, self.home(version))
        self.recover()

    def switch(self, version: str) -> None:
        """Make the installed ``version`` current."""
        self._intend(version)
        self.recover()

    def rollback(self) -> str:
        """Make the version before the current one current, and forget the current one's place in the history.

        Raises
        ------
        Problem
            ``no-previous-version``.
        """
        previous = self.previous()
        history = self.history()
        if previous is None or history is None:
            raise Problem("no-previous-version", app=self.app)
        self._write(History(previous, history.within(self._own()).earlier[:-1]))
        self.recover()
        return previous

    def remove_version(self, version: str) -> None:
        """Remove one version; of the current one, the app goes back to the version before, or else the newest other."""
        others = [other for other in self.versions() if other != version]
        if not others:
            self.remove()
            return
        history = self.history()
        if history is not None and version == history.current:
            # A guest comes to the front only where nothing else is left: no list shows the app then.
            own = [other for other in others if other in self._own()] or others
            earlier = history.within(set(own)).earlier
            self._write(History(earlier[-1], earlier[:-1]) if earlier else History(own[0]))
        elif history is not None:
            self._write(history.within(set(others)))
        self.recover()
        self._discard(self.home(version))
        self.unmark_guest(version)

    def remove(self) -> None:
        """Remove the app with all its versions: out of sight by one rename, then deleted."""
        trash = self._to_trash(self.root)
        link_kernel(self.apps, self.app)
        if trash is not None:
            remove_tree(trash)

    def recover(self) -> None:
        """Make ``current`` and the kernel follow the history; finish or undo a switch that was cut short."""
        if not self.root.is_dir():
            link_kernel(self.apps, self.app)
            return
        # Halves of files and links that were to be renamed into place.
        for leftover in self.root.glob(".*"):
            leftover.unlink(missing_ok=True)
        for aside in self.versions_root.glob(".*.before"):
            recover_swap(self.versions_root / aside.name.removeprefix(".").removesuffix(".before"))
        versions = self.versions()
        if not versions:
            self.remove()
            return
        history = self.history()
        known = set(versions)
        if history is None or history.current not in known:
            # The version that should have become current never arrived: what was current stays so.
            earlier = history.within(known).earlier if history else ()
            linked = self.current()
            now = linked or (earlier[-1] if earlier else versions[0])
            history = History(now, tuple(old for old in earlier if old != now))
            self._write(history)
        self._point(history.current)
        link_kernel(self.apps, self.app)

    def _intend(self, version: str) -> None:
        history = self.history()
        known = set(self.versions())
        if history is None or history.current not in known:
            current = self.current()
            history = History(current) if current else None
        self._write(history.within(known).switched(version) if history else History(version))

    def _write(self, history: History) -> None:
        text = json.dumps({"current": history.current, "earlier": list(history.earlier)}) + "\n"
        write_atomically(self.history_file, text)

    def _point(self, version: str) -> None:
        target = Path("versions", version)
        if self.link.is_symlink() and os.readlink(self.link) == str(target):
            return
        beside = self.root / ".current.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        os.replace(beside, self.link)

    def _discard(self, path: Path) -> None:
        trash = self._to_trash(path)
        if trash is not None:
            remove_tree(trash)

    def _to_trash(self, path: Path) -> Path | None:
        target = private_dir(self.apps / ".trash") / f"{self.app}.{uuid.uuid4().hex}"
        try:
            path.rename(target)
        except FileNotFoundError:
            return None
        return target


def _locked(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _order(version: str) -> tuple[bool, Version | None, str]:
    try:
        return True, Version(version), version
    except InvalidVersion:
        return False, None, version
