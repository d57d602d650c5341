"""The API's routes of everything that belongs to one user, written once.

The agent serves them on its socket; the deck serves the same routes to the web, made from ``ROUTERS``. Each declares
the scope that it asks of the caller; the agent itself does not check it, for only its own user reaches the socket.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.routing import APIRoute

from simdeck_agent.api import apps, exchange, form, run_sets, runs, ssh_keys, status, tasks, workflows
from simdeck_agent.api.parts import SCOPE_KEY

ROUTERS: tuple[APIRouter, ...] = (
    status.router,
    apps.router,
    tasks.router,
    workflows.router,
    form.router,
    runs.router,
    run_sets.router,
    exchange.router,
    ssh_keys.router,
)

OF_APPS = (apps.router, workflows.router, form.router, runs.router)
"""Those that look at what is installed, for everybody or for the caller alone."""


def routes() -> Iterator[tuple[APIRoute, str]]:
    """Yield every route with its declared scope.

    Raises
    ------
    ValueError
        A route declares no scope; it must not be served.
    """
    for router in ROUTERS:
        for route in router.routes:
            scope = (route.openapi_extra or {}).get(SCOPE_KEY) if isinstance(route, APIRoute) else None
            if not isinstance(route, APIRoute) or not isinstance(scope, str):
                raise ValueError(f"The route {getattr(route, 'path', route)} declares no scope.")
            yield route, scope
