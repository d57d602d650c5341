"""Sharing between users, seen from the deck: links, and asking the owner's agent in the name of somebody else.

A link is ``shared/<ticket>#<key>``. The ticket names owner and share and is signed by this deck, so that nobody can
have it start agents of people they make up. The key stands behind the ``#``, which browsers do not send: it is in no
log. What the share opens, and to whom, the owner's agent decides; this module asks it with the header that names the
share, and with nothing of the caller's request but a path.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import Field
from simdeck_agent.api.sharing import SHARE_HEADER, GuestState, History, SharedAbout, SharedRun
from simdeck_agent.models import now
from simdeck_agent.shares import Opening, Received, Share, ShareRequest, share_header
from simdeck_common.problems import Problem
from starlette.responses import StreamingResponse

from simdeck_deck.agents import PASSED_ON, Agents, problem_of
from simdeck_deck.auth import SessionUser
from simdeck_deck.keys import Keys

log = logging.getLogger(__name__)

# What of an answer with a file's bytes goes to the caller.
KEPT_HEADERS = ("content-type", "content-length", "content-disposition")
Part = Literal["about", "run", "history", "inputs", "outputs", "files", "archive"]


class ShareView(Share):
    """A share of the caller's. ``link`` is its path at this site with the key: for the people it names alone."""

    link: str
    ended: bool = Field(description="Expired or revoked.")
    opened: list[Opening] = Field(default=[], description="Who has opened it, in the order in which they did.")


class SharedApp(SharedAbout, GuestState):
    """A version of an app that somebody shares with the caller, and whether it can be opened."""


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


def read_owner(keys: Keys, ticket: str) -> str:
    """Return whose share a ticket names; raises ``Problem`` as :func:`read_ticket`."""
    return read_ticket(keys, ticket)[0]


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
        self._telling: set[asyncio.Task[None]] = set()

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
        revoked = await self.one(user, share)
        if revoked.app is not None:
            # Their guest versions go now; whoever is not reached finds out when they next look.
            telling = asyncio.ensure_future(self._tell_ended(user.name, revoked))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)
        return revoked

    async def _tell_ended(self, owner: str, share: ShareView) -> None:
        for one in share.opened:
            await self._end(one.person, ticket_of(self._keys, owner, share.id))

    async def _end(self, person: str, ticket: str) -> None:
        with contextlib.suppress(Problem):
            await self._agents.ask(person, "PUT", f"/received/{_part(ticket)}/ended")

    def _view(self, user: SessionUser, answer: dict[str, Any]) -> ShareView:
        share = Share.model_validate(answer["share"])
        link = f"{self._prefix}shared/{ticket_of(self._keys, user.name, share.id)}#{answer['key']}"
        opened = [Opening.model_validate(one) for one in answer.get("opened") or ()]
        return ShareView(**share.model_dump(), link=link, ended=share.over, opened=opened)

    # --- what others share with the caller -------------------------------------------------------------------------

    async def received(self, user: SessionUser) -> list[Received]:
        """Return what the caller has opened of others, newest first."""
        found = await self._agents.get_json(user.name, "/received")
        return [Received.model_validate(item) for item in found]

    async def claim(self, user: SessionUser, ticket: str, key: str) -> Received:
        """Open a link for the first time: the owner's agent is asked, then the caller's own keeps it."""
        told = SharedAbout.model_validate(await self._ask(user, ticket, key, "about"))
        received = Received(
            ticket=ticket, owner=told.owner, title=told.title, added=now(),
            app=told.app, version=told.version, expires=told.expires,
        )  # fmt: skip
        body = {"received": received.model_dump(), "key": key}
        await self._agents.ask(user.name, "PUT", "/received", json=body)
        return received

    async def forget(self, user: SessionUser, ticket: str) -> None:
        """Take a received share off the caller's list."""
        await self._agents.ask(user.name, "DELETE", f"/received/{_part(ticket)}")

    async def read(self, user: SessionUser, ticket: str, part: Part) -> dict[str, Any]:
        """Return a part of what is shared."""
        return await self._ask(user, ticket, await self._key(user, ticket), part)

    async def history(self, user: SessionUser, ticket: str, after: int, wait: float) -> History:
        """Return the events of a shared run after ``after``, waiting so many seconds for the first."""
        key = await self._key(user, ticket)
        return History.model_validate(await self._ask(user, ticket, key, "history", after=after, wait=wait))

    async def app(self, user: SessionUser, ticket: str) -> SharedApp:
        """Return the app that is shared, and whether it can be opened; 404 for a share of a run alone."""
        about = await self._about_app(user, ticket)
        state = await self._agents.get_json(user.name, f"/guests/{_part(ticket)}")
        return SharedApp(**about.model_dump(), **GuestState.model_validate(state).model_dump())

    async def prepare(self, user: SessionUser, ticket: str) -> SharedApp:
        """Have the shared version of the app here, as a guest; the site's rules about apps are asked first."""
        about = await self._about_app(user, ticket)
        path = f"/apps/{_part(str(about.app))}/guest"
        answer = await self._agents.ask(user.name, "POST", path, json={"ticket": ticket})
        return SharedApp(**about.model_dump(), **GuestState.model_validate(answer.json()).model_dump())

    async def _about_app(self, user: SessionUser, ticket: str) -> SharedAbout:
        about = SharedAbout.model_validate(await self.read(user, ticket, "about"))
        if about.app is None or about.version is None:
            raise Problem("share-not-found")
        return about

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

    async def _ask(self, user: SessionUser, ticket: str, key: str, part: Part, **query: float) -> dict[str, Any]:
        """Return a part of what is shared. What answers is another person's process, and may say anything."""
        owner, _ = read_ticket(self._keys, ticket)
        answer = await self._send(user, ticket, key, part, stream=False, query=query)
        try:
            found = answer.json()
            if part == "run":
                found = SharedRun.model_validate(found | {"owner": owner}).model_dump()
            elif part == "about":
                found = SharedAbout.model_validate(found | {"owner": owner}).model_dump()
            elif part == "history":
                found = History.model_validate(found).model_dump()
            elif not isinstance(found, dict):
                raise TypeError
        except (ValueError, TypeError):
            log.warning("The agent of %s answers for a share with what is none", owner)
            raise Problem("share-owner-away", owner=owner) from None
        return dict(found)

    async def _send(
        self,
        user: SessionUser,
        ticket: str,
        key: str,
        path: str,
        *,
        stream: bool,
        query: Mapping[str, float] | None = None,
    ) -> httpx.Response:
        """Send the only kind of request that ever goes to somebody else's agent."""
        owner, share = read_ticket(self._keys, ticket)
        header = {SHARE_HEADER: share_header(share, key, user.name, user.groups)}
        try:
            client = await self._agents.client(owner)
            request = client.build_request(
                "GET",
                f"/shared/{path}",
                params=query or None,
                headers=header,
                extensions={PASSED_ON: True} if stream else None,
            )
            answer = await client.send(request, stream=stream)
        except (httpx.TransportError, Problem) as error:
            # Why the owner's agent does not answer is the owner's business.
            log.warning("The agent of %s does not answer for a share: %s", owner, error)
            raise Problem("share-owner-away", owner=owner) from error
        if answer.is_error:
            await answer.aread()
            problem = problem_of(answer)
            if problem.code in ("share-not-found", "share-ended") and path == "about" and user.name != owner:
                # Where it is on the caller's list, what it brought goes.
                await self._end(user.name, ticket)
            raise problem
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
