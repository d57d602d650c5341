"""Agents of a site: each is its own Unix user's process, started through ``simdeck-launch``.

The socket is made here, in the service's own folder, so nobody else can connect; the agent inherits it listening.
Nothing of a user's is touched or read: what an agent has left to do is remembered by markers of our own.

    <data>/agents/<user>.sock      mode 600; its name appears when the agent serves
    <data>/agents/<user>.lock      held while an agent is being started
    <data>/agents/<user>.active    the agent may have unfinished work
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import pwd
import re
import selectors
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem

from simdeck_agent.launching import STARTS_AT_ONCE, BaseLauncher, answers
from simdeck_agent.serving import listen_at
from simdeck_agent.settings import AgentSettings, SiteAgents

log = logging.getLogger(__name__)

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}", re.ASCII)
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_.-]{0,31}", re.ASCII)
# sudo needs no more, and nothing of the service's environment is shown in its own.
_SUDO_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
# The launcher keeps its own limit (60 s unless root said otherwise) and says why; only when stuck is it left alone.
_PATIENCE = 40.0
_LONGEST_STATUS = 64 * 2**10


class SiteLauncher(BaseLauncher):
    """Starts agents as Unix users and remembers whose work is unfinished."""

    def __init__(self, settings_file: Path, settings: AgentSettings) -> None:
        super().__init__(settings_file, settings)
        if settings.site is None:
            raise ValueError("agent.json has no part `site`")
        self.site: SiteAgents = settings.site
        self.folder = private_dir(settings.data / "agents")
        self._threads = ThreadPoolExecutor(STARTS_AT_ONCE, thread_name_prefix="launch")
        self._under_way: Counter[str] = Counter()
        self._begun: Counter[str] = Counter()
        self._quiet: dict[str, int] = {}
        self._due: dict[str, float] = {}

    # --- names ---------------------------------------------------------------------------------------------------

    def _path(self, user: str, kind: str) -> Path:
        if not _USER.fullmatch(user):
            raise ValueError(f"not a user name: {user!r}")
        return self.folder / f"{user}.{kind}"

    def socket(self, user: str) -> Path:
        return self._path(user, "sock")

    def log_of(self, user: str) -> str:
        return f"~{self.site.accounts.get(user, user)}/.simdeck/agent/agent.log"

    def account(self, user: str) -> str:
        """Return the Unix account of hub user ``user``. Blocking: a directory service may be asked.

        Raises
        ------
        Problem
            ``agent-account-missing`` or ``agent-account-system``: nobody's agent runs as that.
        """
        name = self.site.accounts.get(user, user)
        try:
            if not _ACCOUNT.fullmatch(name):
                raise KeyError(name)
            entry = pwd.getpwnam(name)
        except KeyError:
            raise Problem("agent-account-missing", account=name) from None
        if entry.pw_uid < self.site.minimum_uid or entry.pw_uid == os.getuid():
            raise Problem("agent-account-system", account=name)
        return name

    # --- starting ------------------------------------------------------------------------------------------------

    async def _start(self, user: str, socket: Path) -> Path:
        loop = asyncio.get_running_loop()
        account = await loop.run_in_executor(self._threads, self.account, user)
        async with self._only_one(user):
            # Another deck may have started it while this one waited.
            if not await answers(socket):
                await loop.run_in_executor(self._threads, self._launch, user, account, socket)
                log.info("Started the agent of %s as %s", user, account)
        return socket

    @contextlib.asynccontextmanager
    async def _only_one(self, user: str):  # type: ignore[no-untyped-def]
        """Hold the user's lock against other decks on the same data; the kernel frees it however this one ends."""
        handle = os.open(self._path(user, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + self.settings.start_timeout
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise self.unavailable(user, "another start of it does not end") from None
                    await asyncio.sleep(0.05)
            yield
        finally:
            os.close(handle)

    def _launch(self, user: str, account: str, socket: Path) -> None:
        """Start the agent on a new socket, and give the socket its name once the agent serves."""
        unnamed = self._path(user, "new")
        argv = [str(self.site.sudo), "-n", "-u", account, "--", str(self.site.program), "agent", user]
        try:
            # Closed here in any case: an agent that dies must not leave a socket that takes connections.
            with listen_at(unnamed) as listening:
                process = subprocess.Popen(
                    argv,
                    stdin=listening.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env=_SUDO_ENVIRONMENT,
                    start_new_session=True,
                )
                said = hear(process, self.settings.start_timeout + _PATIENCE)
            if process.returncode != 0:
                reason = _last_words(said) or f"the launcher ended with status {process.returncode} and no word"
                log.error("The agent of %s did not start: %s", user, reason)
                raise self.unavailable(user, reason)
            unnamed.replace(socket)
        except subprocess.TimeoutExpired:
            # It is root's process now: we cannot end it. Its agent, if one comes, gives way to the next start's.
            raise self.unavailable(user, "the launcher does not end; see `simdeck doctor`") from None
        except OSError as error:
            raise self.unavailable(user, f"{self.site.sudo}: {error.strerror or error}") from error
        finally:
            unnamed.unlink(missing_ok=True)

    # --- whose work is unfinished --------------------------------------------------------------------------------

    def marked(self) -> list[str]:
        """Return the users whose agents were given work and have not said since that all has ended."""
        return sorted(path.name.removesuffix(".active") for path in self.folder.glob("*.active"))

    def mark(self, user: str) -> None:
        """Remember, beyond a crash, that the agent of ``user`` may have work."""
        self._begun[user] += 1
        self._quiet.pop(user, None)
        path = self._path(user, "active")
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextlib.contextmanager
    def working(self, user: str) -> Iterator[None]:
        """Surround a request that can start work: the marker is there before it, and stays until it was answered."""
        self.mark(user)
        self._under_way[user] += 1
        try:
            yield
        finally:
            self._under_way[user] -= 1

    async def look_after(self, user: str) -> None:
        """Ask the agent now and then whether its work has ended; twice in a row, and the marker goes."""
        if time.monotonic() < self._due.get(user, 0.0):
            return
        self._due[user] = time.monotonic() + self.site.status_seconds
        before = self._begun[user]
        try:
            active = await self._active(user)
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("The agent of %s does not say whether it is active: %s", user, type(error).__name__)
            return
        if active or self._under_way[user] or self._begun[user] != before:
            self._quiet.pop(user, None)
            return
        # The work of a request that was answered to a deck before this one may only just begin to show.
        self._quiet[user] = self._quiet.get(user, 0) + 1
        if self._quiet[user] > 1:
            self._path(user, "active").unlink(missing_ok=True)
            for known in (self._quiet, self._due, self._begun, self._under_way):
                known.pop(user, None)

    async def _active(self, user: str) -> bool:
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket(user)))
        async with (
            asyncio.timeout(20),
            httpx.AsyncClient(transport=transport, base_url="http://agent", timeout=20, trust_env=False) as agent,
            agent.stream("GET", "/status") as answer,
        ):
            # The user's own process answers: it may be anything, and is not read without end.
            said = b""
            async for chunk in answer.aiter_raw():
                said += chunk
                if len(said) > _LONGEST_STATUS:
                    raise ValueError("its status has no end")
            return bool(json.loads(said)["active"])


def hear(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """Wait for the end of ``process`` and return the last of what it said on standard error.

    No more is kept: the launcher runs as the user, who could make it talk without end.

    Raises
    ------
    subprocess.TimeoutExpired
        It has not ended after ``seconds``.
    """
    assert process.stderr is not None
    deadline = time.monotonic() + seconds
    said = b""
    with process.stderr as stream, selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if not selector.select(left):
                continue
            some = os.read(stream.fileno(), 4096)
            if not some:
                break
            said = (said + some)[-4096:]
    process.wait(max(0.0, deadline - time.monotonic()))
    return said


def _last_words(said: bytes) -> str:
    """Return the last line that sudo or the launcher said, without the program's name."""
    lines = [line.strip() for line in said[-4096:].decode("utf-8", "replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    if last.startswith("sudo: a password is required") or "may not run sudo" in last or "is not allowed to" in last:
        return "sudo does not let the service start it; see `simdeck doctor`"
    return last.removeprefix("simdeck-launch: ")[:300].rstrip(".")
