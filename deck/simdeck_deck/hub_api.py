"""The hub's REST API, asked with the caller's own token: the state of their Jupyter servers, start, stop, progress.

``server`` is the name of a server beside the default one; empty means the default server.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field
from simdeck_common.problems import Problem

ENDING_SECONDS = 20.0
"""How long a server that is being stopped is waited for: its job is gone at once, or in a few seconds."""
LOOK_SECONDS = 0.25

State = Literal["stopped", "starting", "running", "stopping"]


class ServerState(BaseModel):
    """The caller's Jupyter server."""

    state: State
    url: str | None = Field(default=None, description="Where it answers, once it runs.")
    started: str | None = None
    last_activity: str | None = None


class ServerEvent(BaseModel):
    """One event of a server's start. Types: ``progress``, ``ready``, ``failed``, ``stopped``."""

    seq: int
    type: Literal["progress", "ready", "failed", "stopped"]
    data: dict[str, Any]


def state_of(model: dict[str, Any] | None) -> ServerState:
    """Return the state in the hub's model of the default server (``user["servers"][""]``), None for no server."""
    if model is None:
        return ServerState(state="stopped")
    pending = model.get("pending")
    state: State
    if pending == "spawn":
        state = "starting"
    elif pending == "stop":
        state = "stopping"
    elif model.get("ready"):
        state = "running"
    else:
        state = "stopped"
    return ServerState(
        state=state,
        url=model.get("url") if state == "running" else None,
        started=model.get("started"),
        last_activity=model.get("last_activity"),
    )


def event_of(seq: int, message: dict[str, Any]) -> ServerEvent:
    """Return one message of the hub's progress stream as our event."""
    text = str(message.get("message", ""))
    more = {"server": message["simdeck"]} if isinstance(message.get("simdeck"), dict) else {}
    if message.get("failed"):
        return ServerEvent(seq=seq, type="failed", data={"message": text} | more)
    if message.get("ready"):
        return ServerEvent(seq=seq, type="ready", data={"message": text, "url": message.get("url")} | more)
    return ServerEvent(seq=seq, type="progress", data={"percent": message.get("progress", 0), "message": text} | more)


class HubAPI:
    """Asks the hub at ``api_url`` in the name of whoever's token is given."""

    def __init__(self, api_url: str) -> None:
        self.client = httpx.AsyncClient(
            base_url=api_url,
            trust_env=False,
            verify=certificates() or True,
            timeout=httpx.Timeout(30.0, connect=5.0),
            limits=httpx.Limits(max_connections=200),
        )

    async def close(self) -> None:
        await self.client.aclose()

    async def server(self, user: str, token: str) -> ServerState:
        """Return the state of the user's default server."""
        response = await self._send("GET", f"/users/{quote(user, safe='')}", token)
        return state_of(response.json().get("servers", {}).get(""))

    async def servers(self, user: str, token: str) -> dict[str, dict[str, Any]]:
        """Return the hub's models of the user's servers by name."""
        response = await self._send("GET", f"/users/{quote(user, safe='')}", token)
        found: dict[str, dict[str, Any]] = response.json().get("servers", {})
        return found

    async def start(self, user: str, token: str, options: dict[str, Any], server: str = "") -> None:
        """Ask for the server; nothing happens when it runs or starts already. One that is being stopped is waited for.

        Raises
        ------
        Problem
            What the hub refused the options for; 409 ``server-stopping``: it does not end in time,
            ``server-names-off``, ``server-names-limit``; 502 ``server-start-failed`` with the hub's words.
        """
        end = asyncio.get_running_loop().time() + ENDING_SECONDS
        while (response := await self._send("POST", _server(user, server), token, json=options)).is_error:
            _raise_its_problem(response)
            message = _message(response)
            _raise_about_names(response, message, server)
            if response.status_code != 400 or not ("already running" in message or "pending" in message):
                raise Problem("server-start-failed", reason=message.rstrip("."))
            if "pending stop" not in message:
                return
            if asyncio.get_running_loop().time() > end:
                raise Problem("server-stopping", server=server or "Your default server")
            await asyncio.sleep(LOOK_SECONDS)

    async def stop(self, user: str, token: str, server: str = "", *, remove: bool = False) -> None:
        """Ask the server to stop; nothing happens when there is none. ``remove`` forgets a named one."""
        body = {"remove": True} if remove and server else None
        response = await self._send("DELETE", _server(user, server), token, json=body)
        if response.is_error and response.status_code not in (400, 404):
            raise Problem("server-stop-failed", reason=_message(response).rstrip("."))

    async def ask(self, method: str, path: str, token: str, **sent: Any) -> httpx.Response | None:
        """Ask one of the hub's routes under ``/simdeck``; None when it answers 404: it has no such thing.

        Raises
        ------
        Problem
            What the hub refused, as it said it; 403 ``missing-scope``; 503 ``hub-unavailable``.
        """
        response = await self._send(method, "/simdeck" + path, token, soft=True, **sent)
        if response.status_code == 404:
            return None
        if response.is_error:
            _raise_its_problem(response)
            raise Problem("hub-unavailable")
        return response

    @asynccontextmanager
    async def opened(self, path: str, token: str) -> AsyncIterator[httpx.Response]:
        """Yield the hub's answer to a GET of ``path`` before its body is read; a 404 is left to the caller."""
        try:
            async with self.client.stream("GET", path, headers=_auth(token)) as response:
                if response.is_error:
                    await response.aread()
                    _refuse(response, soft=response.status_code == 404)
                yield response
        except httpx.TransportError as error:
            raise Problem("hub-unavailable") from error

    async def progress(self, user: str, token: str, after: int = 0, server: str = "") -> AsyncIterator[ServerEvent]:
        """Yield the events of the server's start as the hub tells them, without the first ``after``; ends with it.

        The hub tells a start from its beginning to each listener, so the count of its messages is what resumes a
        stream.
        """
        timeout = httpx.Timeout(60.0, connect=5.0)
        url = _server(user, server) + "/progress"
        try:
            async with self.client.stream("GET", url, headers=_auth(token), timeout=timeout) as response:
                if response.status_code in (400, 404):
                    yield ServerEvent(seq=1, type="stopped", data={"message": "The server is not starting."})
                    return
                await response.aread() if response.is_error else None
                _refuse(response)
                seq = 0
                async for line in response.aiter_lines():
                    if not line.startswith("data:"):
                        continue
                    seq += 1
                    if seq > after:
                        yield event_of(seq, json.loads(line[5:]))
        except httpx.TransportError as error:
            raise Problem("hub-unavailable") from error

    async def _send(
        self, method: str, url: str, token: str, *, soft: bool | None = None, **options: Any
    ) -> httpx.Response:
        try:
            response = await self.client.request(method, url, headers=_auth(token), **options)
        except httpx.TransportError as error:
            raise Problem("hub-unavailable") from error
        _refuse(response, soft=method != "GET" if soft is None else soft)
        return response


def certificates(environ: Mapping[str, str] = os.environ) -> ssl.SSLContext | None:
    """Return what a hub with inner TLS asks of us, from the variables that ``HubOAuth`` reads too; None without."""
    certificate = environ.get("JUPYTERHUB_SSL_CERTFILE")
    if not certificate:
        return None
    context = ssl.create_default_context(cafile=environ.get("JUPYTERHUB_SSL_CLIENT_CA"))
    context.load_cert_chain(certificate, environ.get("JUPYTERHUB_SSL_KEYFILE"))
    return context


def _server(user: str, server: str = "") -> str:
    named = f"/servers/{quote(server, safe='')}" if server else "/server"
    return f"/users/{quote(user, safe='')}{named}"


def _raise_its_problem(response: httpx.Response) -> None:
    """Raise the problem+json that an answer holds; where JupyterHub writes the body, a header of ours holds it."""
    try:
        header = response.headers.get("x-simdeck-problem")
        body = json.loads(header) if header else response.json()
    except ValueError:
        return
    if isinstance(body, dict) and isinstance(body.get("code"), str) and "title" in body:
        raise Problem.from_json(body)


def _raise_about_names(response: httpx.Response, message: str, server: str) -> None:
    """Raise what the hub's refusal of one more named server means; it has nothing but words for it."""
    if response.status_code != 400 or not server:
        return
    if "not enabled" in message:
        raise Problem("server-names-off", field="name", server=server)
    if "maximum of" in message:
        raise Problem("server-names-limit", field="name", server=server, reason=message.rstrip("."))


def _auth(token: str) -> dict[str, str]:
    return {"Authorization": f"token {token}"}


def _refuse(response: httpx.Response, *, soft: bool = False) -> None:
    """Raise what the hub's status means; with ``soft`` leave the errors that the caller reads itself."""
    if response.status_code == 403:
        # A site's policy says more than that a scope is missing.
        _raise_its_problem(response)
    if response.status_code == 403 or (response.status_code == 404 and not soft):
        # The hub answers 404 for users that the token may not see.
        raise Problem("missing-scope", scope="servers!user")
    if response.status_code >= 400 and not soft:
        raise Problem("hub-unavailable")


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json().get("message") or response.reason_phrase)
    except (ValueError, AttributeError):
        return response.reason_phrase
