"""Shared runs among the routes of runs, for apps' pages: there a share's ticket stands where a run's id does.

An app that is opened with somebody else's result asks for that run as for any other, at ``/runs/<ticket>``. It is asked
of the owner's agent as every share is; nothing of it can be changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from simdeck_agent import sse
from simdeck_agent.api.sharing import SharedRun
from simdeck_common.problems import Problem
from simdeck_workflows.models import Event, Run, RunState
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simdeck_deck.auth import SessionUser
from simdeck_deck.sharing import Part, Sharing, read_owner

if TYPE_CHECKING:
    from simdeck_deck.app import Deck

WAIT_SECONDS = 10.0
RUN = "/runs/{run_id}"


def is_ticket(run: str) -> bool:
    """Say whether what stands where a run's id does is a share's ticket: ids have no dot."""
    return "." in run


async def answer(deck: Deck, request: Request, user: SessionUser, template: str, params: Mapping[str, Any]) -> Response:
    """Answer a request of a route of runs, the agent's ``template``, for a run that is shared with ``user``.

    Raises
    ------
    Problem
        404 ``share-not-found``, 410 ``share-ended``; 403 ``share-read-only`` for whatever would change something; 404
        ``run-not-found`` for what of a run is not shared.
    """
    ticket, sharing = str(params["run_id"]), deck.sharing
    run = await _run(sharing, user, ticket)
    if request.method != "GET":
        raise Problem("share-read-only", owner=read_owner(deck.keys, ticket))
    part = template.removeprefix(RUN).strip("/")
    if part == "":
        return JSONResponse(run.model_dump(mode="json", by_alias=True))
    if part in ("inputs", "outputs", "files"):
        return JSONResponse(await sharing.read(user, ticket, cast(Part, part)))
    if part == "archive":
        return await sharing.stream(user, ticket, "archive")
    if part == "files/{path:path}":
        return await sharing.stream(user, ticket, f"files/{params['path']}")
    if part == "events":
        after = sse.last_event_id(request)

        async def end() -> dict[str, Any]:
            last = await _run(sharing, user, ticket)
            return {"state": last.state, "problem": last.problem}

        return sse.response(sse.stream(_events(sharing, user, ticket, after), end, deck.closing))
    raise Problem("run-not-found", run=ticket)


async def _run(sharing: Sharing, user: SessionUser, ticket: str) -> Run:
    shared = SharedRun.model_validate(await sharing.read(user, ticket, "run"))
    told = shared.model_dump(exclude={"owner", "expires"}) | {"app": shared.app or "", "id": ticket}
    return Run.model_validate(told | {"app_version": shared.app_version or ""})


async def _events(sharing: Sharing, user: SessionUser, ticket: str, after: int) -> AsyncIterator[Event]:
    """Yield the run's events after ``after`` until it has ended; each look asks anew whether it is still shared."""
    while True:
        # Asked before the events are read: a run that has ended by then can have no later event.
        ended = RunState((await _run(sharing, user, ticket)).state).ended
        history = await sharing.history(user, ticket, after, 0.0 if ended else WAIT_SECONDS)
        for event in history.items:
            yield event
            after = event.seq
        if ended and not history.items:
            return
        if not ended and not history.items:
            # An owner's agent that answers at once all the same is not asked all the time.
            await asyncio.sleep(1.0)
