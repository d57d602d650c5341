"""Opening an app: straight into the running server, or by way of a page that starts it and follows the start.

A result opens in the version of the app that made it. Where that version is not installed, the page says so and offers
to install it beside the one in use, or to open the result in that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import APIRouter, Response
from simdeck_common.problems import Problem

from simdeck_deck.pages import deep_links
from simdeck_deck.pages.frame import now, see_other
from simdeck_deck.pages.resources import form_page
from simdeck_deck.pages.servers import where_to_open
from simdeck_deck.pages.sources import agent_path, attempt, attempt_all
from simdeck_deck.pages.store import find_app
from simdeck_deck.pages.views.amounts import size_words
from simdeck_deck.pages.views.apps import form_url, installed_card
from simdeck_deck.pages.views.options import PREFIX, query_of
from simdeck_deck.pages.views.problems import ProblemView
from simdeck_deck.pages.views.server import server_view
from simdeck_deck.pages.views.servers import remedied
from simdeck_deck.pages.views.text import text_of
from simdeck_deck.pages.visit import Visit, Visiting
from simdeck_deck.servers import DEFAULT, ClusterView, hub_name

router = APIRouter()

# What of an address is for the deck; the rest of its query is for the app's page.
OURS = frozenset({"run", "version", "page", "continue", "server"})

# ``?version=`` of an address that asks for the version in use, whichever made the result.
IN_USE = "current"


async def _open_as_job(visit: Visit, clusters: list[ClusterView], app: str, address: str, run: str) -> Response:
    url, beside, over = await where_to_open(visit, app, run, address)
    given = dict(visit.request.query_params)
    asked = any(key.startswith(PREFIX) for key in given)
    if url is not None and not asked:
        return see_other(_deep(visit, url) if visit.links.is_app_page(url) else url)
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
        given | {"app": address},
        note=note,
        beside=(
            (visit.links.app_page(address, run or None, hub_name(beside.name)), size_words(beside.options))
            if beside is not None
            else None
        ),
    )


def _deep(visit: Visit, url: str) -> str:
    """Return the address of an app's page with what this request asks of it: ``page`` of its pages, further query."""
    given = visit.request.query_params
    more = [(key, value) for key, value in given.multi_items() if key not in OURS and not key.startswith(PREFIX)]
    # A page of the app, never an address of somebody else's choice.
    parts = [part for part in given.get("page", "").split("/") if part not in ("", ".", "..")]
    base, mark, query = url.partition("?")
    if mark:
        more = [*parse_qsl(query), *more]
    return base + "/".join(quote(part, safe="") for part in parts) + (f"?{urlencode(more)}" if more else "")


async def _wanted_version(visit: Visit, run: str, version: str) -> str:
    """Return the version that an address asks for, or that made its result; empty: the one in use."""
    if version or not run:
        return "" if version == IN_USE else version[:100]
    found, _ = await attempt(visit.agent.get(agent_path("runs", run)))
    return text_of(found, "app_version") if isinstance(found, Mapping) else ""


async def _version_missing(visit: Visit, app: str, mine: Mapping[str, Any], wanted: str, run: str) -> Response:
    """Say which version is missing, and what can be done."""
    entry, _ = await attempt(visit.store.app(app))
    releases = (entry or {}).get("releases") or ()
    return visit.page(
        "version_missing.html",
        here="runs" if run else "store",
        card=installed_card(mine, None, visit.links),
        wanted=wanted,
        run=run,
        on_disk=wanted in (mine.get("versions") or ()),
        offered=any(text_of(release, "version") == wanted for release in releases if isinstance(release, Mapping)),
        instead=visit.links.page("open", app, run=run, version=IN_USE),
    )


def _guest(guests: Any, app: str, version: str | None) -> Mapping[str, Any] | None:
    """Return a version that is here because somebody shares it."""
    items = guests.get("items", ()) if isinstance(guests, Mapping) else ()
    found = (one for one in items if isinstance(one, Mapping))
    return next((one for one in found if (one.get("app"), one.get("version")) == (app, version)), None)


def _ask_to_install(visit: Visit, app: str, entry: Mapping[str, Any], version: str) -> Response:
    """Lead to the app's page in the store, which asks, and keep what the link asked for until the app is there."""
    named = "" if version == IN_USE else version[:100]
    asked = deep_links.waiting(visit.request.query_params.multi_items(), deep_links.declared_by(entry, named))
    answer = see_other(visit.links.page("store", app, version=named))
    if asked.asked or asked.left_out:
        deep_links.keep(visit.request, answer, visit.links.page("store", app), asked)
    return answer


@router.get("/open/{app}")
async def open_app(
    visit: Visiting,
    app: str,
    run: str = "",
    version: str = "",
) -> Response:
    """Lead to the app's page in one of the user's servers. A GET starts nothing; the page does, by POST.

    Where servers are batch jobs and none fits, the form asks what the new one shall have.
    """
    (clusters, _), (state, problem), (apps, _), (wanted, _), (guests, _) = await attempt_all(
        visit.servers.clusters(),
        visit.server.state(),
        visit.agent.get("/apps"),
        _wanted_version(visit, run, version),
        visit.agent.get("/guests"),
    )
    if clusters is None and state is not None:
        # Whether servers are jobs is not known: nothing may be started that nobody has asked for.
        raise Problem("hub-unavailable")
    mine = find_app(apps, app)
    if mine is not None and (form := form_url(mine, visit.links)) is not None:
        # Without a page: a run is shown by the deck itself, a new one begins in its form.
        return see_other(visit.links.page("runs", run) if run else form)
    if mine is None and apps is not None and _guest(guests, app, wanted) is None:
        entry, _ = await attempt(visit.store.app(app))
        if entry is not None:
            return _ask_to_install(visit, app, entry, version)
    address = app
    guest = _guest(guests, app, wanted)
    if guest is not None and (mine is None or wanted not in (mine.get("versions") or ())):
        if guest.get("kind") == "aiidalab" and mine is not None:
            return await _version_missing(visit, app, mine, wanted, "")
        # An AiiDAlab app has one address, that of the version in use: here the guest.
        address = app if guest.get("kind") == "aiidalab" and guest.get("current") else f"{app}@{wanted}"
    elif mine is not None and wanted and wanted != mine.get("current"):
        kind = mine.get("entry")
        on_disk = wanted in (mine.get("versions") or ())
        if not on_disk or (isinstance(kind, Mapping) and kind.get("kind") == "aiidalab"):
            return await _version_missing(visit, app, mine, wanted, run)
        address = f"{app}@{wanted}"
    if clusters:
        if visit.request.query_params.get("continue"):
            # From the banner of an app page whose job ends soon: the server's page has the button that starts the next.
            ending = visit.request.query_params.get("server") or DEFAULT
            return see_other(visit.links.page("servers", ending, app=address, run=run))
        return await _open_as_job(visit, clusters, app, address, run)
    server = server_view(state, visit.links, now())
    if server.state.key == "running":
        return see_other(_deep(visit, visit.links.app_page(address, run)))
    card = installed_card(mine, None, visit.links) if mine else None
    return visit.page(
        "open.html",
        here="deck",
        card=card,
        title=card.title if card else app,
        server=server,
        server_problem=problem,
        start_url=visit.links.page("server", "start"),
        target=_deep(visit, visit.links.app_page(address, run)),
        here_path=visit.links.with_query(visit.links.page("open", app), dict(visit.request.query_params)),
    )
