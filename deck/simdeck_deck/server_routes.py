"""``/me`` and ``/server``: who the caller is, and their Jupyter server, through the hub with the caller's own token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from simdeck_agent import sse
from simdeck_agent.api.parts import EVENT_STREAM, refusals
from simdeck_common.problems import Problem
from starlette.responses import StreamingResponse

from simdeck_deck.auth import SessionUser, current_user, scoped
from simdeck_deck.hub_api import ServerEvent, ServerState
from simdeck_deck.scopes import PREFIX, SIGNED_IN
from simdeck_deck.servers import DEFAULT

if TYPE_CHECKING:
    from simdeck_deck.app import Deck

router = APIRouter()
User = Annotated[SessionUser, Depends(current_user)]


class Me(BaseModel):
    """The caller."""

    name: str
    admin: bool
    groups: list[str]
    scopes: list[str] = Field(description="The Simdeck scopes of the token used, without their common prefix.")


class StartRequest(BaseModel):
    """What to start the server with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    options: dict[str, Any] = Field(default_factory=dict, description="The spawner's options.")


@router.get("/me", tags=["caller"], **scoped(SIGNED_IN))
async def get_me(user: User) -> Me:
    """Say who the token or session belongs to, and what it may do."""
    held = sorted(scope.removeprefix(PREFIX) for scope in user.scopes if scope.startswith(PREFIX))
    return Me(name=user.name, admin=user.admin, groups=list(user.groups), scopes=held)


@router.get("/server", tags=["server"], responses=refusals(503), **scoped("server"))
async def get_server(request: Request, user: User) -> ServerState:
    """Return the state of the caller's Jupyter server."""
    state: ServerState = await _deck(request).hub.server(user.name, user.token)
    return state


@router.post("/server", tags=["server"], status_code=202, responses=refusals(409, 422, 502, 503), **scoped("server"))
async def start_server(request: Request, user: User, body: StartRequest | None = None) -> ServerState:
    """Start the server; one that runs or starts already is left alone. Follow it at `/server/events`."""
    deck = _deck(request)
    await deck.servers.start(user, DEFAULT, body.options if body else {})
    return await deck.hub.server(user.name, user.token)


@router.delete("/server", tags=["server"], status_code=202, responses=refusals(502, 503), **scoped("server"))
async def stop_server(request: Request, user: User) -> ServerState:
    """Stop the server. Runs go on without it."""
    hub = _deck(request).hub
    await hub.stop(user.name, user.token)
    return await hub.server(user.name, user.token)


@router.get(
    "/server/events",
    tags=["server"],
    response_class=StreamingResponse,
    responses=EVENT_STREAM | refusals(400, 503),
    **scoped("server"),
)
async def server_events(request: Request, user: User) -> StreamingResponse:
    """Follow the server's start: `progress` events, then `ready` (with `url`), `failed` or `stopped`, then `end`."""
    deck = _deck(request)
    after = sse.last_event_id(request)
    # Asked first, so that a missing scope or a hub that is away is a plain refusal and not a broken stream.
    await deck.hub.server(user.name, user.token)

    async def events() -> AsyncIterator[ServerEvent]:
        try:
            async for event in deck.hub.progress(user.name, user.token, after):
                yield event
        except Problem as problem:
            yield ServerEvent(seq=after + 1, type="failed", data={"message": problem.detail})

    async def end() -> dict[str, Any]:
        return (await deck.hub.server(user.name, user.token)).model_dump(mode="json")

    return sse.response(sse.stream(events(), end, deck.closing))


def _deck(request: Request) -> Deck:
    deck: Deck = request.app.state.deck
    return deck
