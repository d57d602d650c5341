"""Runs: submit, follow, read, control."""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from simdeck_common.problems import Problem
from simdeck_workflows.models import Event, FileEntry, Run, RunPage, RunRequest, RunState
from starlette.background import BackgroundTask

from simdeck_agent import sse
from simdeck_agent.api.parts import (
    EVENT_STREAM,
    Agent,
    agent_of,
    content,
    declare,
    guard,
    in_thread,
    limits,
    refusals,
)

router = APIRouter(tags=["runs"], dependencies=[Depends(guard)])

IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=200)]


class RenameRequest(BaseModel):
    """A run's new title."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: str = Field(min_length=1, max_length=200)


class RetryRequest(BaseModel):
    """What shall be different this time."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: dict[str, Any] = Field(
        default_factory=dict, description="Inputs with other values; null takes one away. The rest stays as it was."
    )
    reuse: bool = Field(default=False, description="Take identical calculations that were done before, as in a run.")


class Events(BaseModel):
    """Events of a run. ``ended``: there are no more, and there will be none."""

    items: list[Event]
    ended: bool


class Files(BaseModel):
    """The files of a run."""

    items: list[FileEntry]


class Graph(BaseModel):
    """The provenance graph of a run: data and processes, and the links between them."""

    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]


def _accepted(response: Response, run: Run) -> Run:
    response.headers["Location"] = f"/runs/{run.id}"
    return run


@router.post("/runs", status_code=202, responses=refusals(400, 404, 409, 422), **declare("runs", limited=True))
async def submit_run(
    body: RunRequest,
    response: Response,
    idempotency_key: IdempotencyKey = None,
    agent: Agent = Depends(agent_of),
    allowed: frozenset[str] | None = Depends(limits),
) -> Run:
    """Submit a run. It is durable when this answers; the same `Idempotency-Key` and body give the same run."""
    if allowed is not None and body.workflow not in allowed:
        raise Problem("workflow-not-found", workflow=body.workflow)
    # The marker first: if the agent dies between acceptance and answer, it is started again and the run goes on.
    await in_thread(agent.mark)
    return _accepted(response, await in_thread(agent.backend.submit, body, idempotency_key))


@router.get("/runs", responses=refusals(400, 422), **declare("runs:read", limited=True))
async def list_runs(
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    state: RunState | None = None,
    workflow: str | None = None,
    app: str | None = None,
    sweep: str | None = None,
    agent: Agent = Depends(agent_of),
    allowed: frozenset[str] | None = Depends(limits),
) -> RunPage:
    """List runs, newest first; `next_cursor` fetches the following page."""
    chosen: dict[str, Any] = {"state": state, "workflow": workflow, "app": app, "sweep": sweep}
    return await in_thread(lambda: agent.backend.list_runs(limit=limit, cursor=cursor, only=allowed, **chosen))


@router.get("/runs/{run_id}", responses=refusals(404), **declare("runs:read", limited=True))
async def get_run(run_id: str, agent: Agent = Depends(agent_of)) -> Run:
    """Show one run."""
    return await in_thread(agent.backend.run, run_id)


@router.patch("/runs/{run_id}", responses=refusals(400, 404, 422), **declare("runs"))
async def rename_run(run_id: str, body: RenameRequest, agent: Agent = Depends(agent_of)) -> Run:
    """Give a run another title."""
    return await in_thread(agent.backend.rename, run_id, body.title)


@router.get(
    "/runs/{run_id}/events",
    response_class=StreamingResponse,
    responses=EVENT_STREAM | refusals(400, 404),
    **declare("runs:read", limited=True),
)
async def run_events(run_id: str, request: Request, agent: Agent = Depends(agent_of)) -> StreamingResponse:
    """Follow a run: `state`, `progress`, `step` and `log` events, then `end`."""
    after = sse.last_event_id(request)
    await in_thread(agent.backend.run, run_id)

    async def end() -> dict[str, Any]:
        run = await in_thread(agent.backend.run, run_id)
        return {"state": run.state, "problem": run.problem}

    return sse.response(sse.stream(agent.backend.events(run_id, after), end, agent.closing))


@router.get("/runs/{run_id}/history", responses=refusals(404, 422), **declare("runs:read", limited=True))
async def run_history(
    run_id: str,
    after: Annotated[int, Query(ge=0, description="Events with a `seq` above this")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait where there are none yet")] = 0.0,
    agent: Agent = Depends(agent_of),
) -> Events:
    """Return events as JSON, with their times; for callers that cannot read streams."""
    await in_thread(agent.backend.run, run_id)
    found = await agent.backend.history(run_id, after, limit, wait)
    ended = (await in_thread(agent.backend.run, run_id)).state.ended
    return Events(items=found, ended=ended and len(found) < limit)


@router.get("/runs/{run_id}/inputs", responses=refusals(404), **declare("runs:read", limited=True))
async def get_inputs(run_id: str, agent: Agent = Depends(agent_of)) -> dict[str, Any]:
    """Return the inputs by name, as they were submitted."""
    return await in_thread(agent.backend.inputs, run_id)


@router.get("/runs/{run_id}/outputs", responses=refusals(404), **declare("runs:read", limited=True))
async def get_outputs(run_id: str, agent: Agent = Depends(agent_of)) -> dict[str, Any]:
    """Return the outputs by name; empty while there are none."""
    return await in_thread(agent.backend.outputs, run_id)


@router.get("/runs/{run_id}/files", responses=refusals(404, 503), **declare("runs:read", limited=True))
async def list_files(run_id: str, agent: Agent = Depends(agent_of)) -> Files:
    """List the run's files."""
    return Files(items=await agent.backend.files(run_id))


@router.get(
    "/runs/{run_id}/files/{path:path}",
    response_class=StreamingResponse,
    responses=content("*/*") | refusals(404, 503),
    **declare("runs:read", limited=True),
)
async def get_file(run_id: str, path: str, agent: Agent = Depends(agent_of)) -> StreamingResponse:
    """Download one file of the run."""
    found = await agent.backend.open_file(run_id, path)
    headers = {"Content-Disposition": _attachment(path.rsplit("/", 1)[-1])}
    if isinstance(found, bytes):
        headers["Content-Length"] = str(len(found))
    media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return StreamingResponse(_chunks(found), media_type=media_type, headers=headers)


@router.get(
    "/runs/{run_id}/archive",
    response_class=FileResponse,
    responses=content("application/zip") | refusals(404, 503),
    **declare("runs:read", limited=True),
)
async def get_archive(run_id: str, agent: Agent = Depends(agent_of)) -> FileResponse:
    """Download everything of the run as a zip: inputs, outputs, files, graph, README."""
    path = await agent.backend.archive(run_id)
    return FileResponse(
        path,
        media_type="application/zip",
        filename=f"run-{run_id}.zip",
        background=BackgroundTask(agent.backend.release, path),
    )


@router.get(
    "/runs/{run_id}/log",
    response_class=PlainTextResponse,
    responses=refusals(404, 503),
    **declare("runs:read", limited=True),
)
async def get_log(run_id: str, agent: Agent = Depends(agent_of)) -> PlainTextResponse:
    """Return the run's log as text."""
    return PlainTextResponse(await agent.backend.log(run_id))


@router.get("/runs/{run_id}/graph", responses=refusals(404, 503), **declare("runs:read", limited=True))
async def get_graph(run_id: str, agent: Agent = Depends(agent_of)) -> Graph:
    """Return the provenance graph as JSON."""
    return Graph.model_validate(await agent.backend.graph(run_id))


@router.get(
    "/runs/{run_id}/graph.svg",
    response_class=Response,
    responses=content("image/svg+xml") | refusals(404, 503),
    **declare("runs:read", limited=True),
)
async def get_graph_drawing(run_id: str, agent: Agent = Depends(agent_of)) -> Response:
    """Return the provenance graph as a drawing."""
    return Response(await agent.backend.graph_svg(run_id), media_type="image/svg+xml")


@router.post(
    "/runs/{run_id}/cancel", status_code=202, responses=refusals(404, 409, 503), **declare("runs", limited=True)
)
async def cancel_run(run_id: str, response: Response, agent: Agent = Depends(agent_of)) -> Run:
    """Cancel a run that has not ended."""
    return _accepted(response, await agent.backend.cancel(run_id))


@router.post("/runs/{run_id}/pause", status_code=202, responses=refusals(404, 409, 503), **declare("runs"))
async def pause_run(run_id: str, response: Response, agent: Agent = Depends(agent_of)) -> Run:
    """Pause a run at its next step."""
    return _accepted(response, await agent.backend.pause(run_id))


@router.post("/runs/{run_id}/resume", status_code=202, responses=refusals(404, 409, 503), **declare("runs"))
async def resume_run(run_id: str, response: Response, agent: Agent = Depends(agent_of)) -> Run:
    """Let a paused run go on."""
    await in_thread(agent.mark)
    return _accepted(response, await agent.backend.resume(run_id))


@router.post("/runs/{run_id}/retry", status_code=202, responses=refusals(404, 409, 422), **declare("runs"))
async def retry_run(
    run_id: str,
    response: Response,
    body: RetryRequest | None = None,
    idempotency_key: IdempotencyKey = None,
    agent: Agent = Depends(agent_of),
) -> Run:
    """Run the same inputs again, or changed ones, as a new run, whose `retry_of` is this one."""
    await in_thread(agent.mark)
    asked = body or RetryRequest()
    retry = agent.backend.retry
    return _accepted(response, await in_thread(retry, run_id, idempotency_key, asked.inputs, asked.reuse))


async def _chunks(found: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(found, bytes):
        yield found
        return
    async for chunk in found:
        yield chunk


def _attachment(name: str) -> str:
    """Return the header value that has a browser save the file rather than show it: its content is anybody's."""
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"
