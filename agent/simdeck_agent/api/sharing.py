"""Shares: the owner's own, those received from others, and the few read-only routes that a share opens.

The deck does not serve these as they are. It asks ``router`` in its caller's own agent. It asks ``shared`` in the
agent of a share's owner, in the name of somebody else: with the header that names the share, and nothing else is open
to a request that carries it (:class:`ShareGate`).
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, Field
from simdeck_appstore import policy
from simdeck_appstore.guest_versions import GuestVersion
from simdeck_appstore.models import InstalledApp
from simdeck_common.problems import Problem
from simdeck_workflows.models import Event, Run
from starlette.types import ASGIApp, Receive, Scope, Send

from simdeck_agent.api import runs
from simdeck_agent.api.parts import Agent, agent_of, follow_site, groups_of, in_thread
from simdeck_agent.models import Task
from simdeck_agent.problem_answers import problem_response
from simdeck_agent.shares import Opening, Received, Share, ShareRequest

SHARE_HEADER = "x-simdeck-share"
ROOT = "/shared"

router = APIRouter(tags=["shares"])
shared = APIRouter(tags=["shares"], prefix=ROOT)


class SharedRun(BaseModel):
    """A run as others see it: what it is and how it went. Nothing of it leads to other runs."""

    title: str
    owner: str
    workflow: str
    app: str | None
    app_version: str | None
    state: str
    created: Any = None
    started: Any = None
    ended: Any = None
    progress: dict[str, Any] | None = None
    summary: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None
    expires: str


class SharedAbout(BaseModel):
    """What a share opens: a run, a version of an app with one of its pages, or both."""

    title: str
    owner: str
    run: bool
    app: str | None
    version: str | None
    page: str = ""
    parameters: dict[str, str] = {}
    kept: bool = Field(True, description="Whether the owner still has that version of the app.")
    expires: str


class History(BaseModel):
    """What happened in a run, oldest first."""

    items: list[Event]


class ShareWithKey(BaseModel):
    """A share with the key of its link, and who has opened it."""

    share: Share
    key: str
    opened: list[Opening] = []


class ReceivedKey(BaseModel):
    """A received share to be kept, with its key."""

    received: Received
    key: str


class Key(BaseModel):
    """A received share with its key."""

    key: str
    received: Received


class GuestRequest(BaseModel):
    """The received share whose app is to be made ready."""

    ticket: str


class GuestState(BaseModel):
    """Whether a shared version of an app can be opened: it is the user's own, or there as a guest; or what is going on.

    ``task``: the last task that makes it ready, under way or failed.
    """

    state: Literal["own", "ready", "preparing", "missing"]
    task: Task | None = None


class GuestList(BaseModel):
    """The guest versions that are there."""

    items: list[GuestVersion]


@router.get("/shares")
async def list_shares(agent: Agent = Depends(agent_of)) -> list[Share]:
    """List the shares, newest first."""
    return await in_thread(agent.shares.all)


@router.post("/shares")
async def create_share(wanted: ShareRequest, agent: Agent = Depends(agent_of)) -> ShareWithKey:
    """Share a run, or an app that the user has, or both."""
    title, version = "", None
    if wanted.run is not None:
        title = (await in_thread(agent.backend.run, wanted.run)).title
    if wanted.app is not None:
        mine: InstalledApp = await in_thread(agent.installer.get, wanted.app)
        version = wanted.version or mine.current
        if version not in mine.versions:
            raise Problem("version-not-found", field="version", app=wanted.app, version=version)
        title = title or mine.title
    made = await in_thread(agent.shares.create, wanted, title, version)
    return await _with_key(agent, made.id)


@router.get("/shares/{share}")
async def get_share(share: str, agent: Agent = Depends(agent_of)) -> ShareWithKey:
    """Show a share with its key."""
    return await _with_key(agent, share)


@router.delete("/shares/{share}")
async def revoke_share(share: str, agent: Agent = Depends(agent_of)) -> Share:
    """End a share."""
    return await in_thread(agent.shares.revoke, share)


@router.get("/received")
async def list_received(agent: Agent = Depends(agent_of)) -> list[Received]:
    """List what others have shared."""
    return await in_thread(agent.shares.all_received)


@router.put("/received")
async def receive(kept: ReceivedKey, agent: Agent = Depends(agent_of)) -> Received:
    """Keep a share of somebody else's."""
    await in_thread(agent.shares.receive, kept.received, kept.key)
    return kept.received


@router.get("/received/{ticket}")
async def get_received_key(ticket: str, agent: Agent = Depends(agent_of)) -> Key:
    """Return a received share with its key."""
    received = await in_thread(agent.shares.received, ticket)
    return Key(key=await in_thread(agent.shares.received_key, ticket), received=received)


@router.put("/received/{ticket}/ended")
async def end_received(ticket: str, agent: Agent = Depends(agent_of)) -> None:
    """Hear that a received share is over."""
    await in_thread(agent.shares.end_received, ticket)
    await agent.guests.tidy()


@router.delete("/received/{ticket}")
async def forget_received(ticket: str, agent: Agent = Depends(agent_of)) -> None:
    """Take a received share off the list."""
    await in_thread(agent.shares.forget, ticket)
    await agent.guests.tidy()


# --- apps that others share -----------------------------------------------------------------------------------------


@router.get("/guests")
async def list_guests(agent: Agent = Depends(agent_of)) -> GuestList:
    """List the guest versions that are there."""
    return GuestList(items=await in_thread(agent.guests.all))


@router.get("/guests/{ticket}", dependencies=[Depends(follow_site)])
async def guest_state(ticket: str, agent: Agent = Depends(agent_of)) -> GuestState:
    """Say whether the app of a received share can be opened."""
    return await in_thread(_state, agent, _of_app(await in_thread(agent.shares.received, ticket)))


# Named like the other changes to apps, so that the audit log tells of it as of them.
@router.post("/apps/{app}/guest", dependencies=[Depends(follow_site)])
async def make_ready(
    app: str,
    wanted: GuestRequest,
    response: Response,
    agent: Agent = Depends(agent_of),
    groups: frozenset[str] = Depends(groups_of),
) -> GuestState:
    """Have the app of a received share here, if the site offers it to the user; the site's word goes first."""
    received = await in_thread(agent.shares.received, wanted.ticket)
    named, version = _of_app(received)
    if named != app:
        raise Problem("share-not-found")
    if received.over:
        raise Problem("share-ended")
    state: GuestState = await in_thread(_state, agent, (app, version))
    if state.state in ("own", "preparing"):
        return state
    # A version that is here already is opened by the same word as one that is still to come.
    try:
        policy.check(agent.policy, app, version, groups)
        await in_thread(agent.installer.version_for, app, version, groups)
    except Problem as refusal:
        raise Problem("shared-app-not-offered", owner=received.owner, app=app, version=version) from refusal
    if state.state == "ready":
        return state
    await in_thread(agent.mark)
    task = await in_thread(agent.tasks.submit, "guest", app, version)
    response.headers["Location"] = f"/tasks/{task.id}"
    return GuestState(state="preparing", task=task)


def _of_app(received: Received) -> tuple[str, str]:
    if received.app is None or received.version is None:
        raise Problem("share-not-found")
    return received.app, received.version


def _state(agent: Agent, named: tuple[str, str]) -> GuestState:
    app, version = named
    if any(one.id == app and version in one.versions for one in agent.installer.installed()):
        return GuestState(state="own")
    if any((one.app, one.version) == named for one in agent.guests.all()):
        return GuestState(state="ready")
    made = [one for one in agent.tasks.store.recent() if (one.kind, one.app, one.version) == ("guest", *named)]
    task = made[0] if made else None
    if task is not None and not task.over:
        return GuestState(state="preparing", task=task)
    return GuestState(state="missing", task=task if task is not None and task.state == "failed" else None)


# --- what a share opens -------------------------------------------------------------------------------------------


async def admitted(request: Request, agent: Agent = Depends(agent_of)) -> Share:
    """FastAPI dependency: the share that the header names, when it is for the person it names."""
    try:
        told = json.loads(request.headers.get(SHARE_HEADER, ""))
        share, key, person, groups = str(told["share"]), str(told["key"]), str(told["person"]), list(told["groups"])
    except (ValueError, KeyError, TypeError):
        raise Problem("share-not-found") from None
    found: Share = await in_thread(agent.shares.admit, share, key, person, groups, agent.user)
    return found


async def run_of(share: Share = Depends(admitted), agent: Agent = Depends(agent_of)) -> str:
    """FastAPI dependency: the run that is shared.

    Raises
    ------
    Problem
        404 ``share-not-found``: the share is of an app alone; 410 ``share-ended``: its owner has deleted the run.
    """
    if share.run is None:
        raise Problem("share-not-found")
    if not await _has_run(agent, share.run):
        raise Problem("share-ended")
    return share.run


Shared = Annotated[str, Depends(run_of)]


@shared.get("/about")
async def shared_about(share: Share = Depends(admitted), agent: Agent = Depends(agent_of)) -> SharedAbout:
    """Say what is shared."""
    told = share.model_dump(include={"title", "app", "version", "page", "parameters", "expires"})
    run = share.run is not None and await _has_run(agent, share.run)
    if share.app is None and not run:
        raise Problem("share-ended")
    kept = True
    if share.app is not None:
        installed = await in_thread(agent.installer.installed)
        kept = any(one.id == share.app and share.version in one.versions for one in installed)
    return SharedAbout(**told, owner=agent.user, run=run, kept=kept)


@shared.get("/run")
async def shared_run(run_id: Shared, share: Share = Depends(admitted), agent: Agent = Depends(agent_of)) -> SharedRun:
    """Show the run."""
    run: Run = await in_thread(agent.backend.run, run_id)
    told = run.model_dump(mode="json", include=set(SharedRun.model_fields))
    return SharedRun(**told | {"owner": agent.user, "expires": share.expires})


@shared.get("/history")
async def shared_history(
    run_id: Shared, agent: Agent = Depends(agent_of), after: int = 0, limit: int = 500, wait: float = 0.0
) -> History:
    """Return what happened after the event ``after``, waiting up to ``wait`` seconds (10 at most) for something."""
    events = await agent.backend.history(run_id, max(0, after), max(1, min(limit, 500)), max(0.0, min(wait, 10.0)))
    return History(items=[_without_other_runs(event) for event in events])


@shared.get("/inputs")
async def shared_inputs(run_id: Shared, agent: Agent = Depends(agent_of)) -> dict[str, Any]:
    """Return the inputs by name."""
    return await in_thread(agent.backend.inputs, run_id)


@shared.get("/outputs")
async def shared_outputs(run_id: Shared, agent: Agent = Depends(agent_of)) -> dict[str, Any]:
    """Return the outputs by name."""
    return await in_thread(agent.backend.outputs, run_id)


@shared.get("/files")
async def shared_files(run_id: Shared, agent: Agent = Depends(agent_of)) -> runs.Files:
    """List the run's files."""
    return await runs.list_files(run_id, agent)


@shared.get("/files/{path:path}")
async def shared_file(path: str, run_id: Shared, agent: Agent = Depends(agent_of)) -> StreamingResponse:
    """Download one of the run's files."""
    return await runs.get_file(run_id, path, agent)


@shared.get("/archive")
async def shared_archive(run_id: Shared, agent: Agent = Depends(agent_of)) -> FileResponse:
    """Download everything of the run as a zip."""
    return await runs.get_archive(run_id, agent)


class ShareGate:
    """Lets a request that comes through a share reach the routes of shares only, and those no other request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            through_share = any(name.lower() == SHARE_HEADER.encode() for name, _ in scope["headers"])
            to_share = scope["path"].startswith(ROOT + "/") and scope["method"] == "GET"
            if through_share != to_share:
                await problem_response(Problem("share-not-found"))(scope, receive, send)
                return
        await self.app(scope, receive, send)


async def _with_key(agent: Agent, share: str) -> ShareWithKey:
    found, key = await in_thread(agent.shares.get, share)
    return ShareWithKey(share=found, key=key, opened=await in_thread(agent.shares.openings, share))


async def _has_run(agent: Agent, run: str) -> bool:
    try:
        await in_thread(agent.backend.run, run)
    except Problem as problem:
        if problem.status == 404:
            return False
        raise
    return True


def _without_other_runs(event: Event) -> Event:
    """Return the event without the name of an earlier run that it was taken from."""
    if "reused_from" not in event.data:
        return event
    return event.model_copy(update={"data": {k: v for k, v in event.data.items() if k != "reused_from"}})
