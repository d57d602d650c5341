"""Writes down what people ask their agents to do with apps, and follows each task to its end."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx
from simdeck_appstore.audit import Audit, Outcome
from simdeck_common.problems import Problem

if TYPE_CHECKING:
    from simdeck_deck.agents import Agents

log = logging.getLogger(__name__)

CHANGE = re.compile(r"^/apps/([^/]+)(?:/([a-z-]+))?$")
TASK = re.compile(r"^/tasks/([^/]+)$")
LOOK_SECONDS = 1.0
MOST_SECONDS = 15.0
# As many questions without an answer as it takes to be sure that the agent does not come back with one.
PATIENCE = 40


class Trail:
    """The deck's part of the audit log; :meth:`begin` before a request, :meth:`end` after its answer."""

    def __init__(self, audit: Audit, agents: Agents) -> None:
        self.audit = audit
        self.agents = agents
        self._following: set[asyncio.Task[None]] = set()

    async def begin(self, user: str, request: httpx.Request) -> str | None:
        """Write down a request that changes apps; return its entry, or None for any other request.

        Raises
        ------
        Problem
            503 ``audit-unavailable``: what cannot be written down is not done.
        """
        method, path = request.method, request.url.raw_path.decode("ascii").partition("?")[0]
        found = CHANGE.match(path)
        if method in ("GET", "HEAD", "OPTIONS") or found is None:
            return None
        what = found[2] or ("remove" if method == "DELETE" else method.lower())
        if found[2] and method == "DELETE":
            what = f"un{what}"
        try:
            return await asyncio.to_thread(self.audit.ask, user, what, unquote(found[1]))
        except OSError as error:
            log.error("The audit log %s cannot be written: %s", self.audit.path, error)
            raise Problem("audit-unavailable") from None

    async def end(self, user: str, entry: str, answer: httpx.Response | None) -> None:
        """Write down how the agent answered the request of ``entry`` (None: not at all), and follow its task."""
        task = TASK.match(answer.headers.get("location", "")) if answer is not None else None
        if answer is None:
            await self._tell(entry, "unknown")
        elif answer.is_error:
            await self._tell(entry, "refused", detail=str(answer.status_code))
        elif task is None:
            await self._tell(entry, "done")
        else:
            await self._tell(entry, "begun", task=task[1])
            self._follow(user, entry, task[1])

    async def resume(self) -> None:
        """Follow what was under way when the service ended; what was never answered stays unknown."""
        for entry in await asyncio.to_thread(self.audit.open_entries):
            if entry.what.startswith("site-") or entry.what == "publish":
                # Told by whoever did it.
                continue
            if entry.task is None:
                await self._tell(entry.id, "unknown")
            else:
                self._follow(entry.who, entry.id, entry.task)

    def close(self) -> None:
        """Follow nothing any more; the next start goes on."""
        for task in self._following:
            task.cancel()

    def _follow(self, user: str, entry: str, task: str) -> None:
        following = asyncio.create_task(self._until_over(user, entry, task))
        self._following.add(following)
        following.add_done_callback(self._following.discard)

    async def _until_over(self, user: str, entry: str, task: str) -> None:
        pause, failures = LOOK_SECONDS, 0
        while True:
            if not await self.agents.launcher.running(user):
                # It is not started for our sake: when the person comes back it says what became of the task.
                await asyncio.sleep(pause)
                pause = min(pause * 1.3, MOST_SECONDS)
                continue
            try:
                found: dict[str, Any] = await self.agents.get_json(user, f"/tasks/{task}")
                failures = 0
            except Problem as problem:
                failures += 1
                if problem.code == "task-not-found" or failures > PATIENCE:
                    await self._tell(entry, "unknown", detail=problem.code)
                    return
                found = {}
            state = str(found.get("state"))
            if state in ("done", "failed", "cancelled"):
                code = str((found.get("problem") or {}).get("code") or "") or None
                version = found.get("version")
                outcome: Outcome = "done" if state == "done" else "failed" if state == "failed" else "cancelled"
                await self._tell(entry, outcome, version=str(version) if version else None, detail=code)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.3, MOST_SECONDS)

    async def _tell(self, entry: str, outcome: Outcome, **more: str | None) -> None:
        try:
            await asyncio.to_thread(lambda: self.audit.tell(entry, outcome, **more))
        except OSError as error:
            log.error("The audit log %s cannot be written: %s", self.audit.path, error)
