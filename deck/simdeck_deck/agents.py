"""HTTP to a user's agent: the launcher makes sure that it runs, one pooled client per user talks to its socket.

Whatever is asked for by another method than GET can start work, and goes through ``BaseLauncher.working``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Container, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from simdeck_agent.api.parts import GROUPS_HEADER
from simdeck_agent.launcher import BaseLauncher
from simdeck_common.problems import Problem

if TYPE_CHECKING:
    from simdeck_deck.trail import Trail

# An agent answers at once or streams; between two chunks of a stream lie at most its keep-alives (15 s).
TIMEOUT = httpx.Timeout(60.0, connect=5.0)
# Kept shorter than any agent's idle time, so that a pooled connection never meets an agent that is about to end.
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=5.0)
# An answer that is read whole is no longer than this; what is only passed on carries the extension ``PASSED_ON``.
LONGEST = 64 * 2**20
PASSED_ON = "simdeck.passed-on"


class Agents:
    """The agents of all users, as seen from the deck."""

    def __init__(self, launcher: BaseLauncher) -> None:
        self.launcher = launcher
        self._clients: dict[str, tuple[Path, httpx.AsyncClient]] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self.trail: Trail | None = None

    def hear_groups(self, user: str, groups: Iterable[str]) -> None:
        """Note which groups the hub has just said ``user`` is in; their agent is told with each request."""
        self._groups[user] = tuple(groups)

    @property
    def heard(self) -> Container[str]:
        """Those whose groups the hub has said."""
        return self._groups

    def groups(self, user: str) -> tuple[str, ...]:
        """Return the groups that the hub last said ``user`` is in."""
        return self._groups.get(user, ())

    async def client(self, user: str) -> httpx.AsyncClient:
        """Return a client on the socket of ``user``'s agent, which is started if it is not running.

        Raises
        ------
        Problem
            503 ``agent-unavailable``.
        """
        socket = await self.launcher.ensure(user)
        known = self._clients.get(user)
        if known is not None and known[0] == socket:
            return known[1]
        transport = _Transport(self, user, socket)
        client = httpx.AsyncClient(transport=transport, base_url="http://agent", timeout=TIMEOUT, trust_env=False)
        self._clients[user] = (socket, client)
        return client

    async def get_json(self, user: str, path: str, **params: Any) -> Any:
        """GET ``path`` (``/apps/molecule``) from the agent of ``user``; a problem it answers is raised here."""
        chosen = {key: value for key, value in params.items() if value is not None}
        client = await self.client(user)
        try:
            response = await client.get(path, params=chosen)
        except httpx.TransportError as error:
            raise self.launcher.unavailable(user, str(error) or type(error).__name__) from error
        if response.is_error:
            raise problem_of(response)
        return response.json()

    async def ask(self, user: str, method: str, path: str, **sent: Any) -> httpx.Response:
        """Send one request to the agent of ``user`` and return its answer; a problem in it is raised here."""
        client = await self.client(user)
        try:
            response = await client.request(method, path, **sent)
        except httpx.TransportError as error:
            raise self.launcher.unavailable(user, str(error) or type(error).__name__) from error
        if response.is_error:
            raise problem_of(response)
        return response

    async def close(self) -> None:
        """Close the connections; the agents go on."""
        for _, client in self._clients.values():
            await client.aclose()
        self._clients.clear()


class _Bounded(httpx.AsyncByteStream):
    """An answer's body, cut off with an error where it grows past ``LONGEST``."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > LONGEST:
                raise httpx.ReadError(f"the answer is larger than {LONGEST} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Transport(httpx.AsyncBaseTransport):
    """The way to one user's agent: the launcher knows of a request that can start work before the agent does.

    What answers is the user's own process: it may be anything, and must not fill this one's memory.
    """

    def __init__(self, agents: Agents, user: str, socket: Path) -> None:
        self._agents = agents
        self._launcher = agents.launcher
        self._user = user
        self._inner = httpx.AsyncHTTPTransport(uds=str(socket), limits=LIMITS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers.pop(GROUPS_HEADER, None)
        if self._user in self._agents.heard:
            request.headers[GROUPS_HEADER] = json.dumps(self._agents.groups(self._user))
        trail = self._agents.trail
        entry = await trail.begin(self._user, request) if trail is not None else None
        if trail is None or entry is None:
            return await self._send(request)
        try:
            answer = await self._send(request)
        except httpx.TransportError:
            await trail.end(self._user, entry, None)
            raise
        await trail.end(self._user, entry, answer)
        return answer

    async def _send(self, request: httpx.Request) -> httpx.Response:
        if request.method in ("GET", "HEAD", "OPTIONS"):
            answer = await self._inner.handle_async_request(request)
        else:
            with self._launcher.working(self._user):
                answer = await self._inner.handle_async_request(request)
        if not request.extensions.get(PASSED_ON):
            if "content-encoding" in answer.headers:
                await answer.aclose()
                raise httpx.ReadError("the answer is packed, which agents' answers are not")
            assert isinstance(answer.stream, httpx.AsyncByteStream)
            answer.stream = _Bounded(answer.stream)
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


def problem_of(response: httpx.Response) -> Problem:
    """Return the problem in an agent's answer that has been read."""
    try:
        return Problem.from_json(response.json())
    except (ValueError, AttributeError):
        return Problem("unexpected")
