"""The server's side, inside the job: `python -m simdeck_spawners.server --name NAME`.

Reads what the hub wrote to ``~/.simdeck/servers/NAME/server.json`` (environment with the token, arguments), binds a
port, tells the hub which, and becomes jupyterhub-singleuser on that very socket: nobody can take the port in between,
and the hub's first request waits in the socket until the server takes it.

SIGUSR1 is Slurm's word that the walltime nears its end. It is written to ``warning.json`` beside ``server.json``, and
every callable that a server extension put into ``serverapp.web_app.settings["simdeck_walltime_hooks"]`` is called with
the end (seconds since the epoch). The same number is in ``SIMDECK_JOB_ENDS`` from the start.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import json
import os
import shutil
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from simdeck_common.files import write_atomically
from simdeck_common.layout import private_dir

from simdeck_spawners.announce import Refused, announce, repeat
from simdeck_spawners.lean import singleuser_main

HOOKS = "simdeck_walltime_hooks"
BACKLOG = 256
HUB_UNREACHABLE = 69
"""Exit status ``simdeck_clusters.ends`` knows: the node cannot reach the hub."""
LONGEST_BASE = 28
"""Of the 107 bytes that a Unix socket's path may have, the folder's own name and a kernel's take the rest."""
CERTIFICATES = {
    "JUPYTERHUB_SSL_KEYFILE": "key.pem",
    "JUPYTERHUB_SSL_CERTFILE": "cert.pem",
    "JUPYTERHUB_SSL_CLIENT_CA": "ca.pem",
}


@dataclass(frozen=True)
class Orders:
    """What the hub wrote for this server."""

    folder: Path
    environment: dict[str, str]
    arguments: list[str]
    bind: str
    walltime_minutes: int | None


def read_orders(folder: Path) -> Orders:
    """Read ``server.json`` in ``folder``.

    Raises
    ------
    OSError, ValueError
        It is not there or not readable; somebody else could have written it.
    """
    path = folder / "server.json"
    info = path.stat()
    if info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise ValueError(f"{path} must belong to this user and be closed to everybody else")
    raw = json.loads(path.read_text(encoding="utf-8"))
    minutes = raw.get("walltime_minutes")
    return Orders(
        folder=folder,
        environment={str(name): str(value) for name, value in raw["environment"].items()},
        arguments=[str(word) for word in raw.get("arguments", [])],
        bind=str(raw.get("bind") or "0.0.0.0"),  # noqa: S104 - hub and proxy come from another machine
        walltime_minutes=None if minutes is None else int(minutes),
    )


def bind(address: str) -> socket.socket:
    """Return a listening socket on a free port of ``address``."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind((address, 0))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def job_ends(environment: dict[str, str], walltime_minutes: int | None, now: float) -> int | None:
    """Return when Slurm ends this job (seconds since the epoch): by Slurm's own word, else by its start or by now."""
    for name, add in (("SLURM_JOB_END_TIME", 0), ("SLURM_JOB_START_TIME", walltime_minutes)):
        value = environment.get(name, "")
        if value.isdigit() and int(value) and add is not None:
            return int(value) + add * 60
    return None if walltime_minutes is None else int(now) + walltime_minutes * 60


def set_environment(orders: Orders, port: int, target: dict[str, str] | os._Environ[str]) -> None:
    """Put into ``target`` what jupyterhub-singleuser, the apps' kernels and the server extension look for."""
    target.update(orders.environment)
    home = Path.home()
    apps = home / ".simdeck" / "apps"
    target.setdefault("SIMDECK_APPS_DIR", str(apps))
    own = [str(apps / ".jupyter"), target.get("JUPYTER_PATH", "")]
    target["JUPYTER_PATH"] = os.pathsep.join(filter(None, own))
    target["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), target.get("PATH", os.defpath)])
    url = urlsplit(target["JUPYTERHUB_SERVICE_URL"])
    host = f"[{orders.bind}]" if ":" in orders.bind else orders.bind
    target["JUPYTERHUB_SERVICE_URL"] = urlunsplit((url.scheme, f"{host}:{port}", url.path, "", ""))
    for name, file in CERTIFICATES.items():
        if name in orders.environment:
            target[name] = str(orders.folder / file)
    ends = job_ends(dict(target), orders.walltime_minutes, time.time())
    if ends is not None:
        target["SIMDECK_JOB_ENDS"] = str(ends)


def runtime_folder(environment: dict[str, str] | os._Environ[str]) -> Path:
    """Make this server's own folder on the node (700) for its kernels' sockets and connection files, and name it.

    A TCP port of a kernel can be reached by everybody on the node. A socket's path is limited, so this one is short.
    Folders of servers that were killed are removed.
    """
    base = Path(environment.get("TMPDIR") or "/tmp")  # noqa: S108 - made below under a name of this process, mode 700
    if len(str(base)) > LONGEST_BASE or not os.access(base, os.W_OK):
        base = Path("/tmp")  # noqa: S108
    prefix = f"simdeck-{os.getuid()}-r"
    for old in base.glob(f"{prefix}*"):
        pid = old.name.removeprefix(prefix)
        if pid.isdigit() and int(pid) != os.getpid() and not Path("/proc", pid).exists():
            shutil.rmtree(old, ignore_errors=True)
    folder = private_dir(base / f"{prefix}{os.getpid()}")
    environment["JUPYTER_RUNTIME_DIR"] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def ssl_context(environment: dict[str, str] | os._Environ[str]) -> ssl.SSLContext | None:
    """Return the context for talking to a hub with inner TLS, or None."""
    cert = environment.get("JUPYTERHUB_SSL_CERTFILE")
    if not cert:
        return None
    context = ssl.create_default_context(cafile=environment.get("JUPYTERHUB_SSL_CLIENT_CA"))
    context.load_cert_chain(cert, environment.get("JUPYTERHUB_SSL_KEYFILE"))
    return context


class WalltimeWarning:
    """Passes Slurm's warning on to whoever listens in the server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.given: int | None = None
        self._settings: dict[str, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def install(self) -> None:
        """Take SIGUSR1 from now on; without this it would end the process."""
        signal.signal(signal.SIGUSR1, lambda *_: self.give())

    def attach(self, settings: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        """Know the running server; a warning that came before is passed on now."""
        self._settings, self._loop = settings, loop
        # The server has installed handlers of its own on the way.
        self.install()
        settings.setdefault(HOOKS, [])
        if self.given is not None:
            loop.call_soon_threadsafe(self._call)

    def give(self) -> None:
        """Write the warning down and call the hooks from the server's loop."""
        self.given = int(os.environ.get("SIMDECK_JOB_ENDS") or time.time())
        with suppress(OSError):
            path = self.folder / "warning.json"
            write_atomically(path, json.dumps({"when": int(time.time()), "ends": self.given}))
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._call)

    def _call(self) -> None:
        for hook in list(self._settings.get(HOOKS, [])):
            try:
                result = hook(self.given)
                if asyncio.iscoroutine(result):
                    task = asyncio.ensure_future(result)
                    task.add_done_callback(_report)
            except Exception as error:
                print(f"simdeck-server: a walltime hook failed: {error!r}", file=sys.stderr, flush=True)


def _report(task: asyncio.Future[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        print(f"simdeck-server: a walltime hook failed: {task.exception()!r}", file=sys.stderr, flush=True)


def serve_on(listener: socket.socket, ready: Callable[[Any], None]) -> None:
    """Make jupyter_server use ``listener`` instead of binding a port of its own, and call ``ready`` with the app."""
    from jupyter_server.serverapp import ServerApp

    def bind_ours(self: Any) -> bool:
        self.http_server.add_socket(listener)
        ready(self)
        return True

    ServerApp._find_http_port = lambda self: None
    ServerApp._bind_http_server_tcp = bind_ours


def main(argv: list[str] | None = None) -> int:
    """Run the server until it ends."""
    parser = argparse.ArgumentParser(prog="simdeck-server")
    parser.add_argument("--name", required=True)
    name = parser.parse_args(argv).name
    if "/" in name or name.startswith("."):
        parser.error("not a server's name")
    folder = Path.home() / ".simdeck" / "servers" / name
    warning = WalltimeWarning(folder)
    warning.install()
    try:
        orders = read_orders(folder)
        listener = bind(orders.bind)
    except (OSError, ValueError, KeyError) as error:
        print(f"simdeck-server: cannot start: {error}", file=sys.stderr, flush=True)
        return 78
    port = listener.getsockname()[1]
    set_environment(orders, port, os.environ)
    runtime_folder(os.environ)
    hub, token = os.environ["JUPYTERHUB_API_URL"], os.environ["JUPYTERHUB_API_TOKEN"]
    signal.signal(signal.SIGTERM, _end_unheard)
    told = _announce_beside(hub, token, port)
    start = singleuser_main()
    # jupyterhub-singleuser gives up when the hub is down; whoever waited in a queue must not lose the place for that.
    told.wait()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    serve_on(listener, lambda app: warning.attach(app.web_app.settings, app.io_loop.asyncio_loop))
    arguments = [*orders.arguments, "--KernelManager.transport=ipc", *(["--allow-root"] if os.getuid() == 0 else [])]
    sys.argv = ["jupyterhub-singleuser", *arguments]
    start(arguments)
    return 0


def _end_unheard(*_: object) -> None:
    """End before the hub was reached: with the status that says so in the job's end record."""
    os._exit(HUB_UNREACHABLE)


def _announce_beside(hub: str, token: str, port: int) -> threading.Event:
    """Announce the port while the imports go on; the event is set when the hub has taken it."""
    told = threading.Event()

    def run() -> None:
        try:
            context = ssl_context(os.environ)
            announce(hub, token, port, context=context)
        except Refused as error:
            print(f"simdeck-server: ending: {error}.", file=sys.stderr, flush=True)
            os._exit(HUB_UNREACHABLE)
        told.set()
        repeat(hub, token, port, context)

    threading.Thread(target=run, daemon=True, name="announce").start()
    return told


if __name__ == "__main__":
    sys.exit(main())
