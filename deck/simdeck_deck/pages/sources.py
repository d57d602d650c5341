"""What the pages need of the rest: the caller's agent, the store, the Jupyter server; and who the caller is.

Pages depend on the small protocols here. ``get_sources`` binds them to the deck's own parts; tests put fakes in
its place (``app.dependency_overrides[get_sources]``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from simdeck_common.problems import Problem

from simdeck_deck.pages.views.problems import ProblemView, problem_view
from simdeck_deck.servers import ClusterView, EstimateView, Options, ServerView

T = TypeVar("T")


class AgentSource(Protocol):
    """The caller's own agent. Paths are those of the API (``/runs/<id>``), their parts escaped by the caller."""

    async def get(self, path: str, **params: Any) -> Any:
        """Return the JSON at ``path``. Raises ``Problem``."""

    async def text(self, path: str) -> str:
        """Return the text at ``path``. Raises ``Problem``."""

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        """Send a change and return the JSON answer. Raises ``Problem``."""

    async def history(self, path: str) -> list[tuple[str, dict[str, Any]]]:
        """Return ``(type, data)`` of the events at ``path`` that have happened so far. Raises ``Problem``."""


class StoreSource(Protocol):
    """The app store's registry."""

    async def index(self) -> Mapping[str, Any]:
        """Return ``{apps, categories}`` as in the registry's index. Raises ``Problem``."""

    async def search(self, text: str) -> list[Mapping[str, Any]]:
        """Return the index's entries that match ``text``, best first; all by title without one. Raises ``Problem``."""

    async def app(self, app: str) -> Mapping[str, Any] | None:
        """Return one app, or None when the store does not have it. Raises ``Problem``."""


class FactsSource(Protocol):
    """What this site knows of apps beside the store."""

    async def used(self, app: str) -> int:
        """Return how many people here have the app."""

    async def codes(self) -> list[str]:
        """Return the simulation codes that the administrator lists as offered here."""


class ServerSource(Protocol):
    """The caller's Jupyter server, through the hub."""

    async def state(self) -> Mapping[str, Any]:
        """Return ``{state, ...}``; ``state`` is stopped, starting, running or stopping. Raises ``Problem``."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class ServersSource(Protocol):
    """The caller's servers and the clusters they may use, through the hub. Every call raises ``Problem``."""

    async def clusters(self) -> list[ClusterView]:
        """Return the clusters; none where servers are local processes."""

    async def servers(self) -> list[ServerView]:
        """Return all servers, the default one first."""

    async def server(self, name: str) -> ServerView:
        """Return one server; ``-`` is the default one."""

    async def estimate(self, options: dict[str, Any]) -> EstimateView: ...

    async def beginning(self, app: str, clusters: list[ClusterView]) -> Options:
        """Return what a form for ``app`` begins with."""

    async def start(self, name: str, options: dict[str, Any]) -> ServerView: ...

    async def replace(self, name: str, options: dict[str, Any]) -> ServerView:
        """Take a server that waits out of the queue and start it anew."""

    async def stop(self, name: str, *, remove: bool = False) -> None: ...

    async def continue_(self, name: str, changes: dict[str, Any]) -> ServerView: ...


@dataclass(frozen=True)
class Sources:
    agent: AgentSource
    store: StoreSource
    server: ServerSource
    servers: ServersSource
    facts: FactsSource


def agent_path(*parts: str) -> str:
    """Return a path at the agent; each part is one segment whatever it holds.

    Raises
    ------
    Problem
        404: a part is one that a server might resolve.
    """
    if any(part in ("", ".", "..") for part in parts):
        raise Problem("not-found")
    return "/" + "/".join(quote(part, safe="") for part in parts)


async def attempt(work: Awaitable[T]) -> tuple[T | None, ProblemView | None]:
    """Await ``work``; a ``Problem`` comes back as its card, so that the rest of the page still renders."""
    try:
        return await work, None
    except Problem as problem:
        return None, problem_view(problem)


async def attempt_all(*works: Awaitable[Any]) -> list[tuple[Any, ProblemView | None]]:
    """Await all ``works`` at once, each as ``attempt`` does."""
    return list(await asyncio.gather(*(attempt(work) for work in works)))
