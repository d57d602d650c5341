"""Opening an app: straight into the running server, or by way of a page that starts it and follows the start."""

from __future__ import annotations

from fastapi import APIRouter, Response

from simdeck_deck.pages.frame import now, see_other
from simdeck_deck.pages.sources import attempt_all
from simdeck_deck.pages.store import find_app
from simdeck_deck.pages.views.apps import installed_card
from simdeck_deck.pages.views.server import server_view
from simdeck_deck.pages.visit import Visiting

router = APIRouter()


@router.get("/open/{app}")
async def open_app(
    visit: Visiting,
    app: str,
    run: str = "",
) -> Response:
    """Lead to the app's page in the user's server. A GET starts nothing; the page does, by POST."""
    (state, problem), (apps, _) = await attempt_all(visit.server.state(), visit.agent.get("/apps"))
    server = server_view(state, visit.links, now())
    if server.state.key == "running":
        return see_other(visit.links.app_page(app, run))
    mine = find_app(apps, app)
    card = installed_card(mine, None, visit.links) if mine else None
    return visit.page(
        "open.html",
        here="deck",
        card=card,
        title=card.title if card else app,
        server=server,
        server_problem=problem,
        start_url=visit.links.page("server", "start"),
        target=visit.links.app_page(app, run),
        here_path=visit.links.page("open", app, run=run),
    )
