"""Server extensions that are loaded once the server answers, because no app page waits for them (JupyterLab, mostly).

``SIMDECK_LATE_EXTENSIONS`` names them, with commas between; they must be switched off in ``jpserver_extensions``. Their
modules are imported beside the first requests.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Any


async def load(server_app: Any, names: tuple[str, ...]) -> None:
    """Load the extensions one by one; one that fails is left out, and the log says why."""
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
