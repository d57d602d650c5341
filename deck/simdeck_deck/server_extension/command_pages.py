"""Pages of apps that are web programs: ``deck/<app>/…`` is passed on to the program's Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from urllib.parse import quote

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server_proxy.handlers import LocalProxyHandler
from tornado import web  # type: ignore[attr-defined]

from simdeck_deck.server_extension import apps
from simdeck_deck.server_extension.commands import Program, Programs
from simdeck_deck.server_extension.config import Settings
from simdeck_deck.server_extension.frontend import Frontend
from simdeck_deck.server_extension.rendering import Rendering
from simdeck_deck.server_extension.walltime import Walltime

PATIENCE = 1.5
"""Seconds a person looks at nothing before the page says that the app is starting."""


class CommandHandler(Rendering, LocalProxyHandler):  # type: ignore[misc]
    """``deck/<app>/<anything>`` of an app with a program of its own."""

    def initialize(
        self, programs: Programs, settings: Settings, frontend: Frontend, walltime: Walltime, **_: Any
    ) -> None:
        self.programs = programs
        self.simdeck = settings
        self.frontend = frontend
        self.walltime = walltime
        self._open: Any = None

    async def prepare(self) -> None:
        await super().prepare()
        # The program checks its own forms; that another site sends them with this browser's cookies, we see.
        if self.request.method not in {"GET", "HEAD"} and self.request.headers.get("Sec-Fetch-Site") == "cross-site":
            raise web.HTTPError(403)

    async def proxy(self, app: str, path: str) -> None:
        """Pass a request on, once the program answers; until then, or if it does not, say so in a page."""
        program = await self._program(app)
        if program is None:
            return
        page = self.request.method == "GET" and "text/html" in self.request.headers.get("Accept", "")
        if program.state == "starting":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(program.settled.wait(), PATIENCE if page else self.programs.start_seconds)
        if program.state == "running":
            self._aim(program)
            with program.used():
                await super(LocalProxyHandler, self).proxy("localhost", 0, path)
            return
        self.set_header("Cache-Control", "no-store")
        if not page:
            raise web.HTTPError(503)
        await self._say(program)

    async def open(self, app: str, path: str) -> None:
        """A websocket; while it is open the program is in use."""
        program = self.programs.find(app)
        if program is None or program.state != "running":
            self.close(1013, "The app is not running")
            return
        self._aim(program)
        self._open = program.used()
        self._open.__enter__()
        await super(LocalProxyHandler, self).proxy_open("localhost", 0, path)

    def on_close(self) -> None:
        if self._open is not None:
            self._open.__exit__(None, None, None)
            self._open = None
        super().on_close()

    def proxy_request_headers(self) -> Any:
        """The request's headers without what proves to the hub and to this server who sends them."""
        headers = super().proxy_request_headers()
        kept = [
            part
            for part in headers.get("Cookie", "").split("; ")
            if part and not part.startswith(("jupyter", "_xsrf="))
        ]
        for name in ("Cookie", "Authorization", "X-XSRFToken"):
            headers.pop(name, None)
        if kept:
            headers["Cookie"] = "; ".join(kept)
        return headers

    def _aim(self, program: Program) -> None:
        self.unix_socket = str(program.socket)
        self.proxy_base = f"deck/{program.address}"
        self.absolute_url = program.absolute

    async def _program(self, app: str) -> Program | None:
        try:
            found = await asyncio.to_thread(apps.read_app, self.simdeck.apps, app)
            return self.programs.get(found, app, f"{self.base_url}deck/{quote(app, safe='')}/")
        except apps.NoPageError as reason:
            await self.refuse(str(reason))
            return None

    async def _say(self, program: Program) -> None:
        _ = self.xsrf_token
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        failed = program.state != "starting"
        if failed:
            self.set_status(502)
        await self.finish(
            self._render(
                "program.html.j2",
                title=program.app.title,
                app=program.app,
                address=program.address,
                failed=failed,
                reason=program.reason or "Its program has ended.",
                tail=program.tail(),
                query=self.request.query,
                xsrf=self.xsrf_token.decode(),
            )
        )


class ProgramHandler(JupyterHandler):  # type: ignore[misc]
    """``deck/api/program/<app>``: GET says how it is; POST forgets that it failed and leads back to the app."""

    def initialize(self, programs: Programs) -> None:
        self.programs = programs

    @web.authenticated  # type: ignore[untyped-decorator]
    async def get(self, app: str) -> None:
        found = self.programs.find(app)
        self.set_header("Cache-Control", "no-store")
        await self.finish({"state": found.state if found is not None else "ended"})

    @web.authenticated  # type: ignore[untyped-decorator]
    async def post(self, app: str) -> None:
        await self.programs.retry(app)
        query = self.get_body_argument("query", "")
        self.redirect(f"{self.base_url}deck/{quote(app, safe='')}/" + (f"?{query}" if query else ""), status=303)
