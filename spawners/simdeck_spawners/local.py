"""Jupyter servers as local processes of the one Unix user the hub runs as, without becoming anybody else.

On top of JupyterHub's LocalProcessSpawner: no ``setuid``; a process is known by pid *and* start, so that a recycled pid
is never mistaken for the server; a server that a crash of the hub left unrecorded is found by its environment and ended
before another one starts; and the person waiting sees what happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from jupyterhub.spawner import LocalProcessSpawner
from simdeck_common.layout import user_home
from traitlets import Dict, List, Unicode

from simdeck_spawners.identity import boot_id, environment, is_same, start_ticks

SERVER_EXTENSION = "simdeck_deck.server_extension"
NOT_NEEDED = ("jupyter_lsp", "notebook_shim", "jupyterlab_git")
"""Server extensions that cost start time and that no page here uses; an administrator may allow them again."""


class LocalSpawner(LocalProcessSpawner):  # type: ignore[misc]
    """A user's Jupyter server as a child of the hub, with the apps' kernels and the extension that opens apps."""

    data = Unicode(help="Simdeck's data folder.").tag(config=True)
    instance = Unicode(help="Id of the data folder; every process of it carries it in SIMDECK_INSTANCE.").tag(
        config=True
    )
    api = Unicode(help="Base URL of the REST API that apps call.").tag(config=True)
    log_folder = Unicode(help="Folder of the servers' logs.").tag(config=True)
    extensions = Dict(
        per_key_traits={}, help="Server extensions switched on (True) or off (False) by module name."
    ).tag(config=True)
    keep_environment = List(
        Unicode(),
        [
            "LC_CTYPE",
            "TZ",
            "XDG_RUNTIME_DIR",
            "TMPDIR",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "http_proxy",
            "https_proxy",
            "no_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
        ],
        help="Further variables a server takes over from the hub.",
    ).tag(config=True)

    _ticks: int | None = None
    _boot: str | None = None

    def make_preexec_fn(self, name: str) -> Callable[[], None] | None:
        """Stay who we are."""
        return None

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Name the hub user as USER; HOME and SHELL are the Unix user's."""
        env["USER"] = self.user.name
        env["HOME"] = str(Path.home())
        with contextlib.suppress(KeyError):
            env["SHELL"] = pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
        for name in self.keep_environment:
            if name in os.environ:
                env.setdefault(name, os.environ[name])
        return env

    def get_env(self) -> dict[str, str]:
        """Return the server's environment: JupyterHub's, and what ``docs/contracts.md`` promises to apps."""
        env: dict[str, str] = super().get_env()
        home = user_home(Path(self.data), self.user.name)
        earlier = os.environ.get("JUPYTER_PATH", "")
        env["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(home.jupyter_path), earlier]))
        env["SIMDECK_API"] = self.api
        env["SIMDECK_APPS_DIR"] = str(home.apps)
        env["SIMDECK_INSTANCE"] = self.instance
        # The environment's own programs first: kernels and terminals of JupyterLab find `simdeck`.
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
        return env

    def get_args(self) -> list[str]:
        """Return the server's arguments; a server of root (in a container, say) is allowed by name."""
        args: list[str] = super().get_args()
        chosen = {SERVER_EXTENSION: True, **dict.fromkeys(NOT_NEEDED, False), **self.extensions}
        args += [f"--ServerApp.jpserver_extensions={name}={on}" for name, on in sorted(chosen.items())]
        # JupyterLab must not install packages into the environment that hub and deck run from.
        args.append("--LabApp.extension_manager=readonly")
        if os.getuid() == 0:
            args.append("--allow-root")
        return args

    # --- which process is ours --------------------------------------------------------------------------------

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self._ticks, self._boot = state.get("ticks"), state.get("boot")

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state()
        if self.pid:
            state |= {"ticks": self._ticks, "boot": self._boot}
        return state

    def clear_state(self) -> None:
        super().clear_state()
        self._ticks = self._boot = None

    async def _signal(self, sig: int) -> bool:
        """Signal the server's process, and no other that was given its pid since; return whether it lives."""
        if self.proc is None and not is_same(self.pid, self._ticks, self._boot):
            return False
        return bool(await super()._signal(sig))

    # --- starting ---------------------------------------------------------------------------------------------

    async def start(self) -> tuple[str, int]:
        """Start the server's process; what an earlier hub left of this server is ended first."""
        await self._end_leftovers()
        log = Path(self.log_folder) / f"server-{self.user.name}{'-' + self.name if self.name else ''}.log"
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            inherited: dict[str, Any] = dict(self.popen_kwargs)  # type: ignore[has-type]
            self.popen_kwargs = {**inherited, "stdout": handle, "stderr": handle}
            address: tuple[str, int] = await super().start()
        finally:
            os.close(handle)
        self._ticks, self._boot = start_ticks(self.pid), boot_id()
        return address

    async def _end_leftovers(self) -> None:
        """End servers of this user and name that no record knows: a killed hub could not write them down."""
        leftovers = [(pid, start_ticks(pid)) for pid in leftover_servers(self.instance, self.user.name, self.name)]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid, ticks in leftovers:
                if ticks is not None and start_ticks(pid) == ticks:
                    self.log.warning("Ending a server of %s that an earlier hub left: pid %i", self.user.name, pid)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            for _ in range(100):
                if not any(ticks is not None and start_ticks(pid) == ticks for pid, ticks in leftovers):
                    return
                await asyncio.sleep(0.05)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what the person waiting reads."""
        yield {"progress": 15, "message": "Starting your Jupyter server on this machine…"}
        yield {"progress": 40, "message": "The server's process runs; it is loading its extensions…"}
        await asyncio.sleep(2.0)
        yield {"progress": 75, "message": "Waiting for its first answer…"}


def leftover_servers(instance: str, user: str, name: str) -> list[int]:
    """Return the pids of single-user servers of ``instance`` that belong to ``user``'s server ``name``."""
    wanted = {"SIMDECK_INSTANCE": instance, "JUPYTERHUB_USER": user, "JUPYTERHUB_SERVER_NAME": name}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        # Kernels and terminals inherit the server's variables: the command tells the server itself.
        if b"jupyterhub-singleuser" in command:
            env = environment(pid)
            if all(env.get(key) == value for key, value in wanted.items()):
                found.append(pid)
    return found
