"""The servers: the list, and each one's page from the queue to its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Form, Response
from simdeck_common.problems import Problem

from simdeck_deck.pages.frame import now, see_other
from simdeck_deck.pages.sources import attempt, attempt_all
from simdeck_deck.pages.views.options import query_of
from simdeck_deck.pages.views.servers import ServerCard, remedied, remedy_words, server_card
from simdeck_deck.pages.visit import Visit, Visiting
from simdeck_deck.servers import DEFAULT, STARTING, ServerView, hub_name

router = APIRouter()

# Seconds between two looks while something is under way, and while a job only runs.
POLL_BUSY = 5
POLL_IDLE = 30


def app_titles(apps: Any) -> dict[str, str]:
    """Return the installed apps' titles by id, from the agent's answer."""
    items = apps.get("items", []) if isinstance(apps, Mapping) else []
    return {str(app.get("id")): str(app.get("title") or app.get("id")) for app in items if isinstance(app, Mapping)}


def cards_of(visit: Visit, servers: list[ServerView] | None, apps: Any) -> tuple[ServerCard, ...]:
    """Build the cards of all servers that are there in some way."""
    moment, titles = now(), app_titles(apps)
    return tuple(server_card(one, visit.links, moment, titles) for one in servers or ())


def poll_of(cards: tuple[ServerCard, ...]) -> str:
    """Return how often htmx looks again."""
    return f"every {POLL_BUSY if any(card.active and not card.running for card in cards) else POLL_IDLE}s"


@router.get("/servers")
async def servers(visit: Visiting) -> Response:
    """All servers; htmx gets the table alone. A site without clusters has one server, which the deck shows."""
    (clusters, problem), (found, _), (apps, _) = await attempt_all(
        visit.servers.clusters(), visit.servers.servers(), visit.agent.get("/apps")
    )
    if problem is None and not clusters:
        return see_other(visit.links.page())
    cards = cards_of(visit, found, apps)
    return visit.page(
        "_servers_table.html" if visit.fragment else "servers.html",
        here="deck",
        servers=cards,
        servers_problem=problem,
        poll=poll_of(cards),
    )


@router.get("/servers/card")
async def card(visit: Visiting) -> Response:
    """The deck's lines on servers anew."""
    (found, problem), (apps, _) = await attempt_all(visit.servers.servers(), visit.agent.get("/apps"))
    if found is None:
        return Response(status_code=204)
    cards = shown_on_deck(cards_of(visit, found, apps))
    return visit.page("_servers_card.html", servers=cards, servers_problem=problem, servers_poll=poll_of(cards))


def shown_on_deck(cards: tuple[ServerCard, ...]) -> tuple[ServerCard, ...]:
    """Return the servers that the deck itself shows: all but those that do not run."""
    return tuple(card for card in cards if card.active or card.failure is not None)


@router.get("/servers/{server}")
async def server(visit: Visiting, server: str, app: str = "", run: str = "", open: str = "") -> Response:
    """One server. With ``open`` it leads on to the app (or JupyterLab) as soon as the server runs."""
    (found, problem), (apps, _) = await attempt_all(visit.servers.server(server), visit.agent.get("/apps"))
    if found is None:
        if problem is not None and problem.code == "server-not-found":
            raise Problem("server-not-found", server=server[:40])
        raise Problem("hub-unavailable")
    if found.phase == "running" and open:
        return see_other(_target(visit, found, app, run))
    return visit.page("server.html", here="deck", **_values(visit, found, apps, app, run, open))


@router.get("/servers/{server}/live")
async def live(
    visit: Visiting,
    server: str,
    app: str = "",
    run: str = "",
    open: str = "",
    was: str = "",
) -> Response:
    """The live part anew. When the server is ready or over, and so not what it ``was``, htmx loads what comes next."""
    (found, problem), (apps, _) = await attempt_all(visit.servers.server(server), visit.agent.get("/apps"))
    if found is None:
        # The hub may be starting anew: keep what the page shows and ask again later.
        return Response(status_code=404 if problem and problem.code == "server-not-found" else 204)
    answer = visit.page("_server_live.html", **_values(visit, found, apps, app, run, open))
    if visit.fragment and found.phase == "running" and open:
        answer.headers["HX-Redirect"] = _target(visit, found, app, run)
    elif visit.fragment and was and was != _stage(found):
        answer.headers["HX-Refresh"] = "true"
    return answer


def _values(visit: Visit, found: ServerView, apps: Any, app: str, run: str, open_: str) -> dict[str, Any]:
    card = server_card(found, visit.links, now(), app_titles(apps))
    kept = {"app": app or str(found.options.get("app") or ""), "run": run, "open": open_}
    anew = {"app": kept["app"], "run": run, "name": hub_name(found.name), "replaces": "1" if found.active else ""}
    return {
        "server": card,
        "kept": kept,
        "live_url": visit.links.page("servers", found.name, "live", **kept, was=_stage(found)),
        "open_url": _target(visit, found, app, run),
        "change_url": visit.links.with_query(
            visit.links.page("servers", "new"), anew | query_of(found.options | remedied(found))
        ),
        "remedy": remedy_words(remedied(found)),
        "poll": poll_of((card,)),
    }


def _stage(server: ServerView) -> str:
    """Return what kind of page the server has: each follows its server in another way."""
    return "starting" if server.phase in STARTING else "over" if not server.active else server.phase


def _target(visit: Visit, server: ServerView, app: str, run: str) -> str:
    app = app or str(server.options.get("app") or "")
    name = hub_name(server.name)
    return visit.links.app_page(app, run or None, name) if app else visit.links.lab_of(name)


@router.post("/servers/{server}/stop")
async def stop(visit: Visiting, server: str, remove: str = Form("")) -> Response:
    """Stop a server, or take its job out of the queue; with ``remove`` off the list too."""
    visit.need("server")
    await visit.servers.stop(server, remove=bool(remove))
    return see_other(visit.links.page("servers"))


@router.post("/servers/{server}/continue")
async def continue_(visit: Visiting, server: str, app: str = Form(""), run: str = Form("")) -> Response:
    """Start the same in a new job, and follow that."""
    visit.need("server")
    started = await visit.servers.continue_(server, {})
    return see_other(visit.links.page("servers", started.name, app=app[:200], run=run[:100], open="1"))


async def where_to_open(
    visit: Visit, app: str, run: str, address: str = ""
) -> tuple[str | None, ServerView | None, ServerView | None]:
    """Return where an app opens on a site with clusters; ``address`` names its version (``app@version``).

    An address to go to at once; or a server that runs already and was asked for less than the app wants; and the app's
    own server when that has failed.
    """
    servers = (await attempt(visit.servers.servers()))[0] or []
    own = [one for one in servers if one.options.get("app") == app]
    default = [one for one in servers if one.name == DEFAULT and one not in own]
    for one in (*own, *default):
        if one.phase == "running" and (one in own or await _large_enough(visit, one, app)):
            return visit.links.app_page(address or app, run or None, hub_name(one.name)), None, None
    for one in (*own, *default):
        if one.active and one.phase != "running" and (one in own or await _large_enough(visit, one, app)):
            return visit.links.page("servers", one.name, app=address or app, run=run, open="1"), None, None
    beside = next((one for one in default if one.phase == "running"), None)
    return None, beside, next((one for one in own if one.failure is not None), None)


async def _large_enough(visit: Visit, server: ServerView, app: str) -> bool:
    """Return whether a server has what the app's manifest asks for; where either is not known, it has."""
    begun = (await attempt(visit.servers.beginning(app, [])))[0]
    wanted = begun.options if begun is not None else {}
    for name in ("cores", "memory_mb"):
        has, wants = server.options.get(name), wanted.get(name)
        if isinstance(has, int) and isinstance(wants, int) and has < wants:
            return False
    return True
