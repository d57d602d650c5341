"""The deck on a real port before agents with fakes behind them, and a hub that knows a handful of tokens."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from deck_api import deck_api_clusters
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from simdeck_agent.settings import AgentSettings
from simdeck_agent.testing import FakeLauncher, serving
from simdeck_deck import xsrf
from simdeck_deck.app import Deck, create_app, make_deck
from simdeck_deck.settings import DeckSettings

ACCESS = "access:services!service=deck"
EVERYTHING = ("runs", "apps:install", "server")
PREFIX = "/services/deck"
API = PREFIX + "/api/v1"


@dataclass
class FakeHub:
    """The part of the hub's API that the deck uses, over dictionaries."""

    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    codes: dict[str, tuple[str, str]] = field(default_factory=dict)
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    progress: list[dict[str, Any]] = field(default_factory=list)
    refuse_start: str | None = None
    stopping: int = 0
    """How many more starts are answered that the server is being stopped."""
    clusters: list[dict[str, Any]] | None = None
    views: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    started: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    ended: list[tuple[str, str, bool]] = field(default_factory=list)
    asked: int = 0
    down: bool = False

    def token(self, user: str, *scopes: str, access: bool = True, kind: str = "user") -> str:
        """Return a new token of ``user`` with the short ``scopes``, expanded as the hub does."""
        token = secrets.token_hex(16)
        held = [scope if ":" in scope and "!" in scope else f"custom:simdeck:{scope}!user={user}" for scope in scopes]
        model = {"name": user, "kind": kind, "admin": False, "groups": [], "scopes": held + [ACCESS] * access}
        self.tokens[token] = model
        return token

    def app(self) -> FastAPI:
        app = FastAPI()

        def caller(request: Request) -> dict[str, Any] | None:
            return self.tokens.get(request.headers.get("authorization", "").removeprefix("token "))

        @app.middleware("http")
        async def outage(request: Request, call_next: Any) -> Response:
            return Response(status_code=503) if self.down else await call_next(request)

        @app.get("/hub/api/user")
        async def user(request: Request) -> Response:
            self.asked += 1
            model = caller(request)
            return JSONResponse(model, 200 if model else 403)

        @app.post("/hub/api/oauth2/token")
        async def exchange(request: Request) -> Response:
            form = await request.form()
            challenge, token = self.codes.pop(str(form["code"]), ("", ""))
            digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
            if not token or base64.urlsafe_b64encode(digest).decode().rstrip("=") != challenge:
                return JSONResponse({"error": "invalid_grant"}, 400)
            return JSONResponse({"access_token": token})

        @app.get("/hub/api/users/{name}")
        async def get_user(name: str, request: Request) -> Response:
            model = caller(request)
            if model is None or model["name"] != name:
                return JSONResponse({"message": "Not Found"}, 404)
            server = self.servers.get(name)
            return JSONResponse({"name": name, "servers": {"": server} if server else {}})

        @app.post("/hub/api/users/{name}/server")
        async def start(name: str, request: Request) -> Response:
            if self.refuse_start:
                return JSONResponse({"message": self.refuse_start}, 400)
            if self.stopping:
                self.stopping -= 1
                return JSONResponse({"message": f"{name} is pending stop"}, 400)
            if name in self.servers:
                return JSONResponse({"message": f"{name} is already running"}, 400)
            self.servers[name] = {"pending": "spawn", "ready": False, "url": f"/user/{name}/"}
            return Response(status_code=202)

        @app.delete("/hub/api/users/{name}/server")
        async def stop(name: str, request: Request) -> Response:
            self.servers.pop(name, None)
            return Response(status_code=204)

        @app.get("/hub/api/users/{name}/server/progress")
        async def follow(name: str, request: Request) -> Response:
            if name not in self.servers:
                return JSONResponse({"message": "not starting"}, 400)

            async def told() -> AsyncIterator[str]:
                for event in self.progress:
                    yield f"data: {json.dumps(event)}\n\n"

            return StreamingResponse(told(), media_type="text/event-stream")

        deck_api_clusters.add_routes(app, self, caller)
        return app


@dataclass
class Site:
    """Deck, hub and agents, running."""

    url: str
    deck: Deck
    hub: FakeHub
    launcher: FakeLauncher
    app: FastAPI

    def client(self, token: str | None = None, **headers: str) -> httpx.AsyncClient:
        """Return a client of the API with a token."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.AsyncClient(base_url=self.url + API, headers=headers, timeout=30)

    def browser(self) -> httpx.AsyncClient:
        """Return a client that keeps cookies and asks for pages."""
        return httpx.AsyncClient(base_url=self.url, headers={"Accept": "text/html"}, timeout=30)

    @asynccontextmanager
    async def signed_in(self, user: str = "alice", *scopes: str) -> AsyncIterator[httpx.AsyncClient]:
        """Yield a browser that has gone through the login as ``user``."""
        token = self.hub.token(user, *(scopes or EVERYTHING))
        async with self.browser() as browser:
            response = await browser.get(PREFIX + "/account")
            assert response.status_code == 302, response.text
            query = httpx.URL(response.headers["location"]).params
            code = secrets.token_hex(8)
            self.hub.codes[code] = (query["code_challenge"], token)
            response = await browser.get(PREFIX + "/oauth_callback", params={"code": code, "state": query["state"]})
            assert response.status_code == 302, response.text
            yield browser

    def xsrf(self, browser: httpx.AsyncClient) -> str:
        """Return the XSRF token of the browser's session."""
        cookie = browser.cookies["simdeck-session"].strip('"')
        session = self.deck.keys.unseal(cookie, 1000)
        assert session is not None
        return xsrf.token(self.deck.keys, session["id"])


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The servers, started once per file; ``site`` hands them out as new."""
    data = tmp_path_factory.mktemp("deck")
    settings = AgentSettings(data=data, backend_python=Path("/nowhere/python"), uv=Path("/nowhere/uv"))
    settings.write(data / "agent.json")
    hub = FakeHub()
    launcher = FakeLauncher(data / "agent.json", settings)
    launcher.prepare()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", tempfile.gettempdir())
        async with serving(hub.app(), asyncio.Event()) as hub_url:
            environment = {
                "JUPYTERHUB_API_TOKEN": "service-secret",
                "JUPYTERHUB_API_URL": hub_url + "/hub/api",
                "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:0",
                "SIMDECK_AGENT_SETTINGS": str(data / "agent.json"),
                "SIMDECK_MAX_REQUEST_BYTES": str(2**20),
            }
            deck = make_deck(DeckSettings.from_env(environment), launcher)
            app = create_app(deck)
            async with serving(app, deck.closing) as url:
                yield Site(url, deck, hub, launcher, app)


@pytest.fixture
async def site(running: Site) -> AsyncIterator[Site]:
    """A deck that has seen nobody yet."""
    yield running
    await running.launcher.stack.aclose()
    running.launcher.prepare()
    await running.deck.agents.close()
    running.deck.closing.clear()
    running.deck.auth.hub.cache.clear()
    vars(running.hub).update(vars(FakeHub()))
    for folder in ("users", "registry"):
        shutil.rmtree(running.deck.settings.data / folder, ignore_errors=True)
    running.launcher._homes.clear()
    with running.deck.servers.choices._db as choices:
        choices.execute("DELETE FROM choices")
    with running.deck.usage._db as uses:
        uses.execute("DELETE FROM uses")
    running.deck.usage._known.clear()
    running.deck.usage._counts = None
