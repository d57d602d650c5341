"""Runs seen together or thrown away: sweeps, differences, deletion with its preview, notices."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel
from simdeck_workflows.diff import RunDiff
from simdeck_workflows.models import Cleaned, Deletion, Scratch
from simdeck_workflows.sweeps import Sweep, SweepRequest, SweepTable, to_csv

from simdeck_agent.api.parts import Agent, agent_of, content, declare, in_thread, refusals

router = APIRouter(tags=["runs"])


class Sweeps(BaseModel):
    """The newest sweeps."""

    items: list[Sweep]


class NoticeState(BaseModel):
    """What has become of telling somebody: `waiting`, `done` or `failed`, with the last try's reason."""

    kind: str
    state: str
    tries: int
    said: str | None = None


class NoticeStates(BaseModel):
    """A run's notices."""

    items: list[NoticeState]


@router.post("/sweeps", status_code=202, responses=refusals(400, 404, 409, 422), **declare("runs"))
async def submit_sweep(
    body: SweepRequest,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    agent: Agent = Depends(agent_of),
) -> Sweep:
    """Submit one workflow over many values of some inputs: all runs, or none."""
    await in_thread(agent.mark)
    made = await in_thread(agent.backend.sweep, body, idempotency_key)
    response.headers["Location"] = f"/sweeps/{made.id}"
    return made


@router.get("/sweeps", responses=refusals(422), **declare("runs:read"))
async def list_sweeps(limit: Annotated[int, Query(ge=1, le=200)] = 50, agent: Agent = Depends(agent_of)) -> Sweeps:
    """List the newest sweeps."""
    return Sweeps(items=await in_thread(agent.backend.records.sweeps, limit))


@router.get("/sweeps/{sweep_id}", responses=refusals(404), **declare("runs:read"))
async def get_sweep(sweep_id: str, agent: Agent = Depends(agent_of)) -> SweepTable:
    """Show a sweep with its table of results."""
    return await in_thread(agent.backend.records.sweep, sweep_id)


@router.get(
    "/sweeps/{sweep_id}/table.csv",
    response_class=Response,
    responses=content("text/csv") | refusals(404),
    **declare("runs:read"),
)
async def get_sweep_table(sweep_id: str, agent: Agent = Depends(agent_of)) -> Response:
    """Download a sweep's table for a spreadsheet."""
    found = await in_thread(agent.backend.records.sweep, sweep_id)
    headers = {"Content-Disposition": "attachment; filename=sweep.csv"}
    return Response(to_csv(found), media_type="text/csv", headers=headers)


@router.post("/sweeps/{sweep_id}/cancel", status_code=202, responses=refusals(404), **declare("runs"))
async def cancel_sweep(sweep_id: str, agent: Agent = Depends(agent_of)) -> SweepTable:
    """Cancel all runs of a sweep that have not ended."""
    return await agent.backend.cancel_sweep(sweep_id)


@router.delete("/sweeps/{sweep_id}", status_code=204, responses=refusals(404), **declare("runs"))
async def forget_sweep(sweep_id: str, agent: Agent = Depends(agent_of)) -> None:
    """Forget a sweep; its runs stay."""
    await in_thread(agent.backend.records.forget_sweep, sweep_id)


@router.get("/runs/{run_id}/diff", responses=refusals(404, 422), **declare("runs:read"))
async def diff_runs(
    run_id: str,
    other: Annotated[str, Query(alias="with", min_length=1, max_length=100, description="The other run's id")],
    agent: Agent = Depends(agent_of),
) -> RunDiff:
    """Compare a run with another: what was run, inputs, outputs, value by value."""
    return await in_thread(agent.backend.diff, run_id, other)


@router.get("/runs/{run_id}/notices", responses=refusals(404), **declare("runs:read"))
async def list_notices(run_id: str, agent: Agent = Depends(agent_of)) -> NoticeStates:
    """Say who was told of the run's end, and who could not be."""
    await in_thread(agent.backend.run, run_id)
    found: list[dict[str, Any]] = await in_thread(agent.backend.notices.of, run_id)
    return NoticeStates(items=[NoticeState.model_validate(one) for one in found])


@router.get("/scratch", responses=refusals(503), **declare("runs:read"))
async def get_scratch(agent: Agent = Depends(agent_of)) -> Scratch:
    """Say what working directories take, and what of it can be given back."""
    return await agent.backend.scratch()


@router.post("/scratch/clean", responses=refusals(422, 503), **declare("runs"))
async def clean_scratch(
    older_than_days: Annotated[float, Query(ge=0, le=3650, description="Only of runs that ended so long ago")] = 0.0,
    agent: Agent = Depends(agent_of),
) -> Cleaned:
    """Remove the working directories of ended runs; inputs, outputs and files of runs stay."""
    return await agent.backend.clean_scratch(older_than_days)


@router.get("/runs/{run_id}/deletion", responses=refusals(404, 409, 503), **declare("runs:read"))
async def preview_deletion(run_id: str, agent: Agent = Depends(agent_of)) -> Deletion:
    """Say what deleting an ended run takes away; nothing is touched."""
    return await agent.backend.deletion(run_id)


@router.delete("/runs/{run_id}", status_code=204, responses=refusals(404, 409, 503), **declare("runs"))
async def delete_run(run_id: str, agent: Agent = Depends(agent_of)) -> None:
    """Delete an ended run: provenance, files, working directories, its record."""
    await agent.backend.delete(run_id)
