"""The store: the list, an app's page, and installing, updating, rolling back, removing with live steps."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Query, Response
from simdeck_common.problems import Problem

from simdeck_deck.pages.frame import plain_text, see_other
from simdeck_deck.pages.sources import agent_path, attempt, attempt_all
from simdeck_deck.pages.views.apps import app_page, category_titles, current_versions, installed_card, store_page
from simdeck_deck.pages.views.citations import citation_views
from simdeck_deck.pages.views.tasks import active_task, task_view
from simdeck_deck.pages.visit import Visit, Visiting

router = APIRouter()

LOG_LINES = 2000


@router.get("/store")
async def store(
    visit: Visiting,
    q: str = "",
    category: str = "",
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
        category=category,
        installed_only=installed,
        page=number,
    )
    return visit.page(
        "_store_results.html" if visit.fragment else "store.html",
        here="store",
        store=view,
        store_problem=store_problem,
        apps_problem=apps_problem,
        installed_url=visit.links.page(
            "store", q=view.query, category=view.category, installed=None if installed else "1"
        ),
    )


@router.get("/store/{app}")
async def app(
    visit: Visiting,
    app: str,
    task: str = "",
) -> Response:
    """An app's page. ``task`` shows that task even when it is over; else one under way, or the last when it failed."""
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
            raise Problem("not-found", detail=f"There is no app {app} in the store.")
        return visit.page(
            "problem.html",
            here="store",
            status=503,
            problem=store_problem or apps_problem,
            back=visit.links.page("store"),
        )
    view = task_view(shown) if shown else None
    return visit.page(
        "app.html",
        here="store",
        app=app_page(entry, mine, category_titles(index or {}), visit.links),
        task=view,
        busy=view is not None and view.state.active,
        store_problem=store_problem,
        apps_problem=apps_problem,
    )


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


@router.post("/store/{app}/install")
async def install(
    visit: Visiting,
    app: str,
    version: str = Form(""),
) -> Response:
    """Begin to install or update; go back to the app's page, which follows it."""
    visit.need("apps:install")
    body = {"version": version} if version else {}
    return _follow(visit, app, await visit.agent.send("POST", agent_path("apps", app, "install"), body))


@router.post("/store/{app}/rollback")
async def rollback(
    visit: Visiting,
    app: str,
) -> Response:
    """Go back to the version before."""
    visit.need("apps:install")
    return _follow(visit, app, await visit.agent.send("POST", agent_path("apps", app, "rollback")))


@router.get("/store/{app}/remove")
async def ask_to_remove(
    visit: Visiting,
    app: str,
) -> Response:
    """Ask before removing: a page of its own, so that it needs no script."""
    mine = find_app(await visit.agent.get("/apps"), app)
    if mine is None:
        raise Problem("not-found", detail=f"The app {app} is not installed.")
    return visit.page(
        "remove.html",
        here="store",
        card=installed_card(mine, None, visit.links),
        versions=mine.get("versions") or (),
    )


@router.post("/store/{app}/remove")
async def remove(
    visit: Visiting,
    app: str,
) -> Response:
    """Remove the app with all its versions."""
    visit.need("apps:install")
    return _follow(visit, app, await visit.agent.send("DELETE", agent_path("apps", app)))


@router.get("/store/{app}/tasks/{task}")
async def task(
    visit: Visiting,
    app: str,
    task: str,
) -> Response:
    """A task's steps anew. When it is over the whole page is, so htmx loads it."""
    found, problem = await attempt(visit.agent.get(agent_path("tasks", task)))
    if found is None:
        # The agent may be starting anew: keep what the page shows and ask again later.
        return Response(status_code=204 if problem and problem.code != "task-not-found" else 404)
    view = task_view(found)
    answer = visit.page("_task_live.html", task=view)
    if not view.state.active and visit.fragment:
        answer.headers["HX-Redirect"] = visit.links.page("store", app, task=task)
    return answer


@router.get("/store/{app}/tasks/{task}/log")
async def task_log(
    visit: Visiting,
    app: str,
    task: str,
) -> Response:
    """What a task has printed so far, as escaped text."""
    events = await visit.agent.history(agent_path("tasks", task, "events"))
    lines = [str(data.get("line", "")) for kind, data in events if kind == "log"]
    return plain_text(visit.request, "\n".join(lines[-LOG_LINES:]) or "Nothing yet.")


@router.post("/store/{app}/tasks/{task}/cancel")
async def cancel_task(
    visit: Visiting,
    app: str,
    task: str,
) -> Response:
    """Cancel a task; a half-made install is cleared away."""
    visit.need("apps:install")
    await visit.agent.send("DELETE", agent_path("tasks", task))
    return see_other(visit.links.page("store", app, task=task))


def _follow(visit: Visit, app: str, answer: Any) -> Response:
    task = answer.get("id") if isinstance(answer, dict) else None
    return see_other(visit.links.page("store", app, task=task))


def _items(answer: Any) -> list[dict[str, Any]]:
    items = answer.get("items", []) if isinstance(answer, dict) else []
    return [item for item in items if isinstance(item, dict)]


def find_app(apps: Any, app: str) -> dict[str, Any] | None:
    """Return the installed app with this id, from the agent's answer."""
    return next((item for item in _items(apps) if item.get("id") == app), None)
