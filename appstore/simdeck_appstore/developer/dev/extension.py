"""The Jupyter server's part of `simdeck app dev`: the page around the app's page, and the way to the agent.

``<base>/dev/`` shows the app in a frame and loads it anew when the session says so (``POST dev/changed``);
``<base>/dev/api/v1/…`` is the agent's API, as the deck serves it. Told by ``SIMDECK_DEV`` (JSON) in the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import Any

import httpx
from jupyter_server.base.handlers import JupyterHandler
from tornado import web  # type: ignore[attr-defined]
from tornado.iostream import StreamClosedError

SHELL = Path(__file__).with_name("shell.html")
PASSED = ("content-type", "accept", "idempotency-key", "last-event-id")
ANSWERED = ("content-type", "location", "content-disposition", "retry-after", "cache-control")
BEAT_SECONDS = 15.0
# Streams of events are silent for as long as nothing happens.
ASKED = httpx.Timeout(30.0, read=None)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "simdeck_appstore.developer.dev.extension"}]


def _load_jupyter_server_extension(server_app: Any) -> None:
    told = json.loads(os.environ["SIMDECK_DEV"])
    state = State(told)
    base = server_app.web_app.settings["base_url"].rstrip("/")
    given = {"state": state}
    server_app.web_app.add_handlers(
        ".*$",
        [
            (f"{base}/", web.RedirectHandler, {"url": f"{base}/dev/", "permanent": False}),
            (f"{base}/dev/", ShellHandler, given),
            (f"{base}/dev/events", EventsHandler, given),
            (f"{base}/dev/changed", ChangedHandler, given),
            (f"{base}/dev/api/v1/(.*)", ApiHandler, given),
        ],
    )


class State:
    """What the session said last, and who waits for the next word."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.app: str = told["app"]
        self.title: str = told["title"]
        self.socket: str | None = told.get("socket")
        self.said: dict[str, Any] = {"number": 0, "version": told.get("version", ""), "problem": None}
        self._next = asyncio.Event()

    def say(self, said: dict[str, Any]) -> None:
        self.title = str(said.get("title") or self.title)
        self.said = {"number": self.said["number"] + 1, **{key: said.get(key) for key in ("version", "problem")}}
        waiting, self._next = self._next, asyncio.Event()
        waiting.set()

    async def wait(self, number: int, seconds: float) -> dict[str, Any] | None:
        """Return what was said after ``number``, or None when nothing was for ``seconds``."""
        if self.said["number"] == number:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._next.wait(), seconds)
        return self.said if self.said["number"] != number else None


class DevHandler(JupyterHandler):  # type: ignore[misc]
    def initialize(self, state: State) -> None:
        self.state = state


class ShellHandler(DevHandler):
    @web.authenticated  # type: ignore[untyped-decorator]
    def get(self) -> None:
        """Send the page; what it needs to know stands in it as data."""
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Cache-Control", "no-store")
        about = {"app": self.state.app, "title": self.state.title, "base": self.base_url, **self.state.said}
        data = json.dumps(about).replace("<", "\\u003c")
        self.finish(SHELL.read_text("utf-8").replace("{{ about }}", data))


class EventsHandler(DevHandler):
    @web.authenticated  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        """Tell each word of the session as a server-sent event."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        number = int(self.get_argument("after", "0"))
        with contextlib.suppress(StreamClosedError):
            while True:
                said = await self.state.wait(number, BEAT_SECONDS)
                if said is None:
                    self.write(": still here\n\n")
                else:
                    number = said["number"]
                    self.write(f"data: {json.dumps(said)}\n\n")
                await self.flush()


class ChangedHandler(DevHandler):
    @web.authenticated  # type: ignore[untyped-decorator]
    def post(self) -> None:
        """Take the session's word."""
        self.state.say(json.loads(self.request.body))
        self.set_status(204)
        self.finish()


class ApiHandler(DevHandler):
    """The agent's routes, for whoever holds the server's token: the app's page does."""

    @web.authenticated  # type: ignore[untyped-decorator]
    async def get(self, path: str) -> None:
        await self._pass(path)

    post = patch = delete = get

    async def _pass(self, path: str) -> None:
        if self.state.socket is None:
            self.set_status(503)
            self.finish({"title": "No workflow backend", "detail": "This session runs without a workflow backend."})
            return
        headers = {name: self.request.headers[name] for name in PASSED if name in self.request.headers}
        query = f"?{self.request.query}" if self.request.query else ""
        transport = httpx.AsyncHTTPTransport(uds=self.state.socket)
        async with httpx.AsyncClient(transport=transport, base_url="http://agent", timeout=ASKED) as client:
            asked = client.build_request(
                self.request.method or "GET", f"/{path}{query}", content=self.request.body, headers=headers
            )
            try:
                answer = await client.send(asked, stream=True)
            except httpx.HTTPError:
                self.set_status(503)
                self.finish({"title": "The backend does not answer", "detail": "The workflow backend is starting."})
                return
            self.set_status(answer.status_code)
            for name in ANSWERED:
                if name in answer.headers:
                    self.set_header(name, answer.headers[name])
            with contextlib.suppress(StreamClosedError, httpx.HTTPError):
                async for chunk in answer.aiter_bytes():
                    self.write(chunk)
                    await self.flush()
                await self.finish()
            await answer.aclose()
