"""What every kind of launcher does: one start at a time for each user, and agents with work left brought back.

A kind says where a user's socket is, how an agent is started, and whose agents have unfinished work.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path

from simdeck_common.problems import Problem

from simdeck_agent.settings import AgentSettings

log = logging.getLogger(__name__)

STARTS_AT_ONCE = 4


async def answers(socket: Path) -> bool:
    """Say whether somebody listens on the Unix socket."""
    try:
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_unix_connection(str(socket))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


class BaseLauncher(abc.ABC):
    """Starts and watches the users' agents.

    Parameters
    ----------
    settings_file
        The JSON file of ``AgentSettings`` that each agent is started with.
    settings
        Its content.
    """

    def __init__(self, settings_file: Path, settings: AgentSettings) -> None:
        self.settings_file = settings_file
        self.settings = settings
        self._locks: dict[str, asyncio.Lock] = {}
        self._prepared: set[str] = set()

    # --- what a kind says ----------------------------------------------------------------------------------------

    @abc.abstractmethod
    def socket(self, user: str) -> Path:
        """Return where the agent of hub user ``user`` is reached; ``ValueError`` for what is no user's name."""

    @abc.abstractmethod
    async def _start(self, user: str, socket: Path) -> Path:
        """Start the agent of ``user`` and return its live socket; raises ``Problem``."""

    @abc.abstractmethod
    def log_of(self, user: str) -> str:
        """Return where the agent's log lies, as a person is told."""

    @abc.abstractmethod
    def marked(self) -> list[str]:
        """Return the users whose agents may have unfinished work."""

    @contextlib.contextmanager
    def working(self, user: str) -> Iterator[None]:
        """Surround a request to ``user``'s agent that can start work."""
        yield

    async def look_after(self, user: str) -> None:  # noqa: B027 - a kind may have nothing to do
        """Do what is to be done regularly for a marked user whose agent runs."""

    def reap(self) -> None:  # noqa: B027 - a kind may have no children
        """Take note of children that have ended."""

    # --- what all do ---------------------------------------------------------------------------------------------

    def unavailable(self, user: str, reason: str) -> Problem:
        """Return the 503 that says why the agent of ``user`` does not answer."""
        return Problem("agent-unavailable", reason=reason, log=self.log_of(user))

    async def _prepare(self, user: str) -> None:
        """Have the user's database made, once in this process's life; raises ``agent-unavailable`` where that fails."""
        if not self.settings.prepare or user in self._prepared:
            return
        process = await asyncio.create_subprocess_exec(
            *self.settings.prepare,
            user,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        if process.returncode:
            words = " ".join(said.decode(errors="replace").split())[-400:]
            log.error("The database of %s could not be made: %s", user, words)
            raise self.unavailable(user, words)
        self._prepared.add(user)

    async def running(self, user: str) -> bool:
        """Say whether the agent of ``user`` answers now."""
        return await answers(self.socket(user))

    async def ensure(self, user: str) -> Path:
        """Return the socket of ``user``'s agent, which is started when it does not answer.

        Raises
        ------
        Problem
            503 ``agent-unavailable`` with the agent's or the launcher's last words: it ended at once, or did not answer
            within ``start_timeout``.
        """
        socket = self.socket(user)
        if await answers(socket):
            return socket
        async with self._locks.setdefault(user, asyncio.Lock()):
            if await answers(socket):
                return socket
            await self._prepare(user)
            return await self._start(user, socket)

    async def start_active(self) -> list[str]:
        """Start the agents that have unfinished work; return the users whose agent could not be started."""
        slots = asyncio.Semaphore(STARTS_AT_ONCE)

        async def start(user: str) -> str | None:
            try:
                async with slots:
                    await self.ensure(user)
            except (Problem, OSError, ValueError) as error:
                log.error("Cannot start the agent of %s: %s", user, error)
                return user
            return None

        return [user for user in await asyncio.gather(*map(start, self.marked())) if user is not None]

    async def watch(self, interval: float = 2.0) -> None:
        """For ever: start agents that died with unfinished work, each more and more rarely while its start fails."""
        wait: dict[str, float] = {}
        due: dict[str, float] = {}
        while True:
            await asyncio.sleep(interval)
            self.reap()
            for user in self.marked():
                if due.get(user, 0.0) > time.monotonic():
                    continue
                try:
                    await self.ensure(user)
                    await self.look_after(user)
                    wait.pop(user, None)
                except (Problem, OSError, ValueError) as error:
                    wait[user] = min(wait.get(user, interval) * 2, 300.0)
                    due[user] = time.monotonic() + wait[user]
                    log.error("Cannot start the agent of %s, next try in %.0f s: %s", user, wait[user], error)
