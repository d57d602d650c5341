"""JSON-RPC 2.0 between agent and worker: one JSON message per line on a Unix socket, requests one way, news the other.

The worker serves, the agent calls; the worker may send notifications to every connected agent at any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from simdeck_common.problems import Problem

LOG = logging.getLogger(__name__)

MESSAGE_LIMIT = 256 * 1024 * 1024
"""Bytes of the longest message: inputs hold whole files."""

Handler = Callable[..., Awaitable[Any]]


class DisconnectedError(ConnectionError):
    """The other side went away before it answered."""


class Server:
    """Serves ``handlers`` (by method name, called with the request's params as keywords) on a Unix socket."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._peers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. A socket left by a dead process is replaced: who calls this must hold the worker's lock."""
        self._path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=MESSAGE_LIMIT)
        finally:
            os.umask(mask)

    def stop(self) -> None:
        """Listen no more and hang up on everyone."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)
        for peer in self._peers:
            peer.close()

    def busy(self) -> bool:
        """Whether a request is being worked on."""
        return bool(self._tasks)

    def notify(self, method: str, params: dict[str, Any]) -> None:
        """Tell every connected peer; one that does not read is not waited for."""
        line = _line({"jsonrpc": "2.0", "method": method, "params": params})
        for peer in self._peers:
            if peer.transport.get_write_buffer_size() < 1024 * 1024:
                peer.write(line)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peers.add(writer)
        try:
            while line := await reader.readline():
                task = asyncio.ensure_future(self._answer(line, writer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except (ConnectionError, ValueError):
            pass
        finally:
            self._peers.discard(writer)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        number = None
        try:
            message = json.loads(line)
            number = message.get("id")
            handler = self._handlers[message["method"]]
            reply: dict[str, Any] = {"result": await handler(**message.get("params", {}))}
        except Problem as problem:
            reply = {"error": {"code": -32000, "message": problem.detail, "data": problem.to_json()}}
        except Exception as error:
            LOG.exception("a request failed")
            reply = {"error": {"code": -32603, "message": f"{type(error).__name__}: {error}"}}
        if number is not None:
            with contextlib.suppress(ConnectionError):
                writer.write(_line({"jsonrpc": "2.0", "id": number, **reply}))
                await writer.drain()


class Connection:
    """The calling side. ``on_notify(method, params)`` is called for each notification."""

    def __init__(self, on_notify: Callable[[str, dict[str, Any]], None]) -> None:
        self._on_notify = on_notify
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._listener: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()

    async def open(self, path: Path) -> None:
        """Connect. Raises ``OSError`` where nobody listens."""
        reader, self._writer = await asyncio.open_unix_connection(str(path), limit=MESSAGE_LIMIT)
        self._listener = asyncio.create_task(self._listen(reader))

    async def call(self, method: str, **params: Any) -> Any:
        """Call and return the result.

        Raises
        ------
        Problem
            The other side refused.
        DisconnectedError
            It went away; whether it did what was asked is unknown.
        RuntimeError
            It met an unexpected error.
        """
        if self._writer is None or self.closed.is_set():
            raise DisconnectedError("not connected")
        self._number += 1
        number = self._number
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._writer.write(_line({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
            await self._writer.drain()
            return await future
        except ConnectionError as error:
            # Writing notices a dead peer before the listener does; without this, callers would try again and again.
            self.closed.set()
            raise DisconnectedError(str(error)) from error
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if "id" in message:
                    self._resolve(message)
                else:
                    self._on_notify(message["method"], message.get("params", {}))
        except (ConnectionError, ValueError):
            pass
        finally:
            self.closed.set()
            if self._writer is not None:
                self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(DisconnectedError("the worker went away"))

    def _resolve(self, message: dict[str, Any]) -> None:
        future = self._waiting.get(message["id"])
        if future is None or future.done():
            return
        error = message.get("error")
        if error is None:
            future.set_result(message.get("result"))
        elif "data" in error:
            future.set_exception(Problem.from_json(error["data"]))
        else:
            future.set_exception(RuntimeError(error["message"]))


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode() + b"\n"
