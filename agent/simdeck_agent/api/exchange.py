"""Provenance in and out: AiiDA archives, Workflow Run RO-Crates, what to cite."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel
from simdeck_workflows.models import Run
from starlette.background import BackgroundTask

from simdeck_agent.api.parts import SCOPE_KEY, Agent, agent_of, content, declare, refusals

router = APIRouter(tags=["provenance"])

_BODY: dict[str, Any] = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


class Citation(BaseModel):
    """One thing to cite: a `method`, `code`, `plugin`, the `engine`, or `data` (a pseudopotential, an entry)."""

    kind: str
    text: str
    doi: str | None = None
    url: str | None = None
    version: str | None = None


class Citations(BaseModel):
    """What to cite for a run."""

    items: list[Citation]


class Imported(BaseModel):
    """The runs that an archive brought; known ones are among them."""

    items: list[Run]


async def _file(agent: Agent, run_id: str, kind: str, name: str, license: str | None = None) -> FileResponse:
    path = await agent.backend.export(run_id, kind, license)
    clean = BackgroundTask(agent.backend.release, path)
    return FileResponse(path, media_type="application/zip", filename=name, background=clean)


@router.get(
    "/runs/{run_id}/export.aiida",
    response_class=FileResponse,
    responses=content("application/zip") | refusals(404, 409, 503),
    **declare("runs:read"),
)
async def export_archive(run_id: str, agent: Agent = Depends(agent_of)) -> FileResponse:
    """Download an ended run as an AiiDA archive."""
    return await _file(agent, run_id, "aiida", f"run-{run_id}.aiida")


@router.get(
    "/runs/{run_id}/crate",
    response_class=FileResponse,
    responses=content("application/zip") | refusals(404, 409, 422, 503),
    **declare("runs:read"),
)
async def export_crate(
    run_id: str,
    license: Annotated[
        str | None, Query(max_length=300, pattern="^https?://", description="Address of the licence you choose for it")
    ] = None,
    agent: Agent = Depends(agent_of),
) -> FileResponse:
    """Download an ended run as a Workflow Run RO-Crate, with the AiiDA archive inside."""
    return await _file(agent, run_id, "crate", f"run-{run_id}.crate.zip", license)


@router.get("/runs/{run_id}/citations", responses=refusals(404, 503), **declare("runs:read"))
async def list_citations(run_id: str, agent: Agent = Depends(agent_of)) -> Citations:
    """Say what to cite for a run."""
    return Citations(items=[Citation.model_validate(one) for one in await agent.backend.citations(run_id)])


@router.post(
    "/archives",
    status_code=201,
    responses=refusals(400, 422, 503),
    openapi_extra={SCOPE_KEY: "runs", "requestBody": _BODY},
)
async def import_archive(request: Request, agent: Agent = Depends(agent_of)) -> Imported:
    """Take in an AiiDA archive (the request's body); its top processes become ended runs."""
    return Imported(items=await agent.backend.import_archive(request.stream()))
