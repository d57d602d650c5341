"""The store: the list, an app's page, what changes between two versions, citations. Links from outside lead here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from simdeck_common.problems import Problem

from simdeck_deck.pages import deep_links
from simdeck_deck.pages.frame import see_other
from simdeck_deck.pages.sources import attempt_all
from simdeck_deck.pages.views.apps import app_page, category_titles, current_versions, pinned_apps
from simdeck_deck.pages.views.citations import citation_views
from simdeck_deck.pages.views.problems import ProblemView, problem_view
from simdeck_deck.pages.views.store_list import store_page
from simdeck_deck.pages.views.tasks import active_task, task_view
from simdeck_deck.pages.views.versions import changes
from simdeck_deck.pages.visit import Visit, Visiting

router = APIRouter()


@router.get("/store")
async def store(
    visit: Visiting,
    q: str = "",
    category: str = "",
    method: str = "",
    code: str = "",
    installed: bool = False,
    number: int = Query(1, alias="page", ge=1, le=10_000),
) -> Response:
    """The store's list; htmx gets the results alone."""
    text = " ".join(q.split())[:200]
    (index, store_problem), (found, _), (apps, apps_problem) = await attempt_all(
        visit.store.index(), visit.store.search(text), visit.agent.get("/apps")
    )
    view = store_page(
        found or [],
        category_titles(index or {}),
        current_versions(apps),
        visit.links,
        query=text,
        category=category[:100],
        method=method[:100],
        code=code[:100],
        installed_only=installed,
        page=number,
        pinned=pinned_apps(apps),
    )
    return visit.page(
        "_store_results.html" if visit.fragment else "store.html",
        here="store",
        store=view,
        store_problem=store_problem,
        # The others' apps are listed all the same.
        apps_problem=refused_registry(index) or apps_problem,
        installed_url=visit.links.page("store", q=view.query, **view.chosen, installed=None if installed else "1"),
    )


@router.get("/store/{app}")
async def app(
    visit: Visiting,
    app: str,
    task: str = "",
    version: str = "",
    run: str = "",
) -> Response:
    """An app's page. ``task`` shows that task even when it is over; else one under way, or the last when it failed.

    A link from outside may name a ``version``. Nothing is installed by following it: the page asks. ``run`` is a result
    that waits for what is being installed.
    """
    (entry, store_problem), (index, _), (apps, apps_problem), (tasks, _) = await attempt_all(
        visit.store.app(app), visit.store.index(), visit.agent.get("/apps"), visit.agent.get("/tasks")
    )
    mine = find_app(apps, app)
    shown = next((item for item in _items(tasks) if item.get("id") == task), None) or active_task(tasks, app)
    if entry is None and mine is None:
        if task and shown is not None:
            # It was removed, and the store does not offer it any more.
            return see_other(visit.links.page("store"))
        if store_problem is None and apps_problem is None:
            return visit.page("no_app.html", here="store", status=404, app=app[:100], wanted=version[:100])
        return visit.page(
            "problem.html",
            here="store",
            status=503,
            problem=store_problem or apps_problem,
            back=visit.links.page("store"),
        )
    view = task_view(shown) if shown else None
    (used, _), (codes, _) = await attempt_all(visit.facts.used(app), _codes(visit, entry))
    waits = deep_links.kept(visit.request, deep_links.declared_by(entry, version))
    return visit.page(
        "app.html",
        here="store",
        link_waits=waits,
        link_url=visit.links.page("store", app, "link"),
        app=app_page(
            entry,
            mine,
            category_titles(index or {}),
            visit.links,
            used=used or 0,
            offered_codes=codes or (),
            wanted=version[:100],
        ),
        task=view,
        waiting_run=run[:100],
        busy=view is not None and view.state.active,
        store_problem=store_problem,
        apps_problem=apps_problem,
    )


@router.get("/store/{app}/link")
async def follow_link(visit: Visiting, app: str) -> Response:
    """Go where the link wanted to go that waited for the app to be installed."""
    entry = await visit.store.app(app)
    waits = deep_links.kept(visit.request, deep_links.declared_by(entry))
    answer = see_other(visit.links.page("open", app) + (f"?{waits.query}" if waits and waits.asked else ""))
    deep_links.forget(answer, visit.links.page("store", app))
    return answer


@router.get("/store/{app}/citations.bib")
async def citations(visit: Visiting, app: str) -> Response:
    """All citations of an app as one BibTeX file."""
    entry = await visit.store.app(app)
    if entry is None:
        raise Problem("not-found")
    found = citation_views(entry.get("citations"), app)
    return Response(
        "\n".join(citation.bibtex for citation in found),
        media_type="application/x-bibtex",
        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(app, safe='')}.bib"},
    )


@router.get("/store/{app}/changes")
async def changes_page(visit: Visiting, app: str, to: str, come_from: str = Query("", alias="from")) -> Response:
    """What changes from the version in use (or ``from``) to ``to``, with the button that does it."""
    (entry, store_problem), (apps, apps_problem) = await attempt_all(visit.store.app(app), visit.agent.get("/apps"))
    mine = find_app(apps, app)
    if entry is None:
        if store_problem is None:
            return visit.page("no_app.html", here="store", status=404, app=app[:100], wanted="")
        return visit.page(
            "problem.html", here="store", status=503, problem=store_problem, back=visit.links.page("store", app)
        )
    view = app_page(entry, mine, {}, visit.links)
    before = come_from or view.card.installed or ""
    found = changes(_items({"items": entry.get("releases")}), before, to)
    if found is None:
        raise Problem("version-not-found", field="to", app=app, version=to)
    row = next(row for row in view.versions if row.version == to)
    return visit.page("changes.html", here="store", app=view, changes=found, row=row, apps_problem=apps_problem)


async def _codes(visit: Visit, entry: Mapping[str, Any] | None) -> list[str]:
    """Return what this site offers of codes: the administrator's list, and the clusters' environments."""
    releases = (entry or {}).get("releases") or ()
    if not any(release.get("codes") for release in releases if isinstance(release, Mapping)):
        return []
    (listed, _), (clusters, _) = await attempt_all(visit.facts.codes(), visit.servers.clusters())
    found: list[str] = list(listed or ())
    for cluster in clusters or ():
        for environment in cluster.environments:
            found += [environment.name, environment.title]
    return found


def _items(answer: Any) -> list[dict[str, Any]]:
    items = answer.get("items", []) if isinstance(answer, dict) else []
    return [item for item in items if isinstance(item, dict)]


def refused_registry(index: Any) -> ProblemView | None:
    """Return why a registry is left out of the store's list, where one is."""
    refused = (index or {}).get("refused") or ()
    return problem_view(Problem.from_json(refused[0])) if refused else None


def find_app(apps: Any, app: str) -> dict[str, Any] | None:
    """Return the installed app with this id, from the agent's answer."""
    return next((item for item in _items(apps) if item.get("id") == app), None)
