"""Who asks: the groups of each request's caller, for workflows that are restricted to groups.

It stands before every route, so that none can forget it: a workflow that is not for the caller does not exist.
"""

from __future__ import annotations

from simdeck_workflows.installed import CALLER_GROUPS
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from simdeck_agent.api.parts import GROUPS_HEADER, groups_of


class CallerGroups:
    """Has the workflows see the groups that the deck names. A request without them has nobody behind it to judge."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        token = CALLER_GROUPS.set(groups_of(request) if GROUPS_HEADER in request.headers else None)
        try:
            await self.app(scope, receive, send)
        finally:
            CALLER_GROUPS.reset(token)
