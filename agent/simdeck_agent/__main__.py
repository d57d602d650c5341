"""``python -m simdeck_agent --settings FILE --user NAME``: one user's agent, until idle or SIGTERM.

On a site the launcher adds ``--peer-uid`` and ``--ready-fd``: standard input is then the listening socket, the user's
things are in ``~/.simdeck``, and ``ready`` is written to the descriptor once the agent serves.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from simdeck_common.layout import UserHome, account_home, private_dir, user_home

from simdeck_agent import lean  # noqa: F401 - first of all
from simdeck_agent.app import AgentApp
from simdeck_agent.serving import InheritedSocket, Server, unix_socket
from simdeck_agent.settings import AgentSettings

log = logging.getLogger("simdeck_agent")

LOCK_SECONDS = 20.0
# How long a request that was sent just before the socket's name vanished may take to be seen.
LINGER_SECONDS = 0.3


def take_lock(path: Path, seconds: float = LOCK_SECONDS, *, relieve: bool = False) -> IO[str]:
    """Return the locked file ``path``: one agent per user. Waits for an agent that is just ending.

    Parameters
    ----------
    relieve
        Tell the agent that holds the lock to end: nobody reaches it any more, or this one would not have been started.

    Raises
    ------
    TimeoutError
        Another agent still holds it after ``seconds``.
    """
    stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+")
    begin = time.monotonic()
    told: set[tuple[int, signal.Signals]] = set()
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            waited = time.monotonic() - begin
            if waited > seconds:
                raise TimeoutError(f"Another agent (process {holder}) holds {path.name}") from None
            if relieve:
                tell_to_end(holder, signal.SIGTERM if waited < seconds / 2 else signal.SIGKILL, told)
            time.sleep(0.05)
            continue
        stream.seek(0)
        stream.truncate(0)
        stream.write(f"{os.getpid()} {socket.gethostname()}")
        stream.flush()
        return stream


def tell_to_end(holder: str, number: signal.Signals, told: set[tuple[int, signal.Signals]]) -> None:
    """Send the signal, once, to the agent that the lock file names, if it is one of ours on this machine."""
    pid, _, host = holder.partition(" ")
    if not pid.isdigit() or host != socket.gethostname() or (int(pid), number) in told:
        return
    told.add((int(pid), number))
    with contextlib.suppress(OSError):
        if b"simdeck_agent" in Path(f"/proc/{pid}/cmdline").read_bytes():
            log.info("Telling the agent %s, which nobody reaches any more, to end (%s)", pid, number.name)
            os.kill(int(pid), number)


def make(user: str, settings: AgentSettings, home: UserHome) -> AgentApp:
    """Return the agent of ``user`` with the real backend and installer behind it."""
    from simdeck_appstore.installer import Installer
    from simdeck_workflows import storage
    from simdeck_workflows.backend import Backend, BackendSettings

    private_dir(home.agent)
    storage.write(home, user, settings.postgresql)
    installer = Installer(private_dir(home.apps), settings.installer())
    backend = Backend(
        home,
        BackendSettings(
            backend_python=settings.backend_python,
            worker_idle_seconds=settings.worker_idle_seconds,
            clusters=tuple(settings.clusters),
            codes=tuple(settings.codes),
            pseudopotentials=tuple(settings.pseudopotentials),
            notices=settings.notices,
            policy=settings.policy,
            user=user,
            site_apps=settings.site_apps,
        ),
    )
    return AgentApp(user, home, settings, installer, backend)


class OwnSocket:
    """The socket of an agent of the local kind: made, and taken away at the end, by the agent itself."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listening: socket.socket = unix_socket(path)
        self._inode = path.stat().st_ino

    def shut(self) -> None:
        """Let nobody find the socket any more."""
        self.path.unlink(missing_ok=True)

    def leave(self) -> None:
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()


class GivenSocket:
    """The socket of a site's agent: the service's own, in a folder this user cannot even look into."""

    def __init__(self, peer_uid: int) -> None:
        self.listening = InheritedSocket.take(0, peer_uid)

    def shut(self) -> None:
        """Take no new connections."""
        self.listening.shut()

    def leave(self) -> None:
        """Its name is the service's business."""


Door = OwnSocket | GivenSocket


async def serve(
    user: str, settings: AgentSettings, home: UserHome, open_door: Callable[[], Door], on_started: Callable[[], None]
) -> None:
    """Serve until told to end, or until idle."""
    agent = make(user, settings, home)
    told_early: list[int] = []
    # The server handles SIGTERM while it runs and raises it once more when all is done, to end as the signal would:
    # for us that is an orderly end. One that comes before the server runs is heeded as soon as it does.
    signal.signal(signal.SIGTERM, lambda number, _: told_early.append(number))

    def started() -> None:
        on_started()
        if told_early:
            server.end()

    server = Server(agent.asgi, agent.closing, on_started=started)
    door = open_door()

    async def end_when_idle() -> None:
        await agent.watch_idleness(lambda: None)
        if not agent.closing.is_set():
            # First nobody gets in any more; then whoever was in is served; then the end.
            door.shut()
            await asyncio.sleep(LINGER_SECONDS)
            await agent.asgi.quiet.wait()
            server.end()

    idle = asyncio.create_task(end_when_idle())
    try:
        await server.serve(sockets=[door.listening])
    finally:
        idle.cancel()
        door.leave()
        agent.store.close()


def say_ready(handle: int) -> None:
    """Write ``ready`` to the descriptor of whoever waits; nobody waiting any more is no reason to end."""
    with contextlib.suppress(OSError):
        os.write(handle, b"ready\n")
        os.close(handle)


def main(argv: list[str] | None = None) -> int:
    """Run the agent; the exit status is 0 for an orderly end."""
    parser = argparse.ArgumentParser(prog="simdeck-agent", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="the JSON file of AgentSettings")
    parser.add_argument("--user", required=True, help="the hub user whose agent this is")
    parser.add_argument("--peer-uid", type=int, help="on a site: the service's uid, whose connections are taken")
    parser.add_argument("--ready-fd", type=int, help="on a site: descriptor that `ready` is written to")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    os.umask(0o077)
    on_a_site = args.peer_uid is not None
    try:
        if args.ready_fd is not None:
            # The worker and the installer's programs must not keep it open.
            os.set_inheritable(args.ready_fd, False)
        settings = AgentSettings.read(args.settings)
        home = account_home() if on_a_site else user_home(settings.data, args.user)
        lock = take_lock(private_dir(home.agent) / "agent.lock", relieve=on_a_site)
        if on_a_site:
            # Of two that began at once both may have made a folder for sockets: the noted one counts.
            home = account_home()
    except (OSError, ValueError, KeyError) as error:
        print(f"The agent cannot start: {error}", file=sys.stderr)
        return 1
    log.info("Agent of %s, process %d", args.user, os.getpid())

    def open_door() -> Door:
        return GivenSocket(args.peer_uid) if on_a_site else OwnSocket(home.agent_socket)

    ready = (lambda: None) if args.ready_fd is None else (lambda: say_ready(args.ready_fd))
    with lock:
        asyncio.run(serve(args.user, settings, home, open_door, ready))
    return 0


if __name__ == "__main__":
    sys.exit(main())
