"""One supervised process: started with a log, restarted with growing pauses when it dies, ended on request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

LONGEST_PAUSE_SECONDS = 15.0
STEADY_SECONDS = 30.0
"""A child that ran this long had started well: its next death begins with a short pause again."""
LOG_BYTES = 5_000_000
LOGS_KEPT = 2


@dataclass(frozen=True)
class ChildSpec:
    """What to run. ``environment`` is the whole environment; secrets travel there, never in ``argv``."""

    name: str
    argv: list[str]
    environment: dict[str, str]
    log: Path
    ready: Callable[[], Awaitable[bool]]
    after_restart: Callable[[], Awaitable[None]] | None = None


@dataclass
class Child:
    """A process kept alive until :meth:`stop`."""

    spec: ChildSpec
    died: Callable[[str, int | None, float], None] = lambda name, code, pause: None
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    stopping: bool = False
    _watch: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.returncode is None else None

    async def start(self) -> None:
        await self._launch()
        self._watch = asyncio.create_task(self._keep_alive(), name=f"keep {self.spec.name}")

    async def _launch(self) -> None:
        turn_log(self.spec.log)
        log = os.open(self.spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which stops all in order.
            self.process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                env=self.spec.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)

    async def _keep_alive(self) -> None:
        failures = 0
        while True:
            assert self.process is not None
            began = time.monotonic()
            code = await self.process.wait()
            if self.stopping:
                return
            failures = 0 if time.monotonic() - began > STEADY_SECONDS else failures + 1
            pause = restart_pause(failures)
            self.died(self.spec.name, code, pause)
            await asyncio.sleep(pause)
            if self.stopping:
                return
            await self._launch()
            self.restarts += 1
            if self.spec.after_restart is not None:
                asyncio.create_task(self._settle(self.process), name=f"settle {self.spec.name}")  # noqa: RUF006

    async def _settle(self, process: asyncio.subprocess.Process | None) -> None:
        """After a restart: wait until the child answers, then let the others know."""
        while self.process is process and process is not None and process.returncode is None and not self.stopping:
            if await self.spec.ready():
                if self.spec.after_restart is not None:
                    with contextlib.suppress(Exception):
                        await self.spec.after_restart()
                return
            await asyncio.sleep(0.1)

    async def wait_ready(self, seconds: float) -> str | None:
        """Wait until the child answers; return why it does not, or ``None``."""
        deadline = time.monotonic() + seconds
        seen = self.restarts
        while time.monotonic() < deadline:
            if await self.spec.ready():
                return None
            if self.restarts - seen >= 3:
                return "it keeps ending"
            await asyncio.sleep(0.05)
        return f"no answer within {seconds:.0f} s"

    def let_go(self) -> None:
        """Restart it no more."""
        self.stopping = True
        if self._watch is not None:
            self._watch.cancel()


def restart_pause(failures: int) -> float:
    """Return the seconds to wait before a restart after ``failures`` quick deaths in a row."""
    return 0.0 if failures <= 1 else min(0.5 * 2.0 ** (failures - 2), LONGEST_PAUSE_SECONDS)


def turn_log(log: Path, limit: int = LOG_BYTES) -> None:
    """Move a log that has grown past ``limit`` bytes aside, keeping ``LOGS_KEPT`` older ones."""
    try:
        if log.stat().st_size < limit:
            return
    except FileNotFoundError:
        return
    for number in range(LOGS_KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    log.replace(log.with_name(f"{log.name}.1"))


def cut_log(log: Path, limit: int = LOG_BYTES) -> None:
    """Copy a grown log aside and empty it in place: its writer appends, so it goes on from the start."""
    try:
        if log.stat().st_size < limit:
            return
        content = log.read_bytes()
    except FileNotFoundError:
        return
    aside = log.with_name(f"{log.name}.1")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
    os.truncate(log, 0)
