"""A person's servers and clusters, asked of the hub with their own token.

A hub without clusters has no routes of ours: then there are no clusters, and the servers are read from JupyterHub's own
model.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError
from simdeck_common.problems import Problem
from starlette.concurrency import run_in_threadpool

from simdeck_deck.choices import Choices
from simdeck_deck.hub_api import ENDING_SECONDS, LOOK_SECONDS, HubAPI
from simdeck_deck.servers import DEFAULT, NAME, ClusterView, EstimateView, Options, ServerView, hub_name, view_of

if TYPE_CHECKING:
    from simdeck_appstore.registries import Registries

    from simdeck_deck.auth import SessionUser

Model = TypeVar("Model", bound=BaseModel)
RESERVED = frozenset({"new", "card"})
"""Names that pages of the deck have instead."""
MEMORY = {"MiB": 1, "GiB": 1024}


class HubServers:
    """Servers and clusters of whoever's session is given."""

    def __init__(self, hub: HubAPI, choices: Choices, registry: Registries) -> None:
        self.hub = hub
        self.choices = choices
        self.registry = registry

    async def clusters(self, user: SessionUser) -> list[ClusterView]:
        """Return the clusters that the person may use; none on a hub without."""
        answer = await self.hub.ask("GET", "/clusters", user.token)
        return [] if answer is None else [_read(ClusterView, item) for item in answer.json().get("items", [])]

    async def servers(self, user: SessionUser) -> list[ServerView]:
        """Return the person's servers, the default one first."""
        answer = await self.hub.ask("GET", "/servers", user.token)
        if answer is not None:
            found = [_server(item) for item in answer.json().get("items", [])]
        else:
            models = await self.hub.servers(user.name, user.token)
            found = [view_of(model, name) for name, model in models.items()]
        return sorted(found, key=lambda server: (server.name != DEFAULT, server.name))

    async def server(self, user: SessionUser, name: str) -> ServerView:
        """Return one server; the default one is always there, if only as not started.

        Raises
        ------
        Problem
            404 ``server-not-found``.
        """
        check_name(name)
        answer = await self.hub.ask("GET", f"/servers/{name}", user.token)
        if answer is not None:
            return _server(answer.json())
        # Either the hub has no such server, or it is one without our routes.
        found = next((one for one in await self.servers(user) if one.name == name), None)
        if found is None and name != DEFAULT:
            raise Problem("server-not-found", server=name)
        return found or ServerView()

    async def estimate(self, user: SessionUser, options: dict[str, Any]) -> EstimateView:
        """Return when a request would start and what it costs.

        Raises
        ------
        Problem
            422 with ``field``: a value is not valid; 404 ``resources-no-cluster``.
        """
        answer = await self.hub.ask("POST", "/estimate", user.token, json={"options": options})
        if answer is None:
            raise Problem("resources-no-cluster")
        return _read(EstimateView, answer.json())

    async def start(self, user: SessionUser, name: str, options: dict[str, Any]) -> ServerView:
        """Start a server; one that runs or starts already is left alone. The choice is remembered for its app.

        Raises
        ------
        Problem
            422 ``server-name``; what the hub refused, with ``field``; 502 ``server-start-failed``.
        """
        if name != DEFAULT and (name in RESERVED or re.fullmatch(NAME, name) is None):
            raise Problem("server-name", field="name", server=name[:40])
        await self.hub.start(user.name, user.token, options, hub_name(name))
        if options:
            await run_in_threadpool(self.choices.remember, user.name, str(options.get("app") or ""), options)
        return await self.server(user, name)

    async def stop(self, user: SessionUser, name: str, *, remove: bool = False) -> ServerView:
        """Stop a server, or cancel its job while it waits; ``remove`` also forgets a named one."""
        await self.server(user, name)
        await self.hub.stop(user.name, user.token, hub_name(name), remove=remove)
        try:
            return await self.server(user, name)
        except Problem as problem:
            if problem.code == "server-not-found":
                return ServerView(name=name)
            raise

    async def replace(self, user: SessionUser, name: str, options: dict[str, Any]) -> ServerView:
        """Take a server that waits out of the queue and start it anew with other options.

        Raises
        ------
        Problem
            409 ``server-active``: the old one did not end in time; what ``start`` raises.
        """
        await self.stop(user, name)
        end = asyncio.get_running_loop().time() + ENDING_SECONDS
        while (await self.server(user, name)).active:
            if asyncio.get_running_loop().time() > end:
                raise Problem("server-active", field="name", server=name)
            await asyncio.sleep(LOOK_SECONDS)
        return await self.start(user, name, options)

    async def continue_(self, user: SessionUser, name: str, changes: dict[str, Any]) -> ServerView:
        """Start what ``name`` was started with anew, in a new job; see ``following_name``."""
        servers = await self.servers(user)
        old = next((one for one in servers if one.name == name), None)
        if old is None:
            raise Problem("server-not-found", server=name)
        options = {key: value for key, value in (old.options | changes).items() if value is not None}
        taken = {one.name for one in servers}
        return await self.start(user, following_name(old, taken), options)

    @asynccontextmanager
    async def bundle(self, user: SessionUser, name: str) -> AsyncIterator[httpx.Response]:
        """Yield the hub's answer with a failed server's papers as a zip, to be streamed.

        Raises
        ------
        Problem
            404 ``server-not-found``: there is no such server, or it left nothing.
        """
        check_name(name)
        async with self.hub.opened(f"/simdeck/servers/{name}/bundle", user.token) as response:
            if response.status_code == 404:
                raise Problem("server-not-found", server=name)
            yield response

    async def beginning(self, user: SessionUser, app: str, clusters: list[ClusterView]) -> Options:
        """Return what a form for ``app`` begins with: the last choice, over the app's wishes, over the defaults."""
        start: dict[str, Any] = dict(clusters[0].defaults) | {"cluster": clusters[0].name} if clusters else {}
        wishes = await run_in_threadpool(self._wishes, app) if app else {}
        last = await run_in_threadpool(self.choices.last, user.name, app)
        known = {cluster.name for cluster in clusters}
        if last is not None and (not clusters or last.get("cluster", clusters[0].name) in known):
            return Options(options=start | wishes | last, source="last")
        return Options(options=start | wishes, source="app" if wishes else "site")

    def _wishes(self, app: str) -> dict[str, Any]:
        """Return what the app's manifest asks for, as options; nothing where the app is not known."""
        try:
            release = self.registry.app(app).releases[0]
        except (Problem, IndexError):
            return {}
        amount, _, unit = release.resources.memory.partition(" ")
        wishes: dict[str, Any] = {"cores": release.resources.cores}
        if amount.isdigit() and unit in MEMORY:
            wishes["memory_mb"] = int(amount) * MEMORY[unit]
        return wishes


def check_name(name: str) -> None:
    """Refuse (404 ``server-not-found``) a name that no server has."""
    if name != DEFAULT and re.fullmatch(NAME, name) is None:
        raise Problem("server-not-found", server=name[:40])


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """Return a name for a new server that is made of ``wanted`` and not ``taken``: ``molecule``, ``molecule-2``."""
    base = re.sub(r"-+\d*$", "", re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-"))[:24].strip("-") or "server"
    names = {base, *taken}
    if base not in set(taken) | RESERVED:
        return base
    return next(name for number in range(2, len(names) + 3) if (name := f"{base}-{number}") not in names)


def following_name(old: ServerView, taken: set[str]) -> str:
    """Return the name to continue ``old`` under: its own when it has ended, else a new one beside it."""
    if not old.active:
        return old.name
    wanted = str(old.options.get("app") or "server") if old.name == DEFAULT else old.name
    return free_name(wanted, taken)


def _server(item: Any) -> ServerView:
    view = _read(ServerView, item)
    # The hub knows the address of a server before anything answers there.
    url = view.url if view.phase == "running" else None
    return view.model_copy(update={"name": view.name or DEFAULT, "url": url})


def _read(model: type[Model], item: Any) -> Model:
    try:
        return model.model_validate(item)
    except ValidationError as error:
        # A hub of another version: what it says cannot be shown, and that is not the caller's fault.
        raise Problem("hub-unavailable", detail="The hub's answer could not be understood.") from error
