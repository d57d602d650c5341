"""The agent's web application: the API's routes on one user's backend and installer; and whether it is idle."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI
from simdeck_common.layout import UserHome, private_dir
from starlette.types import ASGIApp, Receive, Scope, Send

from simdeck_agent import api, problem_answers
from simdeck_agent.api import sharing
from simdeck_agent.api.parts import Agent, follow_site
from simdeck_agent.callers import CallerGroups
from simdeck_agent.guests import Guests
from simdeck_agent.launcher import ACTIVE_MARKER
from simdeck_agent.pins import Pins
from simdeck_agent.ports import AppInstaller, WorkflowBackend
from simdeck_agent.settings import AgentSettings
from simdeck_agent.shares import Shares
from simdeck_agent.site_apps import SiteApps
from simdeck_agent.task_store import TaskStore
from simdeck_agent.tasks import Tasks

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0


class Activity:
    """Counts requests under way and remembers the last one's end (monotonic seconds)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.requests = 0
        self.last = time.monotonic()
        self.quiet = asyncio.Event()
        self.quiet.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.requests += 1
        self.quiet.clear()
        try:
            await self.app(scope, receive, send)
        finally:
            self.requests -= 1
            if not self.requests:
                self.quiet.set()
            self.last = time.monotonic()


class AgentApp:
    """One user's agent, without its socket: ``asgi`` is what to serve.

    Parameters
    ----------
    user, home, settings
        Whose agent, where their data are, and the instance's settings.
    installer, backend
        The two neighbours behind the routes.
    """

    def __init__(
        self, user: str, home: UserHome, settings: AgentSettings, installer: AppInstaller, backend: WorkflowBackend
    ) -> None:
        self.settings = settings
        self.closing = asyncio.Event()
        self.backend = backend
        self.marker = private_dir(home.agent) / ACTIVE_MARKER
        self.store = TaskStore(home.agent / "tasks.sqlite")
        self.tasks = Tasks(self.store, installer, backend, settings.parallel_tasks)
        self.app = FastAPI(
            title="Simdeck agent", openapi_url=None, docs_url=None, redoc_url=None, lifespan=self._lifespan
        )
        pins = Pins(home.agent / "pins.json")
        shares = Shares(home.agent / "shares.sqlite")
        self.guests = Guests(installer, backend, shares)
        self.app.state.agent = Agent(
            user, installer, backend, self.tasks, self.mark, self.closing,
            pins=pins, shares=shares, guests=self.guests, policy=settings.apps,
            site_apps=SiteApps(installer, backend, settings.apps, pins),
        )  # fmt: skip
        problem_answers.install(self.app)
        for router in api.ROUTERS:
            self.app.include_router(router, dependencies=[Depends(follow_site)] if router in api.OF_APPS else [])
        # Not among the routers that the deck serves as they are.
        self.app.include_router(sharing.router)
        self.app.include_router(sharing.shared)
        self.asgi = Activity(CallerGroups(sharing.ShareGate(self.app)))

    def mark(self) -> None:
        """Write the marker that has the launcher start this agent again if it dies."""
        mark(self.marker)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        await self.backend.start()
        await self.tasks.start()
        try:
            yield
        finally:
            await self.tasks.stop()
            await self.backend.stop()

    def busy(self) -> bool:
        """Say whether a run or a task is unfinished (reads the disk; call it in a thread)."""
        return self.tasks.active() or self.backend.active()

    async def watch_idleness(self, end: Callable[[], None], tick: float = TICK_SECONDS) -> None:
        """Keep the marker true to what is unfinished; call ``end`` once nothing has gone on for ``idle_seconds``."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.closing.wait(), tick)
                return
            await self.guests.look()
            if await asyncio.to_thread(self.busy):
                await asyncio.to_thread(self.mark)
                self.asgi.last = time.monotonic()
                continue
            # A request under way may be about to begin something: its marker, written first, must stay.
            if self.asgi.requests:
                continue
            self.marker.unlink(missing_ok=True)
            if time.monotonic() - self.asgi.last > self.settings.idle_seconds:
                log.info("Nothing has gone on for %.0f s: ending", self.settings.idle_seconds)
                end()
                return


def mark(path: Path) -> None:
    """Make the marker file, if it is not there."""
    path.touch(mode=0o600)
