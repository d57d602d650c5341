"""Serves the hub pages' own files (style, logo) below ``/hub/simdeck/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyterhub.handlers.static import CacheControlStaticFilesHandler

STATIC = Path(__file__).parent / "static"


class SimdeckStaticHandler(CacheControlStaticFilesHandler):  # type: ignore[misc]
    """Static files of :mod:`simdeck_hub`, without a session."""

    def initialize(self, **settings: Any) -> None:
        super().initialize(path=str(STATIC), **settings)
