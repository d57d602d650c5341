"""Sharing between users, seen from the deck: links, and asking the owner's agent in the name of somebody else.

A link is ``shared/<ticket>#<key>``. The ticket names owner and share and is signed by this deck, so that nobody can
have it start agents of people they make up. The key stands behind the ``#``, which browsers do not send: it is in no
log. What the share opens, and to whom, the owner's agent decides; this module asks it with the header that names the
share, and with nothing of the caller's request but a path.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import logging
from collections.abc import AsyncIterator
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import Field
from simdeck_agent.api.sharing import SHARE_HEADER, SharedRun
from simdeck_agent.models import now
from simdeck_agent.shares import Received, Share, ShareRequest, share_header
from simdeck_common.problems import Problem
from starlette.responses import StreamingResponse

from simdeck_deck.agents import PASSED_ON, Agents, problem_of
from simdeck_deck.auth import SessionUser
from simdeck_deck.keys import Keys

log = logging.getLogger(__name__)

# What of an answer with a file's bytes goes to the caller.
KEPT_HEADERS = ("content-type", "content-length", "content-disposition")
Part = Literal["run", "inputs", "outputs", "files", "archive"]


class ShareView(Share):
    """A share of the caller's. ``link`` is its path at this site with the key: for the people it names alone."""

    link: str
    ended: bool = Field(description="Expired or revoked.")


def ticket_of(keys: Keys, owner: str, share: str) -> str:
    """Return what names a share at this deck."""
    body = base64.urlsafe_b64encode(json.dumps([owner, share]).encode()).decode().rstrip("=")
    return f"{body}.{_signature(keys, body)}"


def read_ticket(keys: Keys, ticket: str) -> tuple[str, str]:
    """Return ``(owner, share)``; raises ``Problem`` 404 ``share-not-found`` for what this deck has not made."""
    body, _, signature = ticket.partition(".")
    if not hmac.compare_digest(_signature(keys, body).encode(), signature.encode()):
        raise Problem("share-not-found")
    try:
        owner, share = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, binascii.Error):
        raise Problem("share-not-found") from None
    return str(owner), str(share)


def _signature(keys: Keys, body: str) -> str:
    return keys.sign("share", body)[:32]


def split_link(link: str) -> tuple[str, str]:
    """Return ``(ticket, key)`` of a link, or of ``ticket#key``; either may be empty."""
    before, _, key = link.strip().partition("#")
    return before.rstrip("/").rsplit("/", 1)[-1], key


class Sharing:
    """The shares of all users; each call is in the name of one of them."""

    def __init__(self, agents: Agents, keys: Keys, prefix: str) -> None:
        self._agents = agents
        self._keys = keys
        self._prefix = prefix

    # --- the caller's own ------------------------------------------------------------------------------------------

    async def mine(self, user: SessionUser) -> list[ShareView]:
        """Return the caller's shares, newest first."""
        found = await self._agents.get_json(user.name, "/shares")
        return [await self.one(user, str(share["id"])) for share in found]

    async def one(self, user: SessionUser, share: str) -> ShareView:
        """Return one of the caller's shares."""
        return self._view(user, await self._agents.get_json(user.name, f"/shares/{_part(share)}"))

    async def create(self, user: SessionUser, wanted: ShareRequest) -> ShareView:
        """Share one of the caller's runs."""
        answer = await self._agents.ask(user.name, "POST", "/shares", json=wanted.model_dump())
        return self._view(user, answer.json())

    async def revoke(self, user: SessionUser, share: str) -> ShareView:
        """End one of the caller's shares."""
        await self._agents.ask(user.name, "DELETE", f"/shares/{_part(share)}")
        return await self.one(user, share)

    def _view(self, user: SessionUser, answer: dict[str, Any]) -> ShareView:
        share = Share.model_validate(answer["share"])
        link = f"{self._prefix}shared/{ticket_of(self._keys, user.name, share.id)}#{answer['key']}"
        return ShareView(**share.model_dump(), link=link, ended=share.over)

    # --- what others share with the caller -------------------------------------------------------------------------

    async def received(self, user: SessionUser) -> list[Received]:
        """Return what the caller has opened of others, newest first."""
        found = await self._agents.get_json(user.name, "/received")
        return [Received.model_validate(item) for item in found]

    async def claim(self, user: SessionUser, ticket: str, key: str) -> Received:
        """Open a link for the first time: the owner's agent is asked, then the caller's own keeps it."""
        run = await self._ask(user, ticket, key, "run")
        received = Received(ticket=ticket, owner=run["owner"], title=run["title"], added=now())
        body = {"received": received.model_dump(), "key": key}
        await self._agents.ask(user.name, "PUT", "/received", json=body)
        return received

    async def forget(self, user: SessionUser, ticket: str) -> None:
        """Take a received share off the caller's list."""
        await self._agents.ask(user.name, "DELETE", f"/received/{_part(ticket)}")

    async def read(self, user: SessionUser, ticket: str, part: Part) -> dict[str, Any]:
        """Return a part of a shared run."""
        return await self._ask(user, ticket, await self._key(user, ticket), part)

    async def stream(self, user: SessionUser, ticket: str, path: str) -> StreamingResponse:
        """Answer with the bytes of ``files/<path>`` or ``archive``."""
        if any(part in ("", ".", "..") for part in path.split("/")):
            raise Problem("not-found")
        answer = await self._send(user, ticket, await self._key(user, ticket), quote(path), stream=True)
        headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        return StreamingResponse(_chunks(answer), headers=headers)

    async def _key(self, user: SessionUser, ticket: str) -> str:
        read_ticket(self._keys, ticket)
        found: dict[str, str] = await self._agents.get_json(user.name, f"/received/{_part(ticket)}")
        return found["key"]

    async def _ask(self, user: SessionUser, ticket: str, key: str, part: Part) -> dict[str, Any]:
        """Return a part of a shared run. What answers is another person's process, and may say anything."""
        owner, _ = read_ticket(self._keys, ticket)
        answer = await self._send(user, ticket, key, part, stream=False)
        try:
            found = answer.json()
            if part == "run":
                found = SharedRun.model_validate(found | {"owner": owner}).model_dump()
            elif not isinstance(found, dict):
                raise TypeError
        except (ValueError, TypeError):
            log.warning("The agent of %s answers for a share with what is none", owner)
            raise Problem("share-owner-away", owner=owner) from None
        return dict(found)

    async def _send(self, user: SessionUser, ticket: str, key: str, path: str, *, stream: bool) -> httpx.Response:
        """Send the only kind of request that ever goes to somebody else's agent."""
        owner, share = read_ticket(self._keys, ticket)
        header = {SHARE_HEADER: share_header(share, key, user.name, user.groups)}
        try:
            client = await self._agents.client(owner)
            request = client.build_request(
                "GET", f"/shared/{path}", headers=header, extensions={PASSED_ON: True} if stream else None
            )
            answer = await client.send(request, stream=stream)
        except (httpx.TransportError, Problem) as error:
            # Why the owner's agent does not answer is the owner's business.
            log.warning("The agent of %s does not answer for a share: %s", owner, error)
            raise Problem("share-owner-away", owner=owner) from error
        if answer.is_error:
            await answer.aread()
            raise problem_of(answer)
        return answer


def _part(text: str) -> str:
    if text in ("", ".", ".."):
        raise Problem("share-not-found")
    return quote(text, safe="")


async def _chunks(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()
