"""The deck itself: installed apps, recent runs, the Jupyter server's state."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Response

from simdeck_deck.pages.frame import now, see_other
from simdeck_deck.pages.servers import cards_of, poll_of, shown_on_deck
from simdeck_deck.pages.sources import attempt, attempt_all
from simdeck_deck.pages.views.apps import installed_cards, latest_versions
from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.problems import waiting_view
from simdeck_deck.pages.views.runs import RunView, run_view
from simdeck_deck.pages.views.server import server_view
from simdeck_deck.pages.views.sharing import received_rows
from simdeck_deck.pages.visit import Visiting
from simdeck_deck.sharing import Sharing
from simdeck_deck.sharing_routes import sharing_of

router = APIRouter()

RECENT = 8
# Seconds between two looks at the runs while one is under way, and while none is.
POLL_BUSY = 3
POLL_IDLE = 20


def poll_trigger(runs: tuple[RunView, ...]) -> str:
    """Return how often htmx looks again: often only while something happens."""
    return f"every {POLL_BUSY if any(run.state.active for run in runs) else POLL_IDLE}s"


def run_views(answer: Any, links: Links) -> tuple[RunView, ...]:
    """Build the views of the runs in an agent's answer (``{items}``)."""
    items = answer.get("items", []) if isinstance(answer, dict) else []
    moment = now()
    return tuple(run_view(item, links, moment) for item in items if isinstance(item, dict))


@router.get("/")
async def deck(visit: Visiting, sharing: Annotated[Sharing, Depends(sharing_of)]) -> Response:
    """The deck. Each part stands alone: what cannot be read is said in its place."""
    (
        (apps, apps_problem), (index, _), (runs, runs_problem), (server, _), (status, _), (clusters, _), (received, _),
    ) = await attempt_all(
        visit.agent.get("/apps"),
        visit.store.index(),
        visit.agent.get("/runs", limit=RECENT),
        visit.server.state(),
        visit.agent.get("/status"),
        visit.servers.clusters(),
        sharing.received(visit.user),
    )  # fmt: skip
    jobs: dict[str, Any] = {"batch": bool(clusters)}
    if clusters:
        servers, servers_problem = await attempt(visit.servers.servers())
        cards = shown_on_deck(cards_of(visit, servers, apps))
        jobs |= {"servers": cards, "servers_problem": servers_problem, "servers_poll": poll_of(cards)}
    rows = run_views(runs, visit.links)
    return visit.page(
        "deck.html",
        here="deck",
        cards=installed_cards(apps, latest_versions(index or {}), visit.links),
        apps_problem=apps_problem,
        shared_apps=[row for row in received_rows(received or (), visit.links, now()) if row.kind and not row.over],
        runs=rows,
        runs_problem=runs_problem,
        poll=poll_trigger(rows),
        waiting=waiting_view(status),
        server=server_view(server, visit.links, now()),
        **jobs,
    )


@router.get("/recent-runs")
async def recent_runs(
    visit: Visiting,
) -> Response:
    """The recent runs anew."""
    (runs, problem), (status, _) = await attempt_all(visit.agent.get("/runs", limit=RECENT), visit.agent.get("/status"))
    rows = run_views(runs, visit.links)
    return visit.page(
        "_recent_runs.html",
        runs=rows,
        runs_problem=problem,
        waiting=waiting_view(status),
        cards=True,
        poll=poll_trigger(rows),
    )


@router.get("/server")
async def server(
    visit: Visiting,
) -> Response:
    """The server's line anew."""
    state, _ = await attempt(visit.server.state())
    return visit.page("_server.html", server=server_view(state, visit.links, now()))


@router.post("/server/start")
async def start_server(
    visit: Visiting,
    then: str = Form(""),
) -> Response:
    """Start the server; go on to ``then``, a path of the deck."""
    visit.need("server")
    await visit.server.start()
    return see_other(inside(visit.links, then))


@router.post("/server/stop")
async def stop_server(
    visit: Visiting,
) -> Response:
    """Stop the server; runs go on."""
    visit.need("server")
    await visit.server.stop()
    return see_other(visit.links.page())


def inside(links: Links, path: str) -> str:
    """Return ``path`` when it lies within the deck, else the deck: a form must not lead elsewhere."""
    safe = path.startswith(links.base) and "\\" not in path and "//" not in path and path.isprintable()
    return path if safe else links.page()
