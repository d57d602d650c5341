"""Server extensions that are loaded once the server answers, because no app page waits for them (JupyterLab, mostly).

``SIMDECK_LATE_EXTENSIONS`` names them, with commas between; they must be switched off in ``jpserver_extensions``. Their
modules are imported beside the first requests. Who asks for JupyterLab meanwhile waits for it.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.utils import url_path_join
from tornado.web import RequestHandler


class WaitHandler(RequestHandler):  # type: ignore[misc]
    """Answers for pages that are not there yet: asks for the same address again once they are."""

    def initialize(self, loaded: asyncio.Event) -> None:
        self.loaded = loaded

    # Says nothing but "again": whoever may not see the page is told so by the page itself.
    @allow_unauthenticated  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        """Wait, then send the browser to where it already is."""
        await self.loaded.wait()
        self.redirect(self.request.uri or "/")


def hold(server_app: Any) -> tuple[asyncio.Event, list[Any]]:
    """Have JupyterLab's address wait; return the event that ends the wait, and the routes to take out again."""
    loaded = asyncio.Event()
    router = server_app.web_app.default_router
    before = list(router.rules)
    lab = url_path_join(server_app.web_app.settings["base_url"], "lab")
    server_app.web_app.add_handlers(".*$", [(f"{lab}(?:/.*)?", WaitHandler, {"loaded": loaded})])
    return loaded, [rule for rule in router.rules if rule not in before]


async def load(server_app: Any, names: tuple[str, ...], held: tuple[asyncio.Event, list[Any]] | None = None) -> None:
    """Load the extensions one by one; one that fails is left out, and the log says why."""
    try:
        await _load(server_app, names)
    finally:
        if held is not None:
            loaded, rules = held
            router = server_app.web_app.default_router
            # An earlier route wins: ours must be gone before anybody is sent to the real one.
            router.rules[:] = [rule for rule in router.rules if rule not in rules]
            loaded.set()


async def _load(server_app: Any, names: tuple[str, ...]) -> None:
    for name in names:
        try:
            await asyncio.to_thread(importlib.import_module, name)
            manager = server_app.extension_manager
            # Known already, as switched off: the manager takes no second word.
            manager.extensions.pop(name, None)
            if not manager.add_extension(name, enabled=True):
                raise ImportError(f"{name} is not a server extension")
            await asyncio.to_thread(_import_points, manager.extensions[name])
            manager.link_extension(name)
            manager.load_extension(name)
            await manager.start_extension(name)
        except Exception as error:
            server_app.log.warning("The server extension %s was not loaded: %s", name, error)


def _import_points(package: Any) -> None:
    for point in package.extension_points.values():
        _ = point.module
