"""Addresses that mean something only where an app of a certain kind is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tornado.routing import PathMatches

from simdeck_deck.server_extension import apps
from simdeck_deck.server_extension.config import Settings


class OfKind(PathMatches):  # type: ignore[misc]
    """An address whose first part in brackets is an installed app of ``kind``; anything else means what it meant."""

    _kinds: dict[Path, str]

    def __init__(self, pattern: str, settings: Settings, kind: str) -> None:
        super().__init__(pattern)
        self.simdeck = settings
        self.kind = kind
        self._kinds = {}

    def match(self, request: Any) -> Any:
        found = super().match(request)
        if not found:
            return found
        app = found["path_args"][0].decode("utf-8", "replace")
        return found if self._kind_of(app) == self.kind else None

    def _kind_of(self, app: str) -> str:
        name, at, wanted = app.partition("@")
        if not apps.is_app_name(name) or (at and not apps.VERSION.fullmatch(wanted)):
            return ""
        try:
            place = self.simdeck.apps / name / (f"versions/{wanted}" if at else "current")
            version = place.resolve(strict=True)
            if version not in self._kinds:
                self._kinds[version] = apps.read_app(self.simdeck.apps, app).kind
            return self._kinds[version]
        except (OSError, apps.NoPageError):
            return ""
