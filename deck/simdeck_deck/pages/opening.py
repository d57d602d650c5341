"""Opening an app: straight into the running server, or by way of a page that starts it and follows the start."""

from __future__ import annotations

from fastapi import APIRouter, Response
from simdeck_common.problems import Problem

from simdeck_deck.pages.frame import now, see_other
from simdeck_deck.pages.resources import form_page
from simdeck_deck.pages.servers import where_to_open
from simdeck_deck.pages.sources import attempt_all
from simdeck_deck.pages.store import find_app
from simdeck_deck.pages.views.amounts import size_words
from simdeck_deck.pages.views.apps import installed_card
from simdeck_deck.pages.views.options import PREFIX, query_of
from simdeck_deck.pages.views.problems import ProblemView
from simdeck_deck.pages.views.server import server_view
from simdeck_deck.pages.views.servers import remedied
from simdeck_deck.pages.visit import Visit, Visiting
from simdeck_deck.servers import DEFAULT, ClusterView, hub_name

router = APIRouter()


async def _open_as_job(visit: Visit, clusters: list[ClusterView], app: str, run: str) -> Response:
    url, beside, over = await where_to_open(visit, app, run)
    given = dict(visit.request.query_params)
    asked = any(key.startswith(PREFIX) for key in given)
    if url is not None and not asked:
        return see_other(url)
    note = None
    if over is not None and over.failure is not None:
        note = ProblemView("The last server for this app ended", over.failure.title + ".", over.failure.remedy, "")
        if over.failure.code == "server-out-of-memory":
            # What it lacked is asked for from the start. That a time limit is reached is how most servers end.
            given = query_of(remedied(over)) | given
    elif beside is not None:
        words = f"Your default server has {size_words(beside.options)}; this app asks for more."
        note = ProblemView("A server is running already", words, "Start one that fits, or open the app there.", "")
    return await form_page(
        visit,
        clusters,
        given | {"app": app},
        note=note,
        beside=(
            (visit.links.app_page(app, run or None, hub_name(beside.name)), size_words(beside.options))
            if beside is not None
            else None
        ),
    )


@router.get("/open/{app}")
async def open_app(
    visit: Visiting,
    app: str,
    run: str = "",
) -> Response:
    """Lead to the app's page in one of the user's servers. A GET starts nothing; the page does, by POST.

    Where servers are batch jobs and none fits, the form asks what the new one shall have.
    """
    (clusters, _), (state, problem), (apps, _) = await attempt_all(
        visit.servers.clusters(), visit.server.state(), visit.agent.get("/apps")
    )
    if clusters is None and state is not None:
        # Whether servers are jobs is not known: nothing may be started that nobody has asked for.
        raise Problem("hub-unavailable")
    if clusters:
        if visit.request.query_params.get("continue"):
            # From the banner of an app page whose job ends soon: the server's page has the button that starts the next.
            ending = visit.request.query_params.get("server") or DEFAULT
            return see_other(visit.links.page("servers", ending, app=app, run=run))
        return await _open_as_job(visit, clusters, app, run)
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
