"""The page of whoever looks after the site: registries, policy, installs for everybody, the audit log."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from simdeck_deck.office import Office
from simdeck_deck.pages import frame
from simdeck_deck.pages.sources import attempt_all
from simdeck_deck.pages.views.admin import app_row, audit_row, registry_card, site_app_row
from simdeck_deck.pages.visit import Visiting

router = APIRouter()

MOST_ENTRIES = 200


def get_office(request: Request) -> Office:
    """FastAPI dependency: the deck's office."""
    office: Office = request.app.state.deck.office
    return office


@router.get("/admin")
async def admin(
    visit: Visiting,
    office: Annotated[Office, Depends(get_office)],
    user: Annotated[str, Query(max_length=100)] = "",
    app: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Everything at one look; ``user`` and ``app`` narrow the audit log."""
    visit.need("admin")
    who, what = user.strip(), app.strip()
    (registries, problem), (apps, _), (site, site_problem), (audit, audit_problem) = await attempt_all(
        asyncio.to_thread(office.registries),
        asyncio.to_thread(office.apps),
        asyncio.to_thread(office.site_apps),
        asyncio.to_thread(office.audit, who, what, MOST_ENTRIES),
    )
    now = frame.now()
    return visit.page(
        "admin.html",
        here="admin",
        registries=[registry_card(state) for state in registries.items] if registries else [],
        registries_problem=problem,
        policy=apps,
        apps=[app_row(item) for item in apps.items] if apps else [],
        folder=site.folder if site else None,
        site_apps=[site_app_row(item, now) for item in site.items] if site else [],
        site_problem=site_problem,
        entries=[audit_row(entry, now) for entry in audit.items] if audit else [],
        audit_problem=audit_problem,
        audit_full=bool(audit and len(audit.items) == MOST_ENTRIES),
        user=who,
        app=what,
    )
