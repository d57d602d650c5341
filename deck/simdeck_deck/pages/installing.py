"""Changing what is installed: install, update, roll back, pin, remove; each with its live steps and its log."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Response
from simdeck_common.problems import Problem

from simdeck_deck.pages.frame import plain_text, see_other
from simdeck_deck.pages.sources import agent_path, attempt
from simdeck_deck.pages.store import find_app
from simdeck_deck.pages.views.apps import installed_card
from simdeck_deck.pages.views.tasks import task_view
from simdeck_deck.pages.visit import Visit, Visiting

router = APIRouter()

LOG_LINES = 2000


@router.post("/store/{app}/install")
async def install(
    visit: Visiting,
    app: str,
    version: str = Form("", max_length=100),
    beside: str = Form(""),
    run: str = Form("", max_length=100),
) -> Response:
    """Begin to install or update; go back to the app's page, which follows it. ``beside``: the one in use stays so.

    ``run`` is the result that waits for this version: the page leads to it in the end.
    """
    visit.need("apps:install")
    body: dict[str, Any] = {"version": version} if version else {}
    if beside:
        body["beside"] = True
    return _follow(visit, app, await visit.agent.send("POST", agent_path("apps", app, "install"), body), run)


@router.post("/store/{app}/rollback")
async def rollback(
    visit: Visiting,
    app: str,
) -> Response:
    """Go back to the version before."""
    visit.need("apps:install")
    return _follow(visit, app, await visit.agent.send("POST", agent_path("apps", app, "rollback")))


@router.post("/store/{app}/pin")
async def pin(visit: Visiting, app: str, version: str = Form("", max_length=100)) -> Response:
    """Keep the app at a version: no updates are offered. Without a version it follows the store again."""
    visit.need("apps:install")
    if version:
        await visit.agent.send("PUT", agent_path("apps", app, "pin"), {"version": version})
    else:
        await visit.agent.send("DELETE", agent_path("apps", app, "pin"))
    return see_other(visit.links.page("store", app))


@router.get("/store/{app}/remove")
async def ask_to_remove(visit: Visiting, app: str, version: str = "") -> Response:
    """Ask before removing the app, or one version of it: a page of its own, so that it needs no script."""
    mine = find_app(await visit.agent.get("/apps"), app)
    if mine is None:
        raise Problem("not-found", detail=f"The app {app} is not installed.")
    versions = [str(one) for one in mine.get("versions") or ()]
    if version and version not in versions:
        raise Problem("version-not-found", field="version", app=app, version=version)
    only = version if len(versions) > 1 else ""
    return visit.page(
        "remove.html",
        here="store",
        card=installed_card(mine, None, visit.links),
        versions=versions,
        only=only,
        current=only == mine.get("current"),
    )


@router.post("/store/{app}/remove")
async def remove(visit: Visiting, app: str, version: str = Form("", max_length=100)) -> Response:
    """Remove the app with all its versions, or one of them."""
    visit.need("apps:install")
    query = f"?version={quote(version, safe='')}" if version else ""
    return _follow(visit, app, await visit.agent.send("DELETE", agent_path("apps", app) + query))


@router.get("/store/{app}/tasks/{task}")
async def task(
    visit: Visiting,
    app: str,
    task: str,
    run: str = "",
) -> Response:
    """A task's steps anew. When it is over the whole page is, so htmx loads it."""
    found, problem = await attempt(visit.agent.get(agent_path("tasks", task)))
    if found is None:
        # The agent may be starting anew: keep what the page shows and ask again later.
        return Response(status_code=204 if problem and problem.code != "task-not-found" else 404)
    view = task_view(found)
    answer = visit.page("_task_live.html", task=view)
    if not view.state.active and visit.fragment:
        answer.headers["HX-Redirect"] = visit.links.page("store", app, task=task, run=run)
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


def _follow(visit: Visit, app: str, answer: Any, run: str = "") -> Response:
    task = answer.get("id") if isinstance(answer, dict) else None
    return see_other(visit.links.page("store", app, task=task, run=run))
