"""Keeps guest versions of apps in step with the shares that brought them: there while one is open, gone after it."""

from __future__ import annotations

import asyncio
import logging
import time

from simdeck_appstore.guest_versions import GuestVersion
from simdeck_common.problems import Problem

from simdeck_agent.ports import AppInstaller, WorkflowBackend
from simdeck_agent.shares import Received, Shares

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0


class Guests:
    """The guest versions of one user."""

    def __init__(self, installer: AppInstaller, backend: WorkflowBackend, shares: Shares) -> None:
        self._installer = installer
        self._backend = backend
        self._shares = shares
        self._lock = asyncio.Lock()
        self._next = 0.0

    def all(self) -> list[GuestVersion]:
        """Return those that are here. Blocking."""
        return self._installer.guests()

    def open_shares(self) -> list[Received]:
        """Return the received shares of apps that are not over, newest first. Blocking."""
        return [one for one in self._shares.all_received() if one.app is not None and not one.over]

    async def tidy(self) -> None:
        """Take away what no share brings any more, unless a page or an unfinished run of it is open."""
        async with self._lock:
            self._next = time.monotonic() + LOOK_SECONDS
            if await asyncio.to_thread(self._tidy):
                await self._backend.reload()

    async def look(self) -> None:
        """Tidy, when it is time to."""
        if time.monotonic() >= self._next:
            try:
                await self.tidy()
            except (OSError, Problem) as error:
                log.warning("Guest versions of apps cannot be looked after: %s", error)

    def _tidy(self) -> bool:
        wanted = {(one.app, one.version) for one in self.open_shares()}
        gone = False
        for guest in self._installer.guests():
            if (guest.app, guest.version) in wanted or guest.version in self._backend.versions_in_use(guest.app):
                continue
            if self._installer.remove_guest(guest.app, guest.version):
                log.info("%s %s is shared no longer and was removed", guest.app, guest.version)
                gone = True
        return gone
