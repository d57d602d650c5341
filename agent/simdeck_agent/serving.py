"""uvicorn as both services use it: its Unix socket, and a shutdown that open event streams do not hold up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

GRACE_SECONDS = 5


class Server(uvicorn.Server):
    """A server that sets ``closing`` as soon as it is told to end, so that streams can finish by themselves."""

    def __init__(self, app: ASGIApp, closing: asyncio.Event, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http="h11",
                ws="none",
                access_log=False,
                log_level="warning",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self.closing = closing

    def end(self) -> None:
        """End as on SIGTERM: no new connections, running requests finish, streams close."""
        self.closing.set()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.closing.set()
        super().handle_exit(sig, frame)


def unix_socket(path: Path) -> socket.socket:
    """Return a listening Unix socket at ``path`` (mode 600), which takes the place of whatever was there.

    Made under another name and renamed, so that nobody ever meets it with another mode or before it listens.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The mode of the inode is set before it can be reached: fchmod on the socket itself is what bind() gives it.
        os.fchmod(listening.fileno(), 0o600)
        listening.bind(str(temporary))
        os.chmod(temporary, 0o600)
        listening.listen(256)
        os.replace(temporary, path)
    except BaseException:
        listening.close()
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return listening
