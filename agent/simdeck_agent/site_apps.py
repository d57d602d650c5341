"""Keeps what is installed for everybody among this user's apps, as far as their groups may see it."""

from __future__ import annotations

import asyncio
import logging
import time

from simdeck_appstore.policy import AppPolicy, is_offered

from simdeck_agent.pins import Pins
from simdeck_agent.ports import AppInstaller, WorkflowBackend

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class SiteApps:
    """Looks at the site's installs when a request concerns apps, at most once a second."""

    def __init__(self, installer: AppInstaller, backend: WorkflowBackend, policy: AppPolicy, pins: Pins) -> None:
        self._installer = installer
        self._backend = backend
        self._policy = policy
        self._pins = pins
        self._lock = asyncio.Lock()
        self._last: tuple[float, frozenset[str]] | None = None

    async def follow(self, groups: frozenset[str]) -> None:
        """Bring this user's links up to date; the worker reads the workflows anew where that changed anything."""
        async with self._lock:
            now = time.monotonic()
            if self._last is not None and self._last[1] == groups and now - self._last[0] < LOOK_SECONDS:
                return
            try:
                changed = await asyncio.to_thread(
                    self._installer.follow_site,
                    lambda app: is_offered(self._policy, app, groups) and self._installer.is_for(app, groups),
                    self._pins.is_pinned,
                )
            except OSError as error:
                # The person's own apps are theirs whatever the site's folder does.
                log.warning("The apps that are installed for everybody cannot be followed: %s", error)
                changed = False
            self._last = (time.monotonic(), groups)
            if changed:
                await self._backend.reload()
