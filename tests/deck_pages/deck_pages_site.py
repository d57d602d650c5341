"""The pages as a web application of their own: real routes, real session cookie and XSRF check, fake sources behind them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from deck_pages_fakes import World
from fastapi import Depends, FastAPI, Request, Response
from simdeck_common.problems import Problem
from simdeck_deck.app import _answer_errors
from simdeck_deck.auth import SESSION_COOKIE, Auth, SessionUser, require_user
from simdeck_deck.keys import Keys
from simdeck_deck.pages import router
from simdeck_deck.pages.binding import get_sources
from simdeck_deck.pages.sources import Sources
from simdeck_deck.security import STATIC, SecurityHeaders
from simdeck_deck.sharing_routes import sharing_of
from simdeck_deck.xsrf import token
from starlette.responses import StreamingResponse
from starlette.staticfiles import StaticFiles

PREFIX = "/services/deck/"
SCOPES = frozenset({"custom:simdeck:runs!user", "custom:simdeck:apps:install!user", "custom:simdeck:server!user"})


class FakeAuth(Auth):
    """The deck's own session handling, with every hub token known: the token's name is the user's."""

    def __init__(self, keys: Keys, scopes: frozenset[str]) -> None:
        self.keys = keys
        self.scopes = scopes
        self.heard = lambda user: None
        self.settings = SimpleNamespace(prefix=PREFIX)  # type: ignore[assignment]

    async def identify(self, token: str, *, hub_session: str = "", session_id: str | None = None) -> SessionUser | None:
        return SessionUser(token, False, (), self.scopes, token, session_id)


@dataclass
class Site:
    """The application, and one world per user name."""

    app: FastAPI
    keys: Keys
    worlds: dict[str, World] = field(default_factory=dict)
    streams: dict[str, list[asyncio.Queue[tuple[str, Any]]]] = field(default_factory=dict)
    loop: asyncio.AbstractEventLoop | None = None

    def listeners(self, path: str) -> int:
        """Return how many browsers follow the event stream at ``path`` now."""
        return len(self.streams.get(path, ()))

    def tell(self, path: str, kind: str, data: Any) -> None:
        """Send an event to all who follow ``path``; from any thread."""
        assert self.loop is not None, "nobody has asked for a stream yet"
        for queue in self.streams.get(path, ()):
            self.loop.call_soon_threadsafe(queue.put_nowait, (kind, data))

    async def stream(self, path: str, *first: tuple[str, Any]) -> AsyncIterator[str]:
        self.loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        for event in first:
            queue.put_nowait(event)
        self.streams.setdefault(path, []).append(queue)
        try:
            while True:
                kind, data = await queue.get()
                yield f"event: {kind}\ndata: {json.dumps(data)}\n\n"
                if kind == "end":
                    return
        finally:
            self.streams[path].remove(queue)

    def cookies(self, user: str) -> dict[str, str]:
        return {SESSION_COOKIE: self.keys.seal({"token": user, "id": f"session-of-{user}"})}

    def xsrf(self, user: str) -> str:
        return token(self.keys, f"session-of-{user}")


def make_site(worlds: dict[str, World], scopes: frozenset[str] = SCOPES) -> Site:
    keys = Keys(b"k" * 32)
    app = FastAPI()
    settings = SimpleNamespace(prefix=PREFIX, secure_cookies=False)
    app.state.deck = SimpleNamespace(auth=FakeAuth(keys, scopes), keys=keys, settings=settings)
    app.add_middleware(SecurityHeaders, prefix=PREFIX)
    _answer_errors(app)

    def sources(user: SessionUser = Depends(require_user)) -> Sources:
        return worlds[user.name].sources()

    def sharing(user: SessionUser = Depends(require_user)) -> Any:
        return worlds[user.name].sharing

    app.dependency_overrides[get_sources] = sources
    app.dependency_overrides[sharing_of] = sharing
    app.include_router(router, prefix=PREFIX.rstrip("/"))
    app.mount(PREFIX + "static", StaticFiles(directory=STATIC), name="static")
    return Site(app, keys, worlds)


ROOT = Path(__file__).parents[2]
VENDORED = {"htmx.min.js": "htmx.org/dist/htmx.min.js", "sse.js": "htmx-ext-sse/dist/sse.js"}

LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="12" fill="#243b6b"/>
<g stroke="#fff" stroke-width="4"><path d="M32 30 16 44M32 30l16 14"/></g><circle cx="32" cy="28" r="11" fill="#e0523f"/>
<circle cx="16" cy="45" r="7" fill="#f3f5f9"/><circle cx="48" cy="45" r="7" fill="#f3f5f9"/></svg>"""
SHOT = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400"><rect width="640" height="400" fill="#f4f6fa"/>
<rect x="24" y="24" width="260" height="352" rx="8" fill="#fff" stroke="#d5dae2"/><path d="M310 340 360 332 380 120 400 330 470 322 490 200
510 326 600 330" fill="none" stroke="#0e5f6e" stroke-width="3"/><circle cx="150" cy="180" r="46" fill="#e0523f"/></svg>"""


def ensure_vendor() -> None:
    """Copy the browser libraries beside the other static files, as ``make up`` does."""
    folder = STATIC / "vendor"
    folder.mkdir(exist_ok=True)
    for name, source in VENDORED.items():
        if not (folder / name).exists():
            (folder / name).write_bytes((ROOT / "node_modules" / source).read_bytes())


def add_fake_api(site: Site) -> None:
    """Add the few API routes that browsers ask beside the pages: pictures, event streams, the server's start."""
    api = PREFIX + "api/v1"

    @site.app.get(api + "/store/files/{path:path}")
    async def picture(path: str) -> Response:
        return Response(LOGO if "logo" in path else SHOT, media_type="image/svg+xml")

    @site.app.get(api + "/runs/{run}/graph.svg")
    async def graph(run: str) -> Response:
        return Response(LOGO, media_type="image/svg+xml")

    @site.app.get(api + "/tasks/{task}/events")
    @site.app.get(api + "/runs/{run}/events")
    @site.app.get(api + "/servers/{server}/events")
    async def events(request: Request) -> Response:
        return StreamingResponse(site.stream(request.url.path.removeprefix(api)), media_type="text/event-stream")

    @site.app.post(api + "/server", status_code=202)
    async def start(user: SessionUser = Depends(require_user)) -> dict[str, str]:
        if user.name == "unstartable":
            raise Problem("server-start-failed", reason="no memory is left on this machine")
        await site.worlds[user.name].server.start()
        return {"state": "starting"}

    @site.app.get(api + "/server/events")
    async def server_events(request: Request) -> Response:
        begun = ("progress", {"percent": 30, "message": "Spawning the server"})
        return StreamingResponse(site.stream("/server/events", begun), media_type="text/event-stream")
