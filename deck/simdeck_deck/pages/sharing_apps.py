"""Sharing an app by link: the form for it, and the page of whoever opens the link.

Nothing is prepared by following a link: the page says who shares which version, and asks. Its button has the version
made ready, then leads into it; it never becomes one of the person's apps by that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Response
from pydantic import ValidationError
from simdeck_agent.shares import ShareRequest
from simdeck_common.problems import Problem

from simdeck_deck.pages.frame import now, see_other
from simdeck_deck.pages.sharing import names
from simdeck_deck.pages.sources import attempt, attempt_all
from simdeck_deck.pages.store import find_app
from simdeck_deck.pages.views.apps import installed_card
from simdeck_deck.pages.views.problems import ProblemView, problem_view
from simdeck_deck.pages.views.sharing import EXPIRIES, share_rows
from simdeck_deck.pages.views.tasks import task_view
from simdeck_deck.pages.views.text import date, text_of
from simdeck_deck.pages.visit import Visit, Visiting
from simdeck_deck.sharing import SharedApp, Sharing
from simdeck_deck.sharing_routes import sharing_of

router = APIRouter()
Part = Annotated[Sharing, Depends(sharing_of)]

RECENT = 20


async def _form(visit: Visit, sharing: Sharing, app: str, problem: ProblemView | None = None, **given: str) -> Response:
    (apps, apps_problem), (runs, _), (shares, shares_problem) = await attempt_all(
        visit.agent.get("/apps"), visit.agent.get("/runs", limit=RECENT, app=app), sharing.mine(visit.user)
    )
    mine = find_app(apps, app)
    if mine is None:
        raise Problem("app-not-installed", app=app) if apps_problem is None else Problem(apps_problem.code)
    entry = mine.get("entry")
    pages = (entry.get("pages") or ()) if isinstance(entry, Mapping) and entry.get("kind") == "notebook" else ()
    items = runs.get("items", ()) if isinstance(runs, Mapping) else ()
    filled = {"people": "", "groups": "", "days": "30", "version": text_of(mine, "current"), "run": "", "page": ""}
    return visit.page(
        "share_app.html",
        here="store",
        status=422 if problem else 200,
        card=installed_card(mine, None, visit.links),
        versions=[str(version) for version in mine.get("versions") or ()],
        pages=[(_page_name(page), text_of(page, "title")) for page in pages if isinstance(page, Mapping)],
        runs=[(text_of(run, "id"), text_of(run, "title")) for run in items if isinstance(run, Mapping)],
        shares=share_rows([share for share in shares or () if share.app == app], visit.links, now()),
        shares_problem=shares_problem,
        problem=problem,
        expiries=EXPIRIES,
        given=filled | given,
        my_groups=visit.user.groups,
    )


def _page_name(page: Mapping[str, Any]) -> str:
    """Return a page's name in addresses: its notebook's, without the folders and the suffix."""
    return text_of(page, "path").rpartition("/")[2].removesuffix(".ipynb")


@router.get("/store/{app}/share")
async def share_app(visit: Visiting, sharing: Part, app: str, run: str = Query("", max_length=100)) -> Response:
    """Ask with whom an app shall be shared; list its shares."""
    return await _form(visit, sharing, app, run=run)


@router.post("/store/{app}/share")
async def make_share(
    visit: Visiting,
    sharing: Part,
    app: str,
    people: str = Form("", max_length=6000),
    groups: str = Form("", max_length=3000),
    days: str = Form("30", max_length=5),
    version: str = Form("", max_length=100),
    page: str = Form("", max_length=200),
    run: str = Form("", max_length=100),
) -> Response:
    """Share an app; what is wrong is said above the form."""
    visit.need("runs")
    given = {"people": people, "groups": groups, "days": days, "version": version, "page": page, "run": run}
    asked: dict[str, Any] = {"app": app, "days": days, "page": page}
    asked |= {"people": names(people), "groups": names(groups)}
    asked |= {name: given[name] for name in ("version", "run") if given[name]}
    try:
        wanted = ShareRequest.model_validate(asked, strict=False)
    except ValidationError:
        detail = "Give the names of people or groups as the hub has them, at least one, separated by commas."
        problem = Problem("invalid-input", field="people", detail=detail)
        return await _form(visit, sharing, app, problem_view(problem), **given)
    made = await sharing.create(visit.user, wanted)
    return see_other(visit.links.page("store", app, "share") + f"#share-{made.id}")


# --- whoever opens the link -----------------------------------------------------------------------------------------


def into(visit: Visit, app: SharedApp, ticket: str) -> str:
    """Return the address of the shared version, with the page and the parameters that its owner chose."""
    query: dict[str, Any] = dict(app.parameters) | {"version": app.version, "page": app.page}
    query |= {"run": ticket} if app.run else {}
    kept = {name: value for name, value in query.items() if value}
    return visit.links.with_query(visit.links.page("open", str(app.app)), kept)


async def _page(visit: Visit, ticket: str, app: SharedApp, problem: ProblemView | None = None) -> Response:
    (index, _), (apps, _) = await attempt_all(visit.store.index(), visit.agent.get("/apps"))
    entry = find_app({"items": (index or {}).get("apps") or []}, str(app.app))
    mine = find_app(apps, str(app.app))
    about = entry or mine or {}
    return visit.page(
        "shared_app.html",
        here="store",
        status=403 if problem else 200,
        ticket=ticket,
        app=app,
        title=text_of(about, "title", str(app.app)),
        summary=text_of(about, "summary"),
        expires=date(app.expires),
        mine=text_of(mine or {}, "current"),
        offered=entry is not None and app.version in (entry.get("versions") or ()),
        task=task_view(app.task.model_dump()) if app.task is not None else None,
        problem=problem,
    )


@router.get("/shared/{ticket}/app")
async def shared_app(visit: Visiting, sharing: Part, ticket: str) -> Response:
    """Show which app somebody shares with the caller, and ask whether to open it."""
    known, _ = await attempt(sharing.received(visit.user))
    if known is not None and not any(item.ticket == ticket for item in known):
        return visit.page("shared_claim.html", here="store", ticket=ticket)
    return await _page(visit, ticket, await sharing.app(visit.user, ticket))


@router.post("/shared/{ticket}/app")
async def open_shared_app(visit: Visiting, sharing: Part, ticket: str) -> Response:
    """Lead into the shared version; where it is not here yet, begin to make it ready and show that."""
    visit.need("apps:install")
    try:
        app = await sharing.prepare(visit.user, ticket)
    except Problem as refusal:
        if refusal.status != 403:
            raise
        return await _page(visit, ticket, await sharing.app(visit.user, ticket), problem_view(refusal))
    if app.state in ("own", "ready"):
        return see_other(into(visit, app, ticket))
    return see_other(visit.links.page("shared", ticket, "app"))


@router.get("/shared/{ticket}/app/state")
async def shared_app_state(visit: Visiting, sharing: Part, ticket: str) -> Response:
    """The steps anew. When the version is ready the page goes into it; when that failed, it is shown anew."""
    app = await sharing.app(visit.user, ticket)
    view = task_view(app.task.model_dump()) if app.task is not None else None
    if app.state == "preparing" and view is not None:
        return visit.page("_task_live.html", task=view)
    ready = app.state in ("own", "ready")
    target = into(visit, app, ticket) if ready else visit.links.page("shared", ticket, "app")
    return Response(status_code=200, headers={"HX-Redirect": target})
