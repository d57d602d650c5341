"""Apps made of files alone (result viewers that run in the browser): ``deck/<app>/…``, read-only, without a kernel.

Their pages have this server's origin, so a content security policy keeps their scripts from everything but the app's
own files: no request to this server's interfaces, none to other sites.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tornado import web  # type: ignore[attr-defined]

from simdeck_deck.server_extension import apps
from simdeck_deck.server_extension.assets import StaticFile
from simdeck_deck.server_extension.config import Settings

INDEX = "index.html"


def folder_of(app: apps.Installed) -> Path | None:
    """Return the folder of a static app's files."""
    path = app.entry.get("path")
    found = apps.in_packages(app.env, path) if isinstance(path, str) and path else None
    return found if found is not None and found.is_dir() else None


def file_of(app: apps.Installed, relative: str) -> Path | None:
    """Return a file of the app, a folder's ``index.html``; never one outside, nor a hidden one."""
    folder = folder_of(app)
    if folder is None or any(part.startswith(".") for part in Path(relative).parts):
        return None
    path = (folder / relative).resolve()
    path = path / INDEX if path.is_dir() else path
    return path if path.is_relative_to(folder) and path.is_file() else None


def policy(here: str) -> str:
    """Return the content security policy of an app whose files lie below the full address ``here``."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {here} 'unsafe-inline' 'wasm-unsafe-eval' blob:",
            f"style-src {here} 'unsafe-inline'",
            f"img-src {here} data: blob:",
            f"font-src {here} data:",
            f"media-src {here} data: blob:",
            f"connect-src {here} data: blob:",
            f"worker-src {here} blob:",
            f"frame-src {here} blob:",
            f"manifest-src {here}",
            "base-uri 'self'",
            "form-action 'none'",
            "frame-ancestors 'self'",
        ]
    )


class StaticHandler(StaticFile):
    """``deck/<app>/<file>`` of an app with ``entry = {kind = "static"}``."""

    def initialize(self, settings: Settings, **_: Any) -> None:
        self.simdeck = settings
        self.app = ""

    @web.authenticated  # type: ignore[untyped-decorator]
    async def get(self, app: str, path: str) -> None:
        self.app = app
        try:
            found = await asyncio.to_thread(apps.read_app, self.simdeck.apps, app)
        except apps.NoPageError:
            raise web.HTTPError(404) from None
        await self._serve(await asyncio.to_thread(file_of, found, path))

    @web.authenticated  # type: ignore[untyped-decorator]
    async def head(self, app: str, path: str) -> None:
        await self.get(app, path)

    def set_extra_headers(self, path: str) -> None:
        request: Any = self.request
        here = f"{request.protocol}://{request.host}{self.base_url}deck/{self.app}/"
        self.set_header("Content-Security-Policy", policy(here))
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-cache")
