"""The agent's own state."""

from __future__ import annotations

import os
from importlib.metadata import version

from fastapi import APIRouter, Depends

from simdeck_agent.api.parts import Agent, agent_of, declare, in_thread
from simdeck_agent.models import AgentStatus, WorkerStatus

router = APIRouter(tags=["agent"])


@router.get("/status", **declare("runs:read"))
async def get_status(agent: Agent = Depends(agent_of)) -> AgentStatus:
    """Say who serves the caller, since when, and whether the workflow worker runs."""
    return AgentStatus(
        user=agent.user,
        pid=os.getpid(),
        version=version("simdeck"),
        started=agent.started,
        active=agent.tasks.active() or await in_thread(agent.backend.active),
        worker=WorkerStatus.model_validate(agent.backend.worker_state()),
    )
