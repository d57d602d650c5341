"""The handler of an app's page: skeleton at once, then the kernel, then the notebook's outputs, then the scripts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from typing import Any
from urllib.parse import quote

import nbformat
from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import JupyterHandler
from markupsafe import Markup
from tornado import web  # type: ignore[attr-defined]
from tornado.iostream import StreamClosedError

from simdeck_deck.server_extension import apps, cells, light
from simdeck_deck.server_extension.apps import AppPage
from simdeck_deck.server_extension.config import Settings
from simdeck_deck.server_extension.execute import KernelStartError, PageExecutor
from simdeck_deck.server_extension.frontend import Frontend
from simdeck_deck.server_extension.kernels import end_kernel
from simdeck_deck.server_extension.open_pages import COOKIE, Content, OpenPage, OpenPages, connections_of
from simdeck_deck.server_extension.rendering import Rendering
from simdeck_deck.server_extension.walltime import Walltime

# Apps read the address they were opened with from this name. The address is never part of the code.
AIIDALAB_CELL = "import os as _os\njupyter_notebook_url = _os.environ['VOILA_REQUEST_URL']\ndel _os"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def embed(value: Any) -> Markup:
    """JSON to stand inside a script element; ``script_json`` lets nothing in it end the element."""
    return Markup(cells.script_json(value))  # noqa: S704


def notebook_of(page: AppPage) -> Any:
    """Read the page's notebook; a page made of code has that as its only cell."""
    if page.source:
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(page.source)])
    return nbformat.reads(page.notebook.read_text("utf-8"), as_version=4)


class PageHandler(Rendering, JupyterHandler):  # type: ignore[misc]
    """``/user/<name>/deck/<app>/``."""

    def initialize(
        self,
        settings: Settings,
        frontend: Frontend,
        pages: OpenPages,
        walltime: Walltime,
        redirect: bool = False,
    ) -> None:
        self.simdeck = settings
        self.frontend = frontend
        self.pages = pages
        self.walltime = walltime
        self.only_redirect = redirect
        self.kernel_id: str | None = None
        self.delivered = False
        self.again = False

    @web.authenticated  # type: ignore[untyped-decorator]
    async def get(self, app: str, name: str = "") -> None:
        """Send the page; refuses with a page that says why."""
        if self.only_redirect:
            self.redirect_with_query(f"{self.base_url}deck/{quote(app, safe='')}/")
            return
        try:
            page = await asyncio.to_thread(apps.read, self.simdeck.apps, app, name)
        except apps.NoPageError as reason:
            await self.refuse(str(reason))
            return
        await self.show(page)

    def redirect_with_query(self, address: str) -> None:
        """Send the browser to another address with the query this one has."""
        self.redirect(address + (f"?{self.request.query}" if self.request.query else ""), permanent=False)

    async def show(self, page: AppPage) -> None:
        """Send one notebook page."""
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Cache-Control", "no-store")
        # Asking for the token sets its cookie; the page needs it to end its kernel.
        _ = self.xsrf_token
        try:
            found = self._found_again(page)
            await (self._stream(page) if found is None else self._stream_again(page, found))
            self.delivered = True
        except (StreamClosedError, asyncio.CancelledError):
            self.delivered = False
            raise
        finally:
            if not self.delivered and not self.again:
                await self._shut_down()

    def _key(self, page: AppPage) -> tuple[str, ...]:
        return (page.id, page.version, self.request.path, self.request.query)

    def _found_again(self, page: AppPage) -> OpenPage | None:
        """The same page, opened before, whose kernel waits for its browser to come back."""
        cookie = self.get_cookie(COOKIE)
        if cookie is not None:
            self.clear_cookie(COOKIE, path=self.request.path)
        return self.pages.take(self._key(page), cookie, connections_of(self.kernel_manager))

    async def _stream_again(self, page: AppPage, found: OpenPage) -> None:
        """Send a page that goes on where it was: its widgets' state comes from the kernel, not from here."""
        self.again = True
        assert found.content is not None
        state = None
        if found.content.roots is not None:
            state = {"models": {}, "texts": [], "roots": found.content.roots, "again": True}
        values = {"page": page, "title": page.title, "again": True}
        await self._send(self._render("head.html.j2", **values))
        await self._send(self._config(page, found) + found.content.body)
        await self.finish(
            self._render("foot.html.j2", failure=None, state_json=embed(state) if state else None, **values)
        )

    def _config(self, page: AppPage, record: OpenPage) -> str:
        own = {"kernelId": record.kernel, "simdeckView": record.view, "simdeckReattach": round(self.pages.reattach)}
        config = {**self.frontend.page_config(page, self.base_url), **own}
        return self._render("config.html.j2", config_json=embed(config))

    async def _stream(self, page: AppPage) -> None:
        kernel = asyncio.ensure_future(self._start_kernel(page))
        try:
            await self._send(self._render("head.html.j2", page=page, title=page.title))
            notebook = await asyncio.to_thread(notebook_of, page)
        finally:
            await asyncio.wait({kernel})
        try:
            self.kernel_id = kernel.result()
            record = self.pages.opened(self.kernel_id, self._key(page))
            manager = self.kernel_manager.get_kernel(self.kernel_id)
            executor = PageExecutor(notebook, km=manager, timeout=None)
            await executor.connect()
            if page.tree is not None:
                await executor.prepare(AIIDALAB_CELL)
        except Exception as error:
            self.log.exception("The kernel of %s did not start", page.id)
            await self._finish_with_failure(page, error)
            return
        await self._send(self._config(page, record))
        failure, done = None, []
        async for _index, cell, raised in executor.cells():
            done.append(cell)
            failure = raised
        await executor.disconnect()
        if failure is not None and failure.name == "The kernel ended":
            await self._shut_down()
        # A page of our own widgets is drawn at once by a small script; anything else by Voilà's front end.
        shown = light.roots(done) if failure is None and not self.get_argument("voila", "") else None
        state = light.page_state(executor.widget_state, shown) if shown and not executor.widget_buffers else None
        if state is None:
            body = "".join(cells.to_html(cell) for cell in done)
        else:
            body = "".join(f'<div data-simdeck-root="{root}"></div>' for root in state["roots"])
        if failure is None:
            record.content = Content(body, tuple(state["roots"]) if state is not None else None)
            manager.add_restart_callback(lambda: self.pages.spoil(record.kernel), "restart")
        await self._send(body)
        traceback = ANSI.sub("", failure.traceback) if failure is not None else ""
        state_json = embed(state) if state is not None else None
        await self.finish(
            self._render(
                "foot.html.j2", page=page, title=page.title, failure=failure, traceback=traceback, state_json=state_json
            )
        )

    async def _finish_with_failure(self, page: AppPage, error: Exception) -> None:
        await self._shut_down()
        detail = str(error) if isinstance(error, KernelStartError) else f"{type(error).__name__}: {error}"
        failure = {"name": "The app did not start", "value": detail, "traceback": "", "cell": None}
        await self.finish(self._render("foot.html.j2", page=page, failure=failure, dead=True))

    async def _start_kernel(self, page: AppPage) -> str:
        request = self.request
        host, _, port = request.host.partition(":")
        environment = {
            **os.environ,
            "SCRIPT_NAME": request.path,
            "PATH_INFO": "",
            "QUERY_STRING": request.query,
            "SERVER_NAME": host,
            "SERVER_PORT": port,
            "SERVER_PROTOCOL": request.version,
            "SERVER_SOFTWARE": "voila/simdeck",
            "VOILA_PREHEAT": "False",
            "VOILA_BASE_URL": self.base_url,
            "VOILA_REQUEST_URL": request.full_url(),
            "SIMDECK_APP": page.id,
            "SIMDECK_APP_VERSION": page.version,
            "SIMDECK_PAGE_URL": request.path,
            "SIMDECK_STATIC_URL": self.frontend.url(self.base_url),
        }
        place = {"path": ""} if page.cwd is None else {"cwd": str(page.cwd)}
        environment |= page.environment
        kernel_id = await ensure_async(
            self.kernel_manager.start_kernel(kernel_name=page.kernel, env=environment, **place)
        )
        return str(kernel_id)

    async def _send(self, html: str) -> None:
        self.write(html)
        await self.flush()

    async def _shut_down(self) -> None:
        if self.kernel_id is not None:
            await end_kernel(self.kernel_manager, self.kernel_id)


class CloseHandler(JupyterHandler):  # type: ignore[misc]
    """``POST deck/api/close/<kernel>``: the page was left; its kernel ends, soon or at once. Sent by its beacon."""

    def initialize(self, pages: OpenPages) -> None:
        self.pages = pages

    @web.authenticated  # type: ignore[untyped-decorator]
    async def post(self, kernel_id: str) -> None:
        self.set_status(204)
        with contextlib.suppress(StreamClosedError):  # a page that closes does not wait for the answer
            await self.finish()
        at_once = self.get_body_argument("now", "") == "1"
        if self.pages.leave(kernel_id, self.get_body_argument("view", None)) or at_once:
            await end_kernel(self.kernel_manager, kernel_id)


class StayHandler(JupyterHandler):  # type: ignore[misc]
    """``POST voila/api/shutdown/<kernel>``: what Voilà's scripts send when a page is left. Our own word counts."""

    @web.authenticated  # type: ignore[untyped-decorator]
    async def post(self) -> None:
        self.set_status(204)
        await self.finish()
