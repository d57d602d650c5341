"""Binds what the pages need to the deck's own parts: agents, hub, registry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from fastapi import Depends, Request
from simdeck_appstore.registries import Shop, View
from simdeck_common.problems import Problem

from simdeck_deck.agents import Agents, problem_of
from simdeck_deck.auth import SessionUser, require_user
from simdeck_deck.codes import site_codes
from simdeck_deck.hub_api import HubAPI
from simdeck_deck.hub_servers import HubServers
from simdeck_deck.pages.sources import Sources
from simdeck_deck.servers import ClusterView, EstimateView, Options, ServerView
from simdeck_deck.usage import Usage, own_apps

# An event stream sends the past at once and then waits for news: silence of this length means that the past is over.
SILENCE = 0.25
# Where news never pauses for so long, the past is what came within this.
HISTORY_SECONDS = 1.5
# A page without its runs is better than one that does not come; a cold agent is up well within this.
PATIENCE = 10.0
HISTORY_LIMIT = 20_000


class AgentOf:
    """One user's agent."""

    def __init__(self, agents: Agents, user: str, usage: Usage | None = None) -> None:
        self._agents = agents
        self._user = user
        self._usage = usage

    async def get(self, path: str, **params: Any) -> Any:
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._agents.get_json(self._user, path, **params)
        except TimeoutError:
            raise self._agents.launcher.unavailable(self._user, "it does not answer in time") from None
        if self._usage is not None and path == "/apps":
            await asyncio.to_thread(self._usage.note, self._user, own_apps(answer["items"]))
        return answer

    async def text(self, path: str) -> str:
        return (await self._request("GET", path)).text

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        response = await self._request(method, path, **({} if body is None else {"json": body}))
        return response.json() if response.content else None

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        client = await self._agents.client(self._user)
        try:
            response = await client.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._agents.launcher.unavailable(self._user, str(error) or type(error).__name__) from error
        if response.is_error:
            raise problem_of(response)
        return response

    async def history(self, path: str) -> list[tuple[str, dict[str, Any]]]:
        client = await self._agents.client(self._user)
        events: list[tuple[str, dict[str, Any]]] = []
        try:
            async with client.stream("GET", path) as response:
                if response.is_error:
                    await response.aread()
                    raise problem_of(response)
                lines = response.aiter_lines()
                kind = ""
                loop = asyncio.get_running_loop()
                end = loop.time() + HISTORY_SECONDS
                while len(events) < HISTORY_LIMIT and (left := end - loop.time()) > 0:
                    try:
                        line = await asyncio.wait_for(anext(lines), min(SILENCE, left))
                    except (TimeoutError, StopAsyncIteration):
                        break
                    field, _, value = line.partition(": ")
                    if field == "event":
                        kind = value
                    elif field == "data" and kind != "end":
                        events.append((kind, json.loads(value)))
        except httpx.TransportError as error:
            raise self._agents.launcher.unavailable(self._user, str(error) or type(error).__name__) from error
        return events


class FactsOf:
    """What the deck itself has counted, and what lies in the data folder."""

    def __init__(self, usage: Usage, data: Path) -> None:
        self._usage = usage
        self._data = data

    async def used(self, app: str) -> int:
        return (await asyncio.to_thread(self._usage.counts)).get(app, 0)

    async def codes(self) -> list[str]:
        return await asyncio.to_thread(site_codes, self._data)


class StoreOf:
    """The registry, read in a thread; what it returns is kept until the registry changes."""

    def __init__(self, registry: Shop) -> None:
        self._registry = registry

    async def index(self) -> Mapping[str, Any]:
        index = await asyncio.to_thread(self._registry.index)
        return {
            "apps": _dumped(index.apps),
            "categories": {name: item.model_dump() for name, item in index.categories.items()},
            "refused": [problem.to_json() for problem in await asyncio.to_thread(_problems, self._registry)],
        }

    async def search(self, text: str) -> list[Mapping[str, Any]]:
        return _dumped(await asyncio.to_thread(self._registry.search, text))

    async def app(self, app: str) -> Mapping[str, Any] | None:
        try:
            return (await asyncio.to_thread(self._registry.app, app)).model_dump()
        except Problem as problem:
            if problem.code == "app-not-found":
                return None
            raise


def _problems(shop: Shop) -> list[Problem]:
    """Return why registries are left out of the list."""
    return shop.problems() if isinstance(shop, View) else []


def _dumped(entries: list[Any]) -> list[Mapping[str, Any]]:
    return [dict(entry) for entry in entries]


class ServerOf:
    """One user's Jupyter server."""

    def __init__(self, hub: HubAPI, user: SessionUser) -> None:
        self._hub = hub
        self._user = user

    async def state(self) -> Mapping[str, Any]:
        return (await self._hub.server(self._user.name, self._user.token)).model_dump()

    async def start(self) -> None:
        await self._hub.start(self._user.name, self._user.token, {})

    async def stop(self) -> None:
        await self._hub.stop(self._user.name, self._user.token)


class ServersOf:
    """One user's servers and clusters."""

    def __init__(self, servers: HubServers, user: SessionUser) -> None:
        self._servers = servers
        self._user = user

    async def clusters(self) -> list[ClusterView]:
        return await self._servers.clusters(self._user)

    async def servers(self) -> list[ServerView]:
        return await self._servers.servers(self._user)

    async def server(self, name: str) -> ServerView:
        return await self._servers.server(self._user, name)

    async def estimate(self, options: dict[str, Any]) -> EstimateView:
        return await self._servers.estimate(self._user, options)

    async def beginning(self, app: str, clusters: list[ClusterView]) -> Options:
        return await self._servers.beginning(self._user, app, clusters)

    async def start(self, name: str, options: dict[str, Any]) -> ServerView:
        return await self._servers.start(self._user, name, options)

    async def replace(self, name: str, options: dict[str, Any]) -> ServerView:
        return await self._servers.replace(self._user, name, options)

    async def stop(self, name: str, *, remove: bool = False) -> None:
        await self._servers.stop(self._user, name, remove=remove)

    async def continue_(self, name: str, changes: dict[str, Any]) -> ServerView:
        return await self._servers.continue_(self._user, name, changes)


def get_sources(request: Request, user: SessionUser = Depends(require_user)) -> Sources:
    """FastAPI dependency: the sources of the signed-in user."""
    deck = request.app.state.deck
    return Sources(
        agent=AgentOf(deck.agents, user.name, deck.usage),
        store=StoreOf(deck.registries.seen_by(user.groups)),
        server=ServerOf(deck.hub, user),
        servers=ServersOf(deck.servers, user),
        facts=FactsOf(deck.usage, deck.settings.data),
    )
