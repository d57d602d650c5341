"""Guest versions as the installer sees them: what is there, and taking one away again.

They are made by :meth:`Installer.install_guest`, from the same registry and the same lock as an install
of one's own, so that what they hold is linked to the same files of the cache.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict
from simdeck_common import guests
from simdeck_common.problems import Problem

from simdeck_appstore.sources import APP_ID
from simdeck_appstore.versions import AppFolder


class GuestVersion(BaseModel):
    """A version of an app that is there because somebody shares it; ``title`` as the app calls itself.

    ``kind`` is its entry's; ``current``: nothing else of the app is there, so that it opens by the app's name.
    """

    model_config = ConfigDict(frozen=True)

    app: str
    version: str
    title: str
    kind: str = "notebook"
    current: bool = True


def listed(apps: Path) -> list[GuestVersion]:
    """Return the guest versions below ``apps``, by their apps' names."""
    found = []
    for note in sorted(apps.glob(f"*/{guests.NOTE}")):
        if not APP_ID.match(note.parent.name):
            continue
        folder = AppFolder(apps, note.parent.name)
        for version in folder.guests():
            record = folder.record(version)
            if record is not None:
                kind, current = record.entry.kind, folder.current() == version
                told = GuestVersion(app=folder.app, version=version, title=record.title, kind=kind, current=current)
                found.append(told)
    return found


def remove(folder: AppFolder, version: str) -> bool:
    """Take a guest version away, unless it is none any more or a page of it is open; say whether it went."""
    try:
        with folder.lock():
            if version not in folder.guests():
                return False
            with guests.unused(folder.home(version)) as free:
                if free:
                    folder.remove_version(version)
                return free
    except Problem:
        return False  # Busy: it is being made, or made the person's own.
