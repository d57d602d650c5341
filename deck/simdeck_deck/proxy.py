"""The agent's routes on the web: each is made from the agent's own route table, with its scope checked here.

Bodies stream both ways and nothing is buffered. The address at the agent is built anew from the matched route and its
parameters, so that what was authorised is what is asked for.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
from simdeck_agent import api
from simdeck_agent.api.parts import LIMIT_HEADER, LIMITED_KEY
from simdeck_common.problems import Problem
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from simdeck_deck import shared_runs
from simdeck_deck.agents import PASSED_ON
from simdeck_deck.scopes import DECLARABLE

if TYPE_CHECKING:
    from simdeck_deck.app import Deck

log = logging.getLogger(__name__)

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# The caller's credentials end at the deck.
NOT_TO_AGENT = HOP_BY_HOP | {
    "host",
    "authorization",
    "cookie",
    "x-xsrf-token",
    "forwarded",
    "expect",
    LIMIT_HEADER.lower(),
}
NOT_TO_CALLER = HOP_BY_HOP | {"set-cookie", "server", "date", "content-security-policy"}
# The longest an agent may let a caller wait for its answer (a run that is waited for), and a bit.
TIMEOUT = httpx.Timeout(660.0, connect=5.0)
_PARAMETER = re.compile(r"{(\w+)(?::(\w+))?}")


def agent_path(template: str, params: Mapping[str, Any]) -> str:
    """Return the path at the agent for a route's ``template`` (``/runs/{id}/files/{path:path}``) and its parameters.

    Raises
    ------
    Problem
        404: a parameter has segments that a server might resolve (``.``, ``..``), or none where one must be.
    """

    def fill(match: re.Match[str]) -> str:
        value = str(params[match[1]])
        if any(part in ("", ".", "..") for part in value.split("/")):
            raise Problem("not-found")
        return quote(value, safe="/" if match[2] == "path" else "")

    return _PARAMETER.sub(fill, template)


def kept_headers(headers: httpx.Headers | Any, dropped: frozenset[str]) -> list[tuple[str, str]]:
    """Return the headers that pass: neither ``dropped`` nor named by ``Connection``."""
    named = {name.strip().lower() for name in headers.get("connection", "").split(",")}
    return [
        (name, value)
        for name, value in headers.items()
        if name.lower() not in dropped and name.lower() not in named and not name.lower().startswith("x-forwarded-")
    ]


def limiting(limits: frozenset[str] | None) -> dict[str, str]:
    """Return the header that tells an agent which workflows alone the caller's token is for."""
    return {} if limits is None else {LIMIT_HEADER: ",".join(sorted(limits))}


async def forward(deck: Deck, request: Request, user: str, path: str, limits: frozenset[str] | None = None) -> Response:
    """Send ``request`` to ``path`` of the agent of ``user`` and stream its answer back.

    ``limits``: the workflows that the caller's token is for, where it is not for all.
    """
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    client = await deck.agents.client(user)
    query = request.scope["query_string"].decode("latin-1")
    sent = client.build_request(
        request.method,
        httpx.URL(f"http://agent{path}" + (f"?{query}" if query else "")),
        headers=[*kept_headers(request.headers, NOT_TO_AGENT), *limiting(limits).items()],
        content=request.stream() if has_body else None,
        timeout=TIMEOUT,
        extensions={PASSED_ON: True},
    )
    try:
        answer = await client.send(sent, stream=True)
    except httpx.TransportError as error:
        late = isinstance(error, httpx.TimeoutException)
        if late or has_body or request.method not in ("GET", "HEAD"):
            raise deck.agents.launcher.unavailable(user, f"the connection broke ({type(error).__name__})") from error
        # The agent ended between the look at its socket and the request: what only reads is asked once more.
        client = await deck.agents.client(user)
        try:
            sent = client.build_request(
                sent.method, sent.url, headers=sent.headers, timeout=TIMEOUT, extensions={PASSED_ON: True}
            )
            answer = await client.send(sent, stream=True)
        except httpx.TransportError as again:
            raise deck.agents.launcher.unavailable(user, f"the connection broke ({type(again).__name__})") from again

    response = StreamingResponse(_body(answer, deck.closing), status_code=answer.status_code)
    response.raw_headers = [
        (name.lower().encode("latin-1"), _public(deck, name, value).encode("latin-1"))
        for name, value in kept_headers(answer.headers, NOT_TO_CALLER)
    ]
    return response


def _public(deck: Deck, name: str, value: str) -> str:
    """Return a header's value as the web sees it: the agent knows its paths only, not where they are served."""
    if name.lower() == "location" and value.startswith("/"):
        return deck.settings.api_prefix + value
    return value


async def _body(answer: httpx.Response, closing: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield the agent's answer as it comes; whoever stops reading closes the agent's side too."""
    streaming = answer.headers.get("content-type", "").startswith("text/event-stream")
    try:
        chunks = answer.aiter_raw()
        if not streaming:
            async for chunk in chunks:
                yield chunk
            return
        async for chunk in _until(chunks, closing):
            yield chunk
    except httpx.TransportError as error:
        # The head is out already; cutting the connection is all that is left to say, and event streams come back.
        log.warning("The agent's answer broke off: %s", type(error).__name__)
        if not streaming:
            raise
    finally:
        await asyncio.shield(answer.aclose())


async def _until(chunks: AsyncIterator[bytes], closing: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield ``chunks`` until they end or ``closing`` is set: an endless stream must not hold up the service's end."""
    stop = asyncio.ensure_future(closing.wait())
    try:
        while True:
            following = asyncio.ensure_future(_next(chunks))
            try:
                done, _ = await asyncio.wait({following, stop}, return_when=asyncio.FIRST_COMPLETED)
                if following not in done:
                    return
            finally:
                if not following.done():
                    following.cancel()
                    await asyncio.wait({following})
            try:
                yield following.result()
            except StopAsyncIteration:
                return
    finally:
        stop.cancel()


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    """``anext`` as a coroutine, which is what a task can be made of."""
    return await anext(chunks)


def routes(deck: Deck) -> list[Route]:
    """Return a Starlette route for each route of the agent.

    Raises
    ------
    ValueError
        A route of the agent declares no scope, or one that nobody can hold.
    """
    made = []
    for route, scope in api.routes():
        if scope not in DECLARABLE:
            raise ValueError(f"The route {route.path} declares the unknown scope {scope!r}.")
        endpoint = _endpoint(deck, route.path, scope, limited=bool((route.openapi_extra or {}).get(LIMITED_KEY)))
        passed_on = Route(deck.settings.api_prefix + route.path, endpoint, methods=sorted(route.methods or ()))
        # Starlette adds HEAD to GET; the agent does not serve it.
        passed_on.methods = set(route.methods or ())
        made.append(passed_on)
    return made


def _endpoint(deck: Deck, template: str, scope: str, *, limited: bool) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if limited:
            user = await deck.auth.authenticate(request)
            limits = user.limits(scope)
        else:
            user, limits = await deck.auth.authorize(request, scope), None
        if shared_runs.is_ticket(str(request.path_params.get("run_id", ""))):
            if limits is not None:
                raise Problem("run-not-found", run=request.path_params["run_id"])
            return await shared_runs.answer(deck, request, user, template, request.path_params)
        try:
            return await forward(deck, request, user.name, agent_path(template, request.path_params), limits)
        except ClientDisconnect:
            return Response(status_code=499)

    return endpoint
