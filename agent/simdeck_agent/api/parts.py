"""What the routers share: the agent behind them, the declaration of scopes, the documented refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from simdeck_agent.models import now
from simdeck_agent.ports import AppInstaller, WorkflowBackend
from simdeck_agent.problem_answers import MEDIA_TYPE, ProblemModel
from simdeck_agent.tasks import Tasks

SCOPE_KEY = "x-simdeck-scope"


@dataclass
class Agent:
    """What the routes work on. ``mark`` writes the marker ``active``, before anything durable is begun."""

    user: str
    installer: AppInstaller
    backend: WorkflowBackend
    tasks: Tasks
    mark: Callable[[], None]
    closing: asyncio.Event
    started: str = field(default_factory=now)


def agent_of(request: Request) -> Agent:
    """FastAPI dependency: the agent that serves the request."""
    agent: Agent = request.app.state.agent
    return agent


def declare(scope: str) -> dict[str, Any]:
    """Return the keyword arguments of a route that declares the short ``scope``."""
    return {"openapi_extra": {SCOPE_KEY: scope}}


def refusals(*statuses: int) -> Responses:
    """Return OpenAPI responses: these statuses are answered with problem+json."""
    return {
        status: {"description": _WORDS[status], "model": ProblemModel, "content": {MEDIA_TYPE: {}}}
        for status in statuses
    }


_WORDS = {
    400: "The request cannot be read",
    404: "There is no such thing of the caller's",
    409: "Not possible in the present state",
    422: "A value is not valid; `field` names it",
    503: "The agent or the worker does not answer",
}

in_thread = run_in_threadpool

Responses = dict[int | str, dict[str, Any]]


def content(media_type: str) -> Responses:
    """Return OpenAPI responses: 200 is answered with a body of ``media_type`` that is not JSON."""
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


EVENT_STREAM: Responses = {
    200: {
        "description": "Server-Sent Events: `id` rises, `event` is the type, `data` is JSON; `end` closes the stream. "
        "`Last-Event-ID` (or `?after=`) resumes.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
