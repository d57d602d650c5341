"""Starts the users' agents: ``Launcher`` as processes of this process's own user, ``make_launcher`` as a site needs it.

An agent is started detached (a session of its own, no pipe to this process), so it outlives the service that started
it; whether it runs is asked of its socket alone, never of a process id kept here. The agent's file ``active`` says that
it has runs or tasks to finish, so that it is started again after a crash or a reboot.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from simdeck_common.layout import UserHome, private_dir, user_home

from simdeck_agent.launching import BaseLauncher, answers
from simdeck_agent.settings import AgentSettings
from simdeck_agent.site_launcher import SiteLauncher

__all__ = ["ACTIVE_MARKER", "BaseLauncher", "Launcher", "SiteLauncher", "answers", "make_launcher"]

log = logging.getLogger(__name__)

ACTIVE_MARKER = "active"
LOG_NAME = "agent.log"
LOG_LIMIT = 5 * 2**20
# What an agent inherits. The service's tokens are not among it: the agent runs with what belongs to the user.
_INHERITED = {
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH",
    "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "OMP_NUM_THREADS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    "http_proxy", "https_proxy", "no_proxy", "all_proxy",
}  # fmt: skip
_INHERITED_PREFIXES = ("LC_", "SIMDECK_", "XDG_", "SSL_", "UV_", "PIP_")


def make_launcher(settings_file: Path, settings: AgentSettings) -> BaseLauncher:
    """Return the launcher that the settings ask for: agents of this user, or of a site's Unix users."""
    return (Launcher if settings.site is None else SiteLauncher)(settings_file, settings)


def agent_environment(environ: Mapping[str, str], extra: list[str]) -> dict[str, str]:
    """Return the part of ``environ`` that agents get: where things are, and no secret of the service."""
    names = _INHERITED | set(extra)
    return {key: value for key, value in environ.items() if key in names or key.startswith(_INHERITED_PREFIXES)}


def last_line(path: Path) -> str:
    """Return the last line that says something in the log at ``path``, at most 300 characters of it."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 4096))
            lines = stream.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


class Launcher(BaseLauncher):
    """Agents of the local kind: processes of this process's own user."""

    def __init__(self, settings_file: Path, settings: AgentSettings) -> None:
        super().__init__(settings_file, settings)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._homes: dict[str, UserHome] = {}

    def home(self, user: str) -> UserHome:
        """Return the folders of hub user ``user``."""
        if user not in self._homes:
            self._homes[user] = user_home(self.settings.data, user)
        return self._homes[user]

    def socket(self, user: str) -> Path:
        return self.home(user).agent_socket

    def log_file(self, user: str) -> Path:
        return self.home(user).agent / LOG_NAME

    def log_of(self, user: str) -> str:
        return str(self.log_file(user))

    async def _start(self, user: str, socket: Path) -> Path:
        process = await asyncio.to_thread(self._spawn, user)
        self._children[user] = process
        deadline = time.monotonic() + self.settings.start_timeout
        while time.monotonic() < deadline:
            if await answers(socket):
                log.info("Started the agent of %s (process %d)", user, process.pid)
                return socket
            if process.poll() is not None:
                said = last_line(self.log_file(user)) or f"it ended with status {process.returncode} and no word"
                log.error("The agent of %s did not start: %s", user, said)
                raise self.unavailable(user, said)
            await asyncio.sleep(0.05)
        raise self.unavailable(user, f"it did not answer within {self.settings.start_timeout:g} seconds")

    def _spawn(self, user: str) -> subprocess.Popen[bytes]:
        folder = private_dir(self.home(user).agent)
        path = folder / LOG_NAME
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(folder / (LOG_NAME + ".1"))
        # A plain Popen: asyncio's would kill the child when this service's event loop closes.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as stream:
            return subprocess.Popen(
                [sys.executable, "-m", "simdeck_agent", "--settings", str(self.settings_file), "--user", user],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=folder,
                env=agent_environment(os.environ, self.settings.pass_environment),
                start_new_session=True,
            )

    def marked(self) -> list[str]:
        """Return the users whose agents have said that something of theirs is unfinished."""
        users = self.settings.data / "users"
        return sorted(path.parent.parent.name for path in users.glob(f"*/agent/{ACTIVE_MARKER}"))

    def reap(self) -> None:
        """Take note of agents that have ended, so that none stays a zombie."""
        for user, process in list(self._children.items()):
            with contextlib.suppress(ChildProcessError):
                if process.poll() is None:
                    continue
            if self._children.get(user) is process:
                del self._children[user]
