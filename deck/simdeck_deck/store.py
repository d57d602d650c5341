"""The store's data: what the registry offers, joined with what the caller has installed."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field
from simdeck_appstore.models import Category, FileRef, InstalledApp, RegistryApp
from simdeck_appstore.registries import Registries, View
from simdeck_appstore.search import narrow
from simdeck_common.problems import Problem
from starlette.concurrency import run_in_threadpool

from simdeck_deck.agents import Agents
from simdeck_deck.usage import Usage, own_apps

log = logging.getLogger(__name__)

# A store without marks of what is installed is better than one that waits for an agent.
AGENT_SECONDS = 3.0


class StoreEntry(BaseModel):
    """One app's card. ``installed`` is the caller's current version; null when it is not installed, or not known."""

    id: str
    title: str
    summary: str
    categories: list[str]
    keywords: list[str]
    authors: str
    logo: str | None = Field(description="Path of the logo at this site.")
    latest: str
    versions: list[str]
    installed: str | None = None
    update: bool = Field(default=False, description="Whether the latest is another one, and it is not pinned.")
    methods: list[str] = []
    codes: list[str] = []
    healthy: bool | None = Field(default=None, description="Outcome of the latest release's check; null: none.")
    used: int = Field(default=0, description="How many people here have it.")


class StoreList(BaseModel):
    """The apps that match, and all categories by their ids. ``installed_known``: whether the agent answered.

    ``facets`` count the apps of each category, method and code among those that the other filters leave.
    """

    items: list[StoreEntry]
    total: int
    categories: dict[str, Category]
    facets: dict[str, dict[str, int]] = {}
    installed_known: bool


class StoreApp(BaseModel):
    """One app's page: what the registry knows, and the caller's installation of it."""

    app: RegistryApp
    logo: str | None
    screenshots: list[str] = Field(description="Paths of the screenshots at this site.")
    installed: InstalledApp | None
    installed_known: bool
    used: int = Field(default=0, description="How many people here have it.")


class Store:
    """Reads the site's registries as each person sees them; ``files_url`` is where the site serves their files."""

    def __init__(self, registries: Registries, agents: Agents, files_url: str, usage: Usage) -> None:
        self.registries = registries
        self.agents = agents
        self.files_url = files_url
        self.usage = usage

    def seen_by(self, user: str) -> View:
        """Return what the site offers ``user``, by the groups the hub last said."""
        return self.registries.seen_by(self.agents.groups(user))

    def url(self, path: str | None) -> str | None:
        """Return where this site serves the registry's file ``path``."""
        return self.files_url + quote(path) if path else None

    async def list(
        self, user: str, q: str = "", category: str | None = None, method: str | None = None, code: str | None = None
    ) -> StoreList:
        """Return the cards of the apps that match all words of ``q`` and the facets given."""
        seen = self.seen_by(user)
        index, found, installed = await asyncio.gather(
            run_in_threadpool(seen.index),
            run_in_threadpool(seen.search, q),
            self.installed(user),
        )
        used = await run_in_threadpool(self.usage.counts)
        asked = {"categories": category, "methods": method, "codes": code}
        kept, facets = narrow(found, {facet: value for facet, value in asked.items() if value is not None}, getattr)
        items = []
        for entry in kept:
            mine = (installed or {}).get(entry.id)
            items.append(
                StoreEntry(
                    **entry.model_dump(exclude={"logo", "text"}),
                    logo=self.url(entry.logo),
                    installed=mine.current if mine else None,
                    update=mine is not None and mine.current != entry.latest and mine.pinned is None,
                    used=used.get(entry.id, 0),
                )
            )
        return StoreList(
            items=items,
            total=len(index.apps),
            categories=index.categories,
            facets=facets,
            installed_known=installed is not None,
        )

    async def app(self, user: str, app: str) -> StoreApp:
        """Return one app; raises ``Problem`` 404 ``app-not-found``."""
        document, installed = await asyncio.gather(run_in_threadpool(self.seen_by(user).app, app), self.installed(user))
        return StoreApp(
            app=document,
            logo=self._file(document.logo),
            screenshots=[url for ref in document.screenshots if (url := self._file(ref))],
            installed=(installed or {}).get(app),
            installed_known=installed is not None,
            used=(await run_in_threadpool(self.usage.counts)).get(app, 0),
        )

    async def installed(self, user: str) -> dict[str, InstalledApp] | None:
        """Return the caller's installed apps by id, or None when the agent does not say so in time."""
        try:
            async with asyncio.timeout(AGENT_SECONDS):
                answer: dict[str, Any] = await self.agents.get_json(user, "/apps")
        except (Problem, TimeoutError) as error:
            log.warning("The store is shown without the installed apps of %s: %s", user, error or "no answer in time")
            return None
        await run_in_threadpool(self.usage.note, user, own_apps(answer["items"]))
        return {item["id"]: InstalledApp.model_validate(item) for item in answer["items"]}

    def _file(self, ref: FileRef | None) -> str | None:
        return self.url(ref.path) if ref else None
