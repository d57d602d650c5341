"""``/admin``: for whoever looks after the site (scope ``admin``). Everything here only tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from simdeck_deck.auth import scoped
from simdeck_deck.office import AuditPage, Office, PolicedApps, RegistryStates, SiteApps

if TYPE_CHECKING:
    from simdeck_deck.app import Deck

router = APIRouter(tags=["admin"])


@router.get("/admin/registries", **scoped("admin"))
async def list_registries(request: Request) -> RegistryStates:
    """Tell how each registry stands: its key, until when its signatures are good, and why it is refused."""
    return await run_in_threadpool(_office(request).registries)


@router.get("/admin/apps", **scoped("admin"))
async def list_policed_apps(request: Request) -> PolicedApps:
    """Tell of every app in the registries whether, to whom and in which versions it is offered."""
    return await run_in_threadpool(_office(request).apps)


@router.get("/admin/site-apps", **scoped("admin"))
async def list_site_apps(request: Request) -> SiteApps:
    """List what is installed for everybody."""
    return await run_in_threadpool(_office(request).site_apps)


@router.get("/admin/audit", **scoped("admin"))
async def list_audit(
    request: Request,
    user: Annotated[str | None, Query(max_length=100, description="Only what this person did.")] = None,
    app: Annotated[str | None, Query(max_length=100, description="Only what was done with this app.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AuditPage:
    """Tell who installed, updated and removed what, newest first."""
    return await run_in_threadpool(_office(request).audit, user, app, limit)


def _office(request: Request) -> Office:
    deck: Deck = request.app.state.deck
    return deck.office
