"""AiiDAlab's addresses: ``<server>/apps/apps/<app>/x.ipynb`` is a page of an AiiDAlab app, other files are its files.

They are served below those very addresses, so that what pages link to (each other, a picture, a page of another app) is
found where AiiDAlab has it. An app's front page is ``<server>/apps/apps/<app>/``: its banner and its pages.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from tornado import web  # type: ignore[attr-defined]

from simdeck_deck.server_extension import aiidalab_app, apps
from simdeck_deck.server_extension.apps import PAGES, Installed
from simdeck_deck.server_extension.assets import StaticFile
from simdeck_deck.server_extension.config import Settings
from simdeck_deck.server_extension.page import PageHandler
from simdeck_deck.server_extension.routing import OfKind

HOME = "home"
"""AiiDAlab's own app: its start page, store and lists are the deck's here."""

ELSEWHERE = {
    "start.ipynb": "",
    "single_app.ipynb": "store",
    "appstore.ipynb": "store",
    "open_app.ipynb": "store",
    "process.ipynb": "runs",
    "process_list.ipynb": "runs",
    "terminal.ipynb": "",
}
"""Pages of ``home`` → pages of the deck."""


class AiidalabHandler(PageHandler):
    """``apps/apps/<app>/`` and the notebooks below it."""

    @web.authenticated  # type: ignore[untyped-decorator]
    async def get(self, app: str, name: str = "") -> None:
        """Send a page, or the front page."""
        if self.only_redirect:
            self.redirect_with_query(f"{self.base_url}{PAGES}/{quote(app, safe='')}/")
            return
        try:
            found = await asyncio.to_thread(apps.read_app, self.simdeck.apps, app)
        except apps.NoPageError as reason:
            await self._other_app(app, name, str(reason))
            return
        if found.kind != "aiidalab":
            self.redirect_with_query(f"{self.base_url}deck/{quote(app, safe='')}/")
        elif not name:
            await self._front(found)
        else:
            await super().get(app, name)

    async def _front(self, app: Installed) -> None:
        """The banner, live where it is a program, and the list of pages."""
        if app.entry.get("start") == aiidalab_app.START:
            await super().get(app.id, aiidalab_app.START)
            return
        names = aiidalab_app.notebooks(app)
        html = await asyncio.to_thread(aiidalab_app.banner, app)
        if html is None and len(names) == 1:
            self.redirect_with_query(quote(names[0]))
            return
        try:
            page = await asyncio.to_thread(apps.read, self.simdeck.apps, app.id)
        except apps.NoPageError as reason:
            await self.refuse(str(reason))
            return
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Cache-Control", "no-store")
        await self.finish(
            self._render("front.html.j2", page=page, title=app.title, banner=Markup(html or ""))  # noqa: S704
        )

    async def _other_app(self, app: str, name: str, reason: str) -> None:
        """A link to an app that is not there: the deck has what AiiDAlab's ``home`` has, the store has the rest."""
        wanted = self.get_argument("app", "")
        if app == HOME:
            place = ELSEWHERE.get(name, "")
            if place == "store" and apps.is_app_name(wanted):
                # An app named by a link is shown, never installed: the store's page asks.
                place = f"store/{quote(wanted, safe='')}"
            self.redirect(self.simdeck.deck_url + place)
            return
        store = f"{self.simdeck.deck_url}store/{quote(app, safe='')}" if apps.is_app_name(app) else ""
        await self.refuse(f"{reason} A page of another app links to it: {app}.", store_url=store)


class AppFileHandler(StaticFile):
    """A file of an AiiDAlab app's tree, at the address its pages link to."""

    def initialize(self, settings: Settings) -> None:
        self.simdeck = settings

    @web.authenticated  # type: ignore[untyped-decorator]
    async def get(self, app: str, path: str) -> None:
        try:
            found = await asyncio.to_thread(apps.read_app, self.simdeck.apps, app)
        except apps.NoPageError:
            raise web.HTTPError(404) from None
        await self._serve(aiidalab_app.file_of(found, path))

    def set_extra_headers(self, path: str) -> None:
        # The address stays when a new version becomes current.
        self.set_header("Cache-Control", "no-cache")


class ElsewhereHandler(PageHandler):
    """``deck/<app>/…``, ``notebooks/apps/<app>/…``, ``tree/…``, ``files/…``: the same below ``apps/apps/``."""

    @web.authenticated  # type: ignore[untyped-decorator]
    async def get(self, app: str, name: str = "") -> None:
        self.redirect_with_query(f"{self.base_url}{PAGES}/{quote(app, safe='')}/{quote(name)}")


class HomeHandler(PageHandler):
    """``apps/`` and ``apps/apps/``: the deck."""

    @web.authenticated  # type: ignore[untyped-decorator]
    async def get(self, app: str = "", name: str = "") -> None:
        self.redirect(self.simdeck.deck_url)


def routes(base: str, settings: Settings, page: dict[str, Any]) -> list[Any]:
    """Return the routes below the server's address ``base``; ``page`` is what page handlers are made with."""
    own = f"{base}{PAGES}/([^/]+)"
    files = {"settings": settings}
    return [
        (f"{base}apps/?", HomeHandler, page),
        (f"{base}{PAGES}/?", HomeHandler, page),
        (own, AiidalabHandler, {**page, "redirect": True}),
        (f"{own}/", AiidalabHandler, page),
        (f"{own}/(.+\\.ipynb)", AiidalabHandler, page),
        (f"{own}/(.+)", AppFileHandler, files),
        (OfKind(f"{base}(?:notebooks|tree|files)/apps/([^/]+)/?(.*)$", settings, "aiidalab"), ElsewhereHandler, page),
    ]
