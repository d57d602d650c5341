"""Server-Sent Events: any async iterator of events as a stream that keeps alive, resumes, and lets the server stop.

Each event goes out with its ``seq`` as ``id``, so that a client that comes back sends ``Last-Event-ID`` and misses
nothing. When the iterator ends, one event ``end`` closes the stream, which tells an ``EventSource`` not to come back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from fastapi import Request
from simdeck_common.problems import Problem
from starlette.responses import StreamingResponse

KEEPALIVE_SECONDS = 15.0
KEEPALIVE = ": still here\n\n"


class SequencedEvent(Protocol):
    """What ``Event`` of runs and of tasks have in common."""

    @property
    def seq(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def data(self) -> dict[str, Any]: ...


def encode(event: str, data: Any, event_id: int | None = None) -> str:
    """Return one event in the wire format; JSON has no raw line breaks, so one ``data`` line holds it."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def last_event_id(request: Request) -> int:
    """Return the ``seq`` that the client has seen last (``Last-Event-ID``, or ``after`` in the query); 0 for none.

    Raises
    ------
    Problem
        400 ``bad-request``: it is not a number.
    """
    text = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not text.isascii() or not text.isdigit():
        raise Problem(
            "bad-request", field="Last-Event-ID", detail="Last-Event-ID must be the id of an event, a whole number."
        )
    return int(text)


async def stream(
    events: AsyncIterator[SequencedEvent],
    end: Callable[[], Awaitable[dict[str, Any]]],
    closing: asyncio.Event,
    keepalive: float = KEEPALIVE_SECONDS,
) -> AsyncIterator[str]:
    """Yield the wire format of ``events``, then ``end`` with the data that ``end()`` returns.

    When ``closing`` is set the stream stops without ``end``, so the client comes back to the next server.
    """
    stop = asyncio.create_task(closing.wait())
    following: asyncio.Task[SequencedEvent] | None = None
    try:
        while True:
            if following is None:
                following = asyncio.create_task(_next(events))
            waited: set[asyncio.Task[Any]] = {following, stop}
            done, _ = await asyncio.wait(waited, timeout=keepalive, return_when=asyncio.FIRST_COMPLETED)
            if following in done:
                try:
                    event = following.result()
                except StopAsyncIteration:
                    yield encode("end", await end())
                    return
                finally:
                    following = None
                yield encode(event.type, event.data, event.seq)
            elif stop in done:
                return
            else:
                yield KEEPALIVE
    finally:
        stop.cancel()
        if following is not None:
            following.cancel()
            with contextlib.suppress(BaseException):
                await following
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


async def _next(events: AsyncIterator[SequencedEvent]) -> SequencedEvent:
    """``anext`` as a coroutine, which is what a task can be made of."""
    return await anext(events)


def response(body: AsyncIterator[str]) -> StreamingResponse:
    """Return the HTTP answer of a stream; proxies are told not to hold it back."""
    return StreamingResponse(
        body, media_type="text/event-stream", headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    )
