"""A server extension for tests: a request stands for the scheduler's signal to the server's process."""

from __future__ import annotations

from typing import Any

from jupyter_server.base.handlers import JupyterHandler


class WarnHandler(JupyterHandler):  # type: ignore[misc]
    """``POST test/warn?ends=``: calls the hooks as ``simdeck_spawners.server`` does."""

    def check_xsrf_cookie(self) -> None:
        """Tests send no token."""

    def post(self) -> None:
        for hook in self.settings["simdeck_walltime_hooks"]:
            hook(int(self.get_argument("ends")))
        self.set_status(204)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "warn_by_request"}]


def _load_jupyter_server_extension(server_app: Any) -> None:
    base = server_app.web_app.settings["base_url"]
    server_app.web_app.add_handlers(".*$", [(f"{base}test/warn", WarnHandler)])
