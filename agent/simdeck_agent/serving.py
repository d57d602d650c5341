"""uvicorn as both services use it: its Unix socket, and a shutdown that open event streams do not hold up."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

GRACE_SECONDS = 5


class Server(uvicorn.Server):
    """A server that sets ``closing`` as soon as it is told to end, so that streams can finish by themselves."""

    def __init__(
        self,
        app: ASGIApp,
        closing: asyncio.Event,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        on_started: Callable[[], None] = lambda: None,
    ) -> None:
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
        self.on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_started()

    def end(self) -> None:
        """End as on SIGTERM: no new connections, running requests finish, streams close."""
        self.closing.set()
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.closing.set()
        super().handle_exit(sig, frame)


def listen_at(path: Path) -> socket.socket:
    """Return a listening Unix socket at ``path`` (mode 600); what was there goes."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The mode of the inode is set before it can be reached: fchmod on the socket itself is what bind() gives it.
        os.fchmod(listening.fileno(), 0o600)
        listening.bind(str(path))
        os.chmod(path, 0o600)
        listening.listen(256)
    except BaseException:
        listening.close()
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return listening


def unix_socket(path: Path) -> socket.socket:
    """Return a listening Unix socket at ``path`` (mode 600), which takes the place of whatever was there.

    Made under another name and renamed, so that nobody ever meets it with another mode or before it listens.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    listening = listen_at(temporary)
    try:
        os.replace(temporary, path)
    except BaseException:
        listening.close()
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return listening


class InheritedSocket(socket.socket):
    """A listening Unix socket that somebody else made; connections of other users than ``peer_uid`` are dropped."""

    peer_uid: int

    @classmethod
    def take(cls, handle: int, peer_uid: int) -> InheritedSocket:
        """Take the socket at descriptor ``handle`` over; nothing this process starts gets it."""
        taken = cls(fileno=os.dup(handle))
        taken.peer_uid = peer_uid
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, handle)
        os.close(nothing)
        return taken

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection of the right user. Raises ``BlockingIOError`` when there is none."""
        while True:
            try:
                connection, address = super().accept()
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                # Shut, and everybody who had come is served: the event loop need not look any more.
                asyncio.get_running_loop().remove_reader(self.fileno())
                raise BlockingIOError from None
            uid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
            if uid == self.peer_uid:
                return connection, address
            connection.close()

    def shut(self) -> None:
        """Take no new connections; those that wait to be accepted still are."""
        self.shutdown(socket.SHUT_RD)
