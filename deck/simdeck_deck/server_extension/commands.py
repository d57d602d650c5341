"""Web programs of apps (Streamlit, Panel, any other): started when somebody opens one, ended when nobody uses it.

A program listens on a Unix socket in a folder of mode 700. On a TCP port every user of the machine could reach it, with
this user's rights and without a password; so a program that can do nothing else is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simdeck_common import guests
from simdeck_common.layout import private_dir
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from simdeck_deck.server_extension import apps
from simdeck_deck.server_extension.apps import Installed, NoPageError

GUARD = Path(__file__).with_name("guarded.py")
SOCKETS = ("{unix_socket}", "{socket}")
LINES = 200
LOG_BYTES = 4 * 1024 * 1024
PORT_ONLY = (
    "Its program asks for a TCP port, which every user of this machine could reach. "
    "It must listen on a Unix socket: its command has to contain {unix_socket}."
)


@dataclass(eq=False)
class Program:
    """One app's running (or failed) web program.

    Attributes
    ----------
    state
        ``starting``, ``running``, ``failed`` (``reason`` says why) or ``ended``.
    absolute
        Whether it knows its own address (``{base_url}`` in its command) and is asked by it.
    """

    app: Installed
    address: str
    """The app as its address has it: its id, with the version where that is another than the one in use."""
    socket: Path
    log: Path
    absolute: bool
    state: str = "starting"
    reason: str = ""
    process: asyncio.subprocess.Process | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    users: int = 0
    last: float = field(default_factory=time.monotonic)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it no longer is ``starting``."""
    stopping: bool = False

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Count somebody who uses it: while anybody does, it is not idle."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1
            self.last = time.monotonic()

    def fail(self, reason: str) -> None:
        if self.state != "ended":
            self.state, self.reason = "failed", reason
        self.settled.set()

    def tail(self) -> str:
        return "\n".join(list(self.lines)[-40:])


def command_of(app: Installed, socket: Path, base_url: str) -> list[str]:
    """Return the argv of an app's program, with its own environment's program where there is one of that name.

    Raises
    ------
    NoPageError
        It has none, or one that would listen on a TCP port.
    """
    given = [str(word) for word in app.entry.get("command") or ()]
    if not given:
        raise NoPageError("The app's installation is damaged: it names no program.")
    if not any(name in word for word in given for name in SOCKETS) or any("{port}" in word for word in given):
        raise NoPageError(PORT_ONLY)
    package = apps.in_packages(app.env, app.package) if app.package else None
    values = dict.fromkeys(SOCKETS, str(socket)) | {"{base_url}": base_url, "{package}": str(package or app.home)}
    words = []
    for word in given:
        for name, value in values.items():
            word = word.replace(name, value)
        words.append(word)
    own = app.env / "bin" / words[0]
    return [str(own) if "/" not in words[0] and own.exists() else words[0], *words[1:]]


class Programs:
    """The web programs of one Jupyter server.

    Parameters
    ----------
    folder
        Returns the folder for sockets (700), making it.
    idle_seconds
        End a program that nobody has used for so long.
    start_seconds
        How long it may take to answer.
    """

    def __init__(
        self,
        folder: Callable[[], Path],
        logs: Path,
        *,
        idle_seconds: float = 1800.0,
        start_seconds: float = 90.0,
        log: logging.Logger | None = None,
    ) -> None:
        self.folder = folder
        self.logs = logs
        self.idle_seconds = idle_seconds
        self.start_seconds = start_seconds
        self.log = log or logging.getLogger(__name__)
        self._programs: dict[str, Program] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, app: Installed, address: str, base_url: str) -> Program:
        """Return the program of this version of ``app``, started if it was not; a failed one stays failed.

        Raises
        ------
        NoPageError
            It cannot be started at all.
        """
        found = self._programs.get(address)
        if found is not None and found.app.home == app.home and found.state != "ended":
            return found
        if found is not None:
            self._later(self.end(found))
        folder = self.folder() / f"c{secrets.token_hex(4)}"
        socket = folder / "s"
        argv = command_of(app, socket, base_url)
        private_dir(folder)
        private_dir(self.logs)
        absolute = any("{base_url}" in str(word) for word in app.entry["command"])
        program = Program(app, address, socket, self.logs / f"{address}.page.log", absolute)
        self._programs[address] = program
        self._later(self._run(program, argv, base_url))
        return program

    def find(self, app: str) -> Program | None:
        return self._programs.get(app)

    async def retry(self, app: str) -> None:
        """Forget a failed program, so that the next who asks starts it anew."""
        found = self._programs.get(app)
        if found is not None and found.state == "failed":
            del self._programs[app]
            await self.end(found)

    async def end(self, program: Program, patience: float = 5.0) -> None:
        """End a program and all it has started."""
        program.stopping = True
        process = program.process
        if process is not None and process.returncode is None:
            _signal(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), patience)
        if process is not None:
            _signal(process.pid, signal.SIGKILL)
        if program.state != "failed":
            program.state = "ended"
        program.settled.set()
        await asyncio.to_thread(shutil.rmtree, program.socket.parent, True)
        if self._programs.get(program.address) is program and program.state == "ended":
            del self._programs[program.address]

    async def watch(self) -> None:
        """End programs that nobody uses; runs until cancelled."""
        while True:
            await asyncio.sleep(min(30.0, max(0.2, self.idle_seconds / 4)))
            for program in self.idle(time.monotonic()):
                self.log.info("The program of %s is idle and ends", program.app.id)
                await self.end(program)

    def idle(self, now: float) -> list[Program]:
        """Return the running programs that nobody has used for long enough."""
        return [
            one
            for one in self._programs.values()
            if one.state == "running" and not one.users and now - one.last > self.idle_seconds
        ]

    def kill_all(self) -> None:
        """At exit: the loop is gone, so end every program by signal."""
        for program in self._programs.values():
            if program.process is not None and program.process.returncode is None:
                _signal(program.process.pid, signal.SIGTERM)
            shutil.rmtree(program.socket.parent, ignore_errors=True)

    # --- inside

    def _later(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, program: Program, argv: list[str], base_url: str) -> None:
        held = await asyncio.to_thread(guests.hold, program.app.home)
        try:
            await self._carry(program, argv, base_url)
        finally:
            if held is not None:
                os.close(held)

    async def _carry(self, program: Program, argv: list[str], base_url: str) -> None:
        app = program.app
        environment = {
            **apps.own_packages_alone(os.environ),
            "PATH": f"{app.env / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            "SIMDECK_APP": app.id,
            "SIMDECK_APP_VERSION": app.version,
            "SIMDECK_SOCKET": str(program.socket),
            "SIMDECK_BASE_URL": base_url,
        }
        try:
            program.process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=Path.home(),
                env=environment,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            program.fail(f"Its program could not be started: {error.strerror}.")
            return
        reading = asyncio.ensure_future(self._read(program))
        healthy = asyncio.ensure_future(self._healthy(program, base_url))
        ended = asyncio.ensure_future(program.process.wait())
        try:
            await asyncio.wait({healthy, ended}, timeout=self.start_seconds, return_when=asyncio.FIRST_COMPLETED)
            if healthy.done() and program.process.returncode is None:
                program.state, program.last = "running", time.monotonic()
                program.settled.set()
                code = await ended
                await asyncio.wait({reading}, timeout=1.0)
                if program.stopping or code == 0:
                    program.state = "ended"
                else:
                    program.fail(f"Its program ended unexpectedly ({_how(code)}).")
            elif ended.done():
                await asyncio.wait({reading}, timeout=1.0)
                program.fail(f"Its program ended while it was starting ({_how(ended.result())}).")
            else:
                program.fail(f"Its program did not answer on its socket within {self.start_seconds:g} s.")
                _signal(program.process.pid, signal.SIGKILL)
        finally:
            healthy.cancel()
            reading.cancel()
            program.settled.set()
            _signal(program.process.pid, signal.SIGKILL)  # what it has started and left behind

    async def _healthy(self, program: Program, base_url: str) -> None:
        """Wait until it answers anything on its socket."""
        from jupyter_server_proxy.unixsock import UnixResolver

        path = base_url if program.absolute else "/"
        client = SimpleAsyncHTTPClient(force_instance=True, resolver=UnixResolver(str(program.socket)))
        try:
            while True:
                request = HTTPRequest(f"http://localhost{path}", connect_timeout=5, request_timeout=10)
                try:
                    await client.fetch(request, raise_error=False)
                    return
                except (OSError, HTTPClientError):
                    await asyncio.sleep(0.05)
        finally:
            client.close()

    async def _read(self, program: Program) -> None:
        """Keep what the program prints: its last lines here, and its log with an end."""
        assert program.process is not None
        assert program.process.stdout is not None
        with contextlib.suppress(OSError), program.log.open("wb", buffering=0) as log:
            program.log.chmod(0o600)
            rest = ""
            while part := await program.process.stdout.read(65536):
                # A line may come in several parts.
                *whole, rest = (rest + part.decode("utf-8", "replace")).split("\n")
                program.lines.extend(line[:1000] for line in whole)
                rest = rest[-1000:]
                if log.tell() > LOG_BYTES:
                    log.seek(0)
                    log.truncate()
                log.write(part)
            if rest:
                program.lines.append(rest)


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
