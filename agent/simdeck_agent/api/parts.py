"""What the routers share: the agent behind them, the declaration of scopes, the documented refusals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from simdeck_appstore.policy import OPEN, AppPolicy
from simdeck_common.problems import Problem
from starlette.concurrency import run_in_threadpool

from simdeck_agent.guests import Guests
from simdeck_agent.models import now
from simdeck_agent.pins import Pins
from simdeck_agent.ports import AppInstaller, WorkflowBackend
from simdeck_agent.problem_answers import MEDIA_TYPE, ProblemModel
from simdeck_agent.shares import Shares
from simdeck_agent.site_apps import SiteApps
from simdeck_agent.tasks import Tasks

SCOPE_KEY = "x-simdeck-scope"
GROUPS_HEADER = "x-simdeck-groups"
"""The hub's groups of the caller, as a JSON list; the deck writes it over whatever a request brings."""
LIMITED_KEY = "x-simdeck-limited"
"""Routes that carry this are open to tokens for certain workflows too: ``guard`` or the route itself checks which."""
LIMIT_HEADER = "X-Simdeck-Workflows"
"""What the deck says of such a token: the workflows it is for, separated by commas. Callers cannot send it."""


@dataclass
class Agent:
    """What the routes work on. ``mark`` writes the marker ``active``, before anything durable is begun."""

    user: str
    installer: AppInstaller
    backend: WorkflowBackend
    tasks: Tasks
    mark: Callable[[], None]
    closing: asyncio.Event
    pins: Pins
    shares: Shares
    guests: Guests
    started: str = field(default_factory=now)
    policy: AppPolicy = OPEN
    site_apps: SiteApps | None = None


def agent_of(request: Request) -> Agent:
    """FastAPI dependency: the agent that serves the request."""
    agent: Agent = request.app.state.agent
    return agent


def groups_of(request: Request) -> frozenset[str]:
    """FastAPI dependency: the caller's groups as the deck has heard them from the hub; none where it says nothing."""
    try:
        groups = json.loads(request.headers.get(GROUPS_HEADER, "[]"))
    except ValueError:
        return frozenset()
    return frozenset(group for group in groups if isinstance(group, str)) if isinstance(groups, list) else frozenset()


async def follow_site(request: Request) -> None:
    """FastAPI dependency: what is installed for everybody is among the caller's apps before the route looks at them."""
    site_apps = agent_of(request).site_apps
    if site_apps is not None and GROUPS_HEADER in request.headers:
        await site_apps.follow(groups_of(request))


def declare(scope: str, *, limited: bool = False) -> dict[str, Any]:
    """Return the keyword arguments of a route that declares the short ``scope``.

    ``limited``: tokens for certain workflows may use it as well, for these alone.
    """
    return {"openapi_extra": {SCOPE_KEY: scope} | ({LIMITED_KEY: True} if limited else {})}


def limits(request: Request) -> frozenset[str] | None:
    """FastAPI dependency: the workflows that the caller's token is for, or None where it is for all."""
    sent = request.headers.get(LIMIT_HEADER)
    return None if sent is None else frozenset(filter(None, sent.split(",")))


async def guard(request: Request) -> None:
    """FastAPI dependency of whole routers: a run or workflow that the token is not for does not exist for it.

    Raises
    ------
    Problem
        ``workflow-not-found``, ``run-not-found``.
    """
    allowed = limits(request)
    if allowed is None:
        return
    agent = agent_of(request)
    name, run_id = request.path_params.get("name"), request.path_params.get("run_id")
    if name is not None and name not in allowed:
        raise Problem("workflow-not-found", workflow=name)
    if run_id is not None and (await in_thread(agent.backend.run, run_id)).workflow not in allowed:
        raise Problem("run-not-found", run=run_id)


def refusals(*statuses: int) -> Responses:
    """Return OpenAPI responses: these statuses are answered with problem+json."""
    return {
        status: {"description": _WORDS[status], "model": ProblemModel, "content": {MEDIA_TYPE: {}}}
        for status in statuses
    }


_WORDS = {
    400: "The request cannot be read",
    403: "The site does not allow it",
    404: "There is no such thing of the caller's",
    409: "Not possible in the present state",
    410: "It was there, and has ended",
    422: "A value is not valid; `field` names it",
    502: "The hub tried and failed",
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
        "content": {
            "text/event-stream": {
                # Of one event.
                "schema": {
                    "type": "object",
                    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
                    "required": ["event", "data"],
                }
            }
        },
    }
}
