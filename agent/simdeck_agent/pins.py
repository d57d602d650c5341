"""Which apps are pinned to a version, in ``pins.json`` of the agent's folder: ``{"molecule": "1.0.0"}``.

A pin lasts until it is taken away, or until its version is removed.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

from simdeck_appstore.models import InstalledApp
from simdeck_common.files import write_atomically
from simdeck_common.problems import Problem


class Pins:
    """The pins of one user; calls touch the disk and may come from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def shown(self, app: InstalledApp) -> InstalledApp:
        """Return ``app`` with its pin."""
        version = self._read().get(app.id)
        return app.model_copy(update={"pinned": version}) if version in app.versions else app

    def is_pinned(self, app: str) -> bool:
        """Say whether ``app`` has a pin."""
        return app in self._read()

    def check(self, app: str, version: str | None = None) -> None:
        """Refuse (409 ``app-pinned``) to bring a pinned app to another version than its pin."""
        pinned = self._read().get(app)
        if pinned is not None and version != pinned:
            raise Problem("app-pinned", field="version", app=app, version=pinned)

    def set(self, app: str, version: str | None) -> None:
        """Pin ``app`` to ``version``; None takes the pin away."""
        with self._lock:
            pins = self._read()
            if pins.get(app) == version:
                return
            pins.pop(app, None)
            if version is not None:
                pins[app] = version
            write_atomically(self._path, json.dumps(pins, indent=1) + "\n")

    def forget(self, app: str, version: str | None) -> None:
        """The app, or this version of it, is removed: a pin to it goes."""
        if version is None or self._read().get(app) == version:
            self.set(app, None)

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {str(app): version for app, version in found.items() if isinstance(version, str)}
