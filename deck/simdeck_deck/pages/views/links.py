"""Addresses of the deck's own pages and of what lies around it, from the path the deck is mounted at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode


@dataclass(frozen=True)
class Links:
    """``base`` is the deck's path with slashes around it, as in ``/services/deck/``; ``user`` is who looks."""

    base: str
    user: str = ""

    @property
    def root(self) -> str:
        """The path JupyterHub itself is mounted below, usually ``/``."""
        return self.base.removesuffix("services/deck/") or "/"

    @property
    def hub(self) -> str:
        return f"{self.root}hub/"

    @property
    def api(self) -> str:
        return f"{self.base}api/v1"

    @property
    def lab(self) -> str:
        """JupyterLab in the user's own server."""
        return self.lab_of()

    def lab_of(self, server: str = "") -> str:
        """Return JupyterLab's address in a server; empty is the default one."""
        return f"{self._server(server)}lab"

    def _server(self, server: str) -> str:
        return f"{self.root}user/{quote(self.user, safe='')}/" + (f"{quote(server, safe='')}/" if server else "")

    def with_query(self, url: str, values: Mapping[str, Any]) -> str:
        """Return ``url`` with a query of names that need not be Python's."""
        return url + _query(dict(values))

    def page(self, *parts: str, **query: Any) -> str:
        """Return the address of a deck page; ``parts`` are escaped one by one, empty query values are left out."""
        path = self.base + "/".join(quote(part, safe="") for part in parts)
        return path + _query(query)

    def api_path(self, *parts: str) -> str:
        return f"{self.api}/" + "/".join(quote(part, safe="") for part in parts)

    def file(self, run: str, path: str, place: str = "runs") -> str:
        """Return the download address of a run's file; slashes in ``path`` stay. ``place``: ``runs`` or ``shared``."""
        return f"{self.api_path(place, run, 'files')}/{quote(path)}"

    def registry_file(self, path: str) -> str:
        """Return the address of a picture of the registry (``files/…``)."""
        return f"{self.api}/store/{quote(path)}"

    def app_page(self, app: str, run: str | None = None, server: str = "") -> str:
        """Return where the app lives in one of the user's servers (it must be running).

        ``<app>@<version>`` is another version than the one in use.
        """
        return f"{self._server(server)}deck/{quote(app, safe='@')}/" + _query({"run": run})

    def is_app_page(self, url: str) -> bool:
        """Whether an address of ours is an app's page, and not one of the deck's."""
        return url.startswith(f"{self.root}user/")


def _query(values: dict[str, Any]) -> str:
    kept = {key: value for key, value in values.items() if value not in (None, "", [])}
    return f"?{urlencode(kept, doseq=True)}" if kept else ""
