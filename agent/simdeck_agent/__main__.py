"""``python -m simdeck_agent --settings FILE --user NAME``: one user's agent, until idle or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO

from simdeck_common.layout import private_dir, user_home

from simdeck_agent.app import AgentApp
from simdeck_agent.serving import Server, unix_socket
from simdeck_agent.settings import AgentSettings

log = logging.getLogger("simdeck_agent")

LOCK_SECONDS = 20.0
# How long a request that was sent just before the socket's name vanished may take to be seen.
LINGER_SECONDS = 0.3


def take_lock(path: Path, seconds: float = LOCK_SECONDS) -> IO[str]:
    """Return the locked file ``path``: one agent per user. Waits for an agent that is just ending.

    Raises
    ------
    TimeoutError
        Another agent still holds it after ``seconds``.
    """
    stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = stream.read().strip() or "unknown"
                raise TimeoutError(f"Another agent (process {holder}) holds {path.name}") from None
            time.sleep(0.05)
            continue
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        return stream


def make(user: str, settings: AgentSettings) -> AgentApp:
    """Return the agent of ``user`` with the real backend and installer behind it."""
    # jsonschema compiles a grammar for IRI formats where it finds this package: half of an agent's start, for nothing
    # that a workflow's inputs use.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

    from simdeck_appstore.installer import Installer, InstallerSettings
    from simdeck_workflows.backend import Backend, BackendSettings

    home = user_home(settings.data, user)
    private_dir(home.agent)
    installer = Installer(
        private_dir(home.apps),
        InstallerSettings(
            registries=list(settings.registries),
            uv=settings.uv,
            python=settings.app_python,
            describe_argv=[str(settings.backend_python), "-m", "simdeck_workflows.engine.describe"],
        ),
    )
    backend = Backend(
        home,
        BackendSettings(
            backend_python=settings.backend_python,
            worker_idle_seconds=settings.worker_idle_seconds,
            clusters=tuple(settings.clusters),
        ),
    )
    return AgentApp(user, home, settings, installer, backend)


async def serve(user: str, settings: AgentSettings) -> None:
    """Serve until told to end, or until idle."""
    home = user_home(settings.data, user)
    agent = make(user, settings)
    server = Server(agent.asgi, agent.closing)

    async def end_when_idle() -> None:
        await agent.watch_idleness(lambda: None)
        if not agent.closing.is_set():
            # First nobody finds the socket any more; then whoever had found it is served; then the end.
            home.agent_socket.unlink(missing_ok=True)
            await asyncio.sleep(LINGER_SECONDS)
            await agent.asgi.quiet.wait()
            server.end()

    listening = unix_socket(home.agent_socket)
    inode = home.agent_socket.stat().st_ino
    idle = asyncio.create_task(end_when_idle())
    try:
        await server.serve(sockets=[listening])
    finally:
        idle.cancel()
        with contextlib.suppress(OSError):
            if home.agent_socket.stat().st_ino == inode:
                home.agent_socket.unlink()
        agent.store.close()


def main(argv: list[str] | None = None) -> int:
    """Run the agent; the exit status is 0 for an orderly end."""
    parser = argparse.ArgumentParser(prog="simdeck-agent", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="the JSON file of AgentSettings")
    parser.add_argument("--user", required=True, help="the hub user whose agent this is")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    os.umask(0o077)
    try:
        settings = AgentSettings.read(args.settings)
        lock = take_lock(private_dir(user_home(settings.data, args.user).agent) / "agent.lock")
    except (OSError, ValueError) as error:
        print(f"The agent cannot start: {error}", file=sys.stderr)
        return 1
    # uvicorn raises SIGTERM once more when all is done, to end as the signal would: for us that is an orderly end.
    signal.signal(signal.SIGTERM, lambda *_: None)
    log.info("Agent of %s, process %d", args.user, os.getpid())
    with lock:
        asyncio.run(serve(args.user, settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
