"""The workflows of the installed apps, with the JSON Schema of their inputs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from simdeck_workflows.models import Workflow

from simdeck_agent.api.parts import Agent, agent_of, declare, guard, in_thread, limits, refusals

router = APIRouter(tags=["workflows"], dependencies=[Depends(guard)])


class Workflows(BaseModel):
    """The workflows that can be run now."""

    items: list[Workflow]


class ValidateRequest(BaseModel):
    """Inputs to check without running anything."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: dict[str, Any] = Field(default_factory=dict)


class Valid(BaseModel):
    """The empty answer that says: these inputs are valid."""


@router.get("/workflows", **declare("runs:read", limited=True))
async def list_workflows(
    agent: Agent = Depends(agent_of), allowed: frozenset[str] | None = Depends(limits)
) -> Workflows:
    """List the workflows of the installed apps."""
    found = await in_thread(agent.backend.workflows)
    return Workflows(items=[one for one in found if allowed is None or one.name in allowed])


@router.get("/workflows/{name}", responses=refusals(404), **declare("runs:read", limited=True))
async def get_workflow(name: str, agent: Agent = Depends(agent_of)) -> Workflow:
    """Show one workflow: the schema of its inputs, its outputs."""
    return await in_thread(agent.backend.workflow, name)


@router.post("/workflows/{name}/validate", responses=refusals(400, 404, 422, 503), **declare("runs", limited=True))
async def validate_inputs(name: str, body: ValidateRequest, agent: Agent = Depends(agent_of)) -> Valid:
    """Check inputs as deeply as a submission would, down to the workflow's own validators."""
    await agent.backend.validate(name, body.inputs)
    return Valid()
