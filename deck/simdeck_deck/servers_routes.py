"""``/clusters``, ``/servers`` and what belongs to starting one with resources: the hub's answers for the caller."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from simdeck_agent import sse
from simdeck_agent.api.parts import EVENT_STREAM, content, refusals
from simdeck_common.problems import Problem
from starlette.responses import StreamingResponse

from simdeck_deck.auth import SessionUser, current_user, scoped
from simdeck_deck.hub_api import ServerEvent
from simdeck_deck.hub_servers import HubServers
from simdeck_deck.servers import ClusterList, EstimateView, Options, ServerList, ServerView, hub_name

if TYPE_CHECKING:
    from simdeck_deck.app import Deck

router = APIRouter(tags=["server"])
User = Annotated[SessionUser, Depends(current_user)]


class Asked(BaseModel):
    """Options of a server: cluster, partition, cores, memory and so on, and the app it is for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    options: dict[str, Any] = Field(default_factory=dict)


@router.get("/clusters", responses=refusals(503), **scoped("server"))
async def list_clusters(request: Request, user: User) -> ClusterList:
    """List the clusters that the caller may use, with limits and what is free. Empty: servers are local processes."""
    return ClusterList(items=await _servers(request).clusters(user))


@router.post("/server/estimate", responses=refusals(422, 503), **scoped("server"))
async def estimate(request: Request, user: User, body: Asked) -> EstimateView:
    """Say when a server with these options would start, what it costs, and what would start sooner. Starts nothing."""
    found: EstimateView = await _servers(request).estimate(user, body.options)
    return found


@router.get("/server/options", responses=refusals(503), **scoped("server"))
async def beginning(
    request: Request, user: User, app: Annotated[str, Query(max_length=100, description="An app's id.")] = ""
) -> Options:
    """Return what a server for `app` is best started with: the caller's last choice, else the app's own wishes."""
    servers = _servers(request)
    found: Options = await servers.beginning(user, app, await servers.clusters(user))
    return found


@router.get("/servers", responses=refusals(503), **scoped("server"))
async def list_servers(request: Request, user: User) -> ServerList:
    """List the caller's servers, the default one first."""
    return ServerList(items=await _servers(request).servers(user))


@router.get("/servers/{server}", responses=refusals(404, 503), **scoped("server"))
async def get_named_server(server: str, request: Request, user: User) -> ServerView:
    """Show one server: its phase, its job, why it waits or why it ended. `-` is the default one."""
    found: ServerView = await _servers(request).server(user, server)
    return found


@router.post("/servers/{server}", status_code=202, responses=refusals(409, 422, 502, 503), **scoped("server"))
async def start_named_server(
    server: str, request: Request, response: Response, user: User, body: Asked | None = None
) -> ServerView:
    """Start a server; one that runs or starts already is left alone. Follow it at `/servers/{server}/events`."""
    found: ServerView = await _servers(request).start(user, server, body.options if body else {})
    response.headers["Location"] = _location(request, found)
    return found


@router.delete("/servers/{server}", status_code=202, responses=refusals(404, 502, 503), **scoped("server"))
async def stop_named_server(
    server: str,
    request: Request,
    user: User,
    remove: Annotated[bool, Query(description="Also take a named server off the list.")] = False,
) -> ServerView:
    """Stop a server; one that waits leaves the queue. Runs go on without it."""
    found: ServerView = await _servers(request).stop(user, server, remove=remove)
    return found


@router.post(
    "/servers/{server}/continue",
    status_code=202,
    responses=refusals(404, 409, 422, 502, 503),
    **scoped("server"),
)
async def continue_server(
    server: str, request: Request, response: Response, user: User, body: Asked | None = None
) -> ServerView:
    """Start the same anew in a new job, with changed options where given; beside the old one while that lives."""
    found: ServerView = await _servers(request).continue_(user, server, body.options if body else {})
    response.headers["Location"] = _location(request, found)
    return found


@router.get(
    "/servers/{server}/bundle",
    response_class=StreamingResponse,
    responses=content("application/zip") | refusals(404, 503),
    **scoped("server"),
)
async def get_bundle(server: str, request: Request, user: User) -> StreamingResponse:
    """Download what is known of a server's last job as one zip, for the people who give support."""
    stack = AsyncExitStack()
    answer = await stack.enter_async_context(_servers(request).bundle(user, server))

    async def body() -> AsyncIterator[bytes]:
        async with stack:
            async for chunk in answer.aiter_bytes():
                yield chunk

    name = "server" if server == "-" else server
    return StreamingResponse(
        body(),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="simdeck-{name}.zip"'},
    )


@router.get(
    "/servers/{server}/events",
    response_class=StreamingResponse,
    responses=EVENT_STREAM | refusals(400, 404, 503),
    **scoped("server"),
)
async def named_server_events(server: str, request: Request, user: User) -> StreamingResponse:
    """Follow a start: `progress` events (with `server`), then `ready`, `failed` or `stopped`, then `end`."""
    deck: Deck = request.app.state.deck
    after = sse.last_event_id(request)
    # Asked first, so that a server that is not there is a plain refusal and not a broken stream.
    await deck.servers.server(user, server)

    async def events() -> AsyncIterator[ServerEvent]:
        try:
            async for event in deck.hub.progress(user.name, user.token, after, hub_name(server)):
                yield event
        except Problem as problem:
            yield ServerEvent(seq=after + 1, type="failed", data={"message": problem.detail})

    async def end() -> dict[str, Any]:
        try:
            return (await deck.servers.server(user, server)).model_dump(mode="json")
        except Problem as problem:
            return {"name": server, "phase": "unknown", "problem": problem.to_json()}

    return sse.response(sse.stream(events(), end, deck.closing))


def _servers(request: Request) -> HubServers:
    deck: Deck = request.app.state.deck
    return deck.servers


def _location(request: Request, server: ServerView) -> str:
    deck: Deck = request.app.state.deck
    return f"{deck.settings.api_prefix}/servers/{server.name}"
