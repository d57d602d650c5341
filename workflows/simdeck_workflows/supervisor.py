"""Keeping a worker alive for as long as there is something to do, and a connection to it.

The worker is nobody's child for long: it has a session of its own, outlives the agent that started it, and is found
again by its socket. Its lock, not this file, makes sure that there is only one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simdeck_common.layout import UserHome, private_dir
from simdeck_common.problems import Problem

from simdeck_workflows.rpc import Connection, DisconnectedError

LOG = logging.getLogger(__name__)

START_PATIENCE = 60.0
"""Seconds a worker may take to answer: on first use it makes the profile, on a busy machine that lasts."""

_TRIES = 3
_BREATH = 0.2
_SHORT_LIFE = 10.0
_LOG_LIMIT = 5 * 1024 * 1024
_SECRET_WORDS = ("TOKEN", "PASSWORD", "SECRET", "COOKIE")


class Supervisor:
    """Starts the worker when ``needed()`` says so, restarts it when it dies, and carries calls to it."""

    def __init__(
        self,
        home: UserHome,
        python: Callable[[], Path],
        idle_seconds: float,
        needed: Callable[[], bool],
        on_changed: Callable[[str], None],
    ) -> None:
        self._home = home
        self._python = python
        self._idle_seconds = idle_seconds
        self._needed = needed
        self._on_changed = on_changed
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._connected_at = 0.0
        self._failures = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._reason: str | None = None

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake.set()
        self._task = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """Stop looking after the worker; it lives on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    def nudge(self) -> None:
        """Something was written into the store that the worker should see. From any thread; returns at once."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)

    def state(self) -> dict[str, Any]:
        """``{state, reason}``: ``running``, ``starting``, ``failing`` or ``idle`` (not needed, not there)."""
        if self._connection is not None and not self._connection.closed.is_set():
            return {"state": "running", "reason": None}
        if self._connecting.locked():
            return {"state": "failing" if self._reason else "starting", "reason": self._reason}
        return {"state": "failing" if self._reason else "idle", "reason": self._reason}

    async def call(self, method: str, **params: Any) -> Any:
        """Call the worker, starting one if there is none. The methods called this way may be repeated.

        Raises
        ------
        Problem
            The worker's refusal, or ``worker-unavailable``.
        """
        for _try in range(_TRIES):
            connection = await self._connect()
            try:
                return await connection.call(method, **params)
            except DisconnectedError as error:
                self._reason = str(error)
            except RuntimeError as error:
                raise self._unavailable(str(error)) from error
        raise self._unavailable(self._reason or "it ends before it answers")

    async def end_worker(self) -> None:
        """Have a living worker end; the next one is started when needed."""
        try:
            connection = await self._reach()
            await connection.call("stop")
            async with asyncio.timeout(START_PATIENCE):
                await connection.closed.wait()
        except (OSError, DisconnectedError, TimeoutError):
            pass
        self._wake.set()

    # --- below ---------------------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        while True:
            # Not `wait_for`: on Python 3.11 it can swallow the cancellation that `stop` waits for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    await self._wake.wait()
            self._wake.clear()
            self._reap()
            try:
                if self._needed():
                    connection = await self._connect()
                    await connection.call("nudge")
            except (Problem, DisconnectedError, RuntimeError) as error:
                LOG.warning("the worker is not to be had: %s", error)
                await asyncio.sleep(_BREATH)
                self._wake.set()
            except Exception:
                LOG.exception("looking after the worker failed; it is tried again")

    async def _connect(self) -> Connection:
        async with self._connecting:
            if self._connection is not None and not self._connection.closed.is_set():
                return self._connection
            await self._wait_if_failing()
            deadline = time.monotonic() + START_PATIENCE
            started = 0.0
            while True:
                try:
                    return await self._reach()
                except OSError:
                    pass
                self._check_child()
                if time.monotonic() > deadline:
                    raise self._unavailable("it does not answer")
                # A worker that is just ending still holds the lock, and one started meanwhile leaves at once.
                if self._process is None and time.monotonic() - started > 0.5:
                    started = time.monotonic()
                    self._spawn()
                await asyncio.sleep(0.05)

    async def _reach(self) -> Connection:
        if self._connection is not None and not self._connection.closed.is_set():
            return self._connection
        connection = Connection(self._heard)
        await connection.open(self._home.worker_socket)
        self._connection = connection
        self._connected_at = time.monotonic()
        self._reason = None
        asyncio.ensure_future(self._when_closed(connection))  # noqa: RUF006 - ends with the connection
        return connection

    async def _when_closed(self, connection: Connection) -> None:
        await connection.closed.wait()
        lived = time.monotonic() - self._connected_at
        self._failures = self._failures + 1 if lived < _SHORT_LIFE else 0
        self._reap()
        self._wake.set()

    def _heard(self, method: str, params: dict[str, Any]) -> None:
        if method == "changed":
            self._on_changed(str(params["run"]))

    async def _wait_if_failing(self) -> None:
        # The first restarts come at once; one that dies again and again must not burn the machine.
        if self._failures > 3:
            await asyncio.sleep(min(30.0, 0.5 * 2 ** (self._failures - 4)))

    def _spawn(self) -> None:
        private_dir(self._home.workflows)
        log = self._home.workflows / "worker.log"
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._process = subprocess.Popen(
                [
                    str(self._python()), "-m", "simdeck_workflows.engine.worker",
                    "--root", str(self._home.root), "--runtime", str(self._home.runtime),
                    "--idle-seconds", str(self._idle_seconds),
                    # AiiDA knows its daemon by this word: see engine/daemon_desk.py.
                    "--stands-for", "circusd",
                ],
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                start_new_session=True,
                cwd=self._home.root,
                env=worker_environment(os.environ),
            )  # fmt: skip
        except OSError as error:
            raise self._unavailable(str(error)) from error
        finally:
            os.close(handle)

    def _check_child(self) -> None:
        """Forget a child that has ended; raise if it failed."""
        if self._process is not None and (status := self._process.poll()) is not None:
            self._process = None
            if status != 0:
                self._failures += 1
                raise self._unavailable(_last_line(self._home.workflows / "worker.log") or f"exit status {status}")

    def _reap(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            self._process = None

    def _unavailable(self, reason: str) -> Problem:
        self._reason = reason
        return Problem("worker-unavailable", reason=reason, log=self._home.workflows / "worker.log")


def worker_environment(environment: Any) -> dict[str, str]:
    """The environment for a worker, and so for calculations: ours, without what smells of a secret."""
    return {
        name: value for name, value in environment.items() if not any(word in name.upper() for word in _SECRET_WORDS)
    }


def _last_line(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 4096))
            lines = stream.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""
