"""SSH keys for workflows that stage data. The private half never leaves the user's own files."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from simdeck_workflows.ssh_keys import SshKey

from simdeck_agent.api.parts import Agent, agent_of, declare, in_thread, refusals

router = APIRouter(tags=["ssh keys"])


class KeyRequest(BaseModel):
    """What the owner wants to note of a new key."""

    model_config = ConfigDict(extra="forbid", strict=True)

    metadata: dict[str, Any] = Field(default_factory=dict, max_length=50)


class SshKeys(BaseModel):
    """The caller's keys."""

    items: list[SshKey]


@router.post("/ssh_keys", status_code=201, responses=refusals(400, 409, 422), **declare("runs"))
async def make_ssh_key(body: KeyRequest, agent: Agent = Depends(agent_of)) -> SshKey:
    """Make a key; put its public half where the data is."""
    return await in_thread(agent.backend.ssh_keys.make, body.metadata)


@router.get("/ssh_keys", **declare("runs:read"))
async def list_ssh_keys(agent: Agent = Depends(agent_of)) -> SshKeys:
    """List the public halves."""
    return SshKeys(items=await in_thread(agent.backend.ssh_keys.all))


@router.get("/ssh_keys/{key_id}", responses=refusals(404), **declare("runs:read"))
async def get_ssh_key(key_id: str, agent: Agent = Depends(agent_of)) -> SshKey:
    """Show one public half."""
    return await in_thread(agent.backend.ssh_keys.get, key_id)


@router.delete("/ssh_keys/{key_id}", status_code=204, responses=refusals(404), **declare("runs"))
async def delete_ssh_key(key_id: str, agent: Agent = Depends(agent_of)) -> None:
    """Revoke a key: no run can use it any more."""
    await in_thread(agent.backend.ssh_keys.remove, key_id)
