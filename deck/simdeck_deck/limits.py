"""The size of requests: one limit for everything the deck answers, told beforehand or found out while reading.

Pure ASGI, because bodies stream through.
"""

from __future__ import annotations

from simdeck_agent.problem_answers import problem_response
from simdeck_common.problems import Problem
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestLimit:
    """Refuses (413 ``too-large``) requests with a body of more than ``limit`` bytes."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdigit() or int(length) > self.limit:
            await problem_response(self._too_large())(scope, receive, send)
            return
        read = 0

        async def receive_counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.limit:
                # Within the application, whose error handlers answer it.
                raise self._too_large()
            return message

        await self.app(scope, receive_counted, send)

    def _too_large(self) -> Problem:
        return Problem("too-large", limit=f"{self.limit / 2**20:g} MiB")
