"""Shares: the owner's own, those received from others, and the few read-only routes that a share opens.

The deck does not serve these as they are. It asks ``router`` in its caller's own agent. It asks ``shared`` in the
agent of a share's owner, in the name of somebody else: with the header that names the share, and nothing else is open
to a request that carries it (:class:`ShareGate`).
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel
from simdeck_common.problems import Problem
from simdeck_workflows.models import Run
from starlette.types import ASGIApp, Receive, Scope, Send

from simdeck_agent.api import runs
from simdeck_agent.api.parts import Agent, agent_of, in_thread
from simdeck_agent.problem_answers import problem_response
from simdeck_agent.shares import Received, Share, ShareRequest

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


class ShareWithKey(BaseModel):
    """A share with the key of its link."""

    share: Share
    key: str


class ReceivedKey(BaseModel):
    """A received share to be kept, with its key."""

    received: Received
    key: str


class Key(BaseModel):
    """The key of a received share."""

    key: str


@router.get("/shares")
async def list_shares(agent: Agent = Depends(agent_of)) -> list[Share]:
    """List the shares, newest first."""
    return await in_thread(agent.shares.all)


@router.post("/shares")
async def create_share(wanted: ShareRequest, agent: Agent = Depends(agent_of)) -> ShareWithKey:
    """Share a run."""
    run = await in_thread(agent.backend.run, wanted.run)
    made = await in_thread(agent.shares.create, wanted, run.title)
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
    """Return the key of a received share."""
    return Key(key=await in_thread(agent.shares.received_key, ticket))


@router.delete("/received/{ticket}")
async def forget_received(ticket: str, agent: Agent = Depends(agent_of)) -> None:
    """Take a received share off the list."""
    await in_thread(agent.shares.forget, ticket)


# --- what a share opens -------------------------------------------------------------------------------------------


async def admitted(request: Request, agent: Agent = Depends(agent_of)) -> Share:
    """FastAPI dependency: the share that the header names, when it is for the person it names."""
    try:
        told = json.loads(request.headers.get(SHARE_HEADER, ""))
        share, key, person, groups = str(told["share"]), str(told["key"]), str(told["person"]), list(told["groups"])
    except (ValueError, KeyError, TypeError):
        raise Problem("share-not-found") from None
    found: Share = await in_thread(agent.shares.admit, share, key, person, groups, agent.user)
    try:
        await in_thread(agent.backend.run, found.run)
    except Problem as problem:
        # Its owner has deleted it.
        raise Problem("share-ended") if problem.status == 404 else problem from None
    return found


@shared.get("/run")
async def shared_run(share: Share = Depends(admitted), agent: Agent = Depends(agent_of)) -> SharedRun:
    """Show the run."""
    run: Run = await in_thread(agent.backend.run, share.run)
    told = run.model_dump(mode="json", include=set(SharedRun.model_fields))
    return SharedRun(**told | {"owner": agent.user, "expires": share.expires})


@shared.get("/inputs")
async def shared_inputs(share: Share = Depends(admitted), agent: Agent = Depends(agent_of)) -> dict[str, Any]:
    """Return the inputs by name."""
    return await in_thread(agent.backend.inputs, share.run)


@shared.get("/outputs")
async def shared_outputs(share: Share = Depends(admitted), agent: Agent = Depends(agent_of)) -> dict[str, Any]:
    """Return the outputs by name."""
    return await in_thread(agent.backend.outputs, share.run)


@shared.get("/files")
async def shared_files(share: Share = Depends(admitted), agent: Agent = Depends(agent_of)) -> runs.Files:
    """List the run's files."""
    return await runs.list_files(share.run, agent)


@shared.get("/files/{path:path}")
async def shared_file(
    path: str, share: Share = Depends(admitted), agent: Agent = Depends(agent_of)
) -> StreamingResponse:
    """Download one of the run's files."""
    return await runs.get_file(share.run, path, agent)


@shared.get("/archive")
async def shared_archive(share: Share = Depends(admitted), agent: Agent = Depends(agent_of)) -> FileResponse:
    """Download everything of the run as a zip."""
    return await runs.get_archive(share.run, agent)


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
    return ShareWithKey(share=found, key=key)
