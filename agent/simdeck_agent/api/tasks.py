"""Tasks: what lasts and is not a run."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import StreamingResponse

from simdeck_agent import sse
from simdeck_agent.api.parts import EVENT_STREAM, Agent, agent_of, declare, in_thread, refusals
from simdeck_agent.models import Task, TaskPage

router = APIRouter(tags=["tasks"])


@router.get("/tasks", **declare("apps:read"))
async def list_tasks(agent: Agent = Depends(agent_of)) -> TaskPage:
    """List the tasks, newest first."""
    return TaskPage(items=await in_thread(agent.tasks.store.recent))


@router.get("/tasks/{task_id}", responses=refusals(404), **declare("apps:read"))
async def get_task(task_id: str, agent: Agent = Depends(agent_of)) -> Task:
    """Show one task."""
    return await in_thread(agent.tasks.get, task_id)


@router.delete("/tasks/{task_id}", status_code=202, responses=refusals(404, 409), **declare("apps:install"))
async def cancel_task(task_id: str, agent: Agent = Depends(agent_of)) -> Task:
    """Cancel a task that has not ended; what it had begun is undone."""
    return await in_thread(agent.tasks.cancel, task_id)


@router.get(
    "/tasks/{task_id}/events",
    response_class=StreamingResponse,
    responses=EVENT_STREAM | refusals(400, 404),
    **declare("apps:read"),
)
async def task_events(task_id: str, request: Request, agent: Agent = Depends(agent_of)) -> StreamingResponse:
    """Follow a task: `step`, `log` and `state` events, then `end`."""
    after = sse.last_event_id(request)
    await in_thread(agent.tasks.get, task_id)

    async def end() -> dict[str, Any]:
        task = await in_thread(agent.tasks.get, task_id)
        return {"state": task.state, "problem": task.problem}

    return sse.response(sse.stream(agent.tasks.events(task_id, after), end, agent.closing))
