"""The pages on fake sources, asked in process."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))
from deck_pages_fakes import World
from deck_pages_site import PREFIX, Site, ensure_vendor, make_site
from deck_pages_worlds import WORLDS
from shots import CHROMIUM, FLAGS, open_page, serving, shots_site

# Enough for two busy processors; what is expected usually holds within a fraction of a second.
expect.set_options(timeout=60_000)


@dataclass
class Visitor:
    """A signed-in person: ``get`` and ``post`` take paths below the deck."""

    client: httpx.AsyncClient
    site: Site
    user: str

    @property
    def world(self) -> World:
        return self.site.worlds[self.user]

    @property
    def headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.site.cookies(self.user).items())
        return {"accept": "text/html", "cookie": cookies}

    async def get(self, path: str, *, fragment: bool = False) -> httpx.Response:
        headers = self.headers | ({"hx-request": "true"} if fragment else {})
        return await self.client.get(PREFIX + path, headers=headers)

    async def soup(self, path: str, *, fragment: bool = False) -> BeautifulSoup:
        return BeautifulSoup((await self.get(path, fragment=fragment)).text, "html.parser")

    async def post(self, path: str, *, xsrf: str | None = None, **form: str) -> httpx.Response:
        """Send a form; ``xsrf`` defaults to the token of this session, an empty text leaves it out."""
        token = self.site.xsrf(self.user) if xsrf is None else xsrf
        return await self.client.post(
            PREFIX + path,
            data=form | ({"_xsrf": token} if token else {}),
            headers=self.headers,
        )


@pytest.fixture
async def client() -> AsyncIterator[Callable[[Site], httpx.AsyncClient]]:
    opened: list[httpx.AsyncClient] = []

    def make(site: Site) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(site.app)
        opened.append(httpx.AsyncClient(transport=transport, base_url="http://deck.test"))
        return opened[-1]

    yield make
    for one in opened:
        await one.aclose()


@pytest.fixture
def visitor(client: Callable[[Site], httpx.AsyncClient]) -> Callable[[str], Visitor]:
    """Return a maker of visitors to one of the worlds by name."""

    def make(world: str) -> Visitor:
        site = make_site({world: WORLDS[world]()})
        return Visitor(client(site), site, world)

    return make


Open = Callable[..., Page]


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until ``condition`` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


# Pages look again by themselves from time to time; without that a test sees what events alone bring.
NO_POLLS = """window.setTimeout = ((real) => (act, ms, ...rest) => ms >= 3000 ? 0 : real(act, ms, ...rest))(window.setTimeout)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield one
        one.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Return a function that opens a page of a world; what the console complains about fails the test."""
    ensure_vendor()
    site = shots_site()
    complaints: list[str] = []
    with serving(site) as origin:

        def visit(world: str, path: str, size: str = "desktop", scheme: str = "light", polls: bool = True) -> Page:
            page = open_page(browser, origin, site, world, size, scheme)
            if not polls:
                page.add_init_script(NO_POLLS)
            page.on(
                "console",
                lambda message: (
                    complaints.append(f"{message.text} {message.location}") if message.type == "error" else None
                ),
            )
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(origin + PREFIX + path)
            return page

        visit.site = site  # type: ignore[attr-defined]
        visit.complaints = complaints  # type: ignore[attr-defined]
        yield visit
        for context in browser.contexts:
            context.close()
    # What the fakes say they have begun is nowhere.
    assert [one for one in complaints if "/new-id" not in one] == []
