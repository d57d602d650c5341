"""Static files of app pages, kept by the browser for a year: their addresses carry a hash of their content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from tornado import web  # type: ignore[attr-defined]

from simdeck_deck.server_extension import apps
from simdeck_deck.server_extension.config import Settings
from simdeck_deck.server_extension.frontend import Frontend, labextension_folders

FOREVER = "public, max-age=31536000, immutable"


def inside(roots: list[Path], relative: str) -> Path | None:
    """Return the first file ``relative`` below one of ``roots``; never one outside."""
    for root in roots:
        path = (root / relative).resolve()
        if path.is_relative_to(root.resolve()) and path.is_file():
            return path
    return None


class StaticFile(JupyterHandler, web.StaticFileHandler):  # type: ignore[misc]
    """Serves one resolved file; who may read it is checked like every other request of this server."""

    def _serve(self, path: Path | None) -> Any:
        if path is None:
            raise web.HTTPError(404)
        web.StaticFileHandler.initialize(self, path=str(path.parent))
        return web.StaticFileHandler.get(self, path.name)

    def check_xsrf_cookie(self) -> None:
        """Accept the session cookie without an XSRF token.

        Browsers fetch module scripts in the mode ``cors``, for which JupyterHub wants a token that a script tag cannot
        carry. Reading a file changes nothing, and a page of another site cannot read the answer.
        """

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", FOREVER)

    def compute_etag(self) -> str | None:
        found: str | None = web.StaticFileHandler.compute_etag(self)
        return found

    def validate_absolute_path(self, root: str, absolute_path: str) -> str:
        # `inside` has resolved symbolic links and checked the place.
        return absolute_path


class AssetHandler(StaticFile):
    """``deck/static/<hash>/<voila|own|vendor>/<file>``."""

    def initialize(self, frontend: Frontend) -> None:
        self.frontend = frontend

    @web.authenticated  # type: ignore[untyped-decorator]
    async def get(self, mark: str, path: str) -> None:
        kind, _, name = path.partition("/")
        await self._serve(inside(self.frontend.folders.get(kind, []), name))


class LabextensionHandler(StaticFile):
    """``deck/labextensions/<app>/<hash>/<extension>/<file>``."""

    def initialize(self, settings: Settings, frontend: Frontend) -> None:
        self.simdeck = settings

    @web.authenticated  # type: ignore[untyped-decorator]
    async def get(self, app: str, path: str) -> None:
        try:
            page = apps.read(self.simdeck.apps, app)
        except apps.NoPageError:
            raise web.HTTPError(404) from None
        await self._serve(inside(labextension_folders(page), path))
