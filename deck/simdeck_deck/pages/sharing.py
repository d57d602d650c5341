"""Sharing: a run's link for others, the list of what one shares, and what others share, read-only.

A link's key stands behind its ``#`` and so never reaches the server by itself. ``/shared/<ticket>`` is open to
everybody and shows nothing: its script keeps the key in the browser's tab, so that it outlives the sign-in, and goes on
to ``/shared/<ticket>/run``, which sends it in a form. Without a script the person pastes the link there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from pydantic import ValidationError
from simdeck_agent.shares import ShareRequest
from simdeck_common.problems import Problem

from simdeck_deck.pages import frame
from simdeck_deck.pages.frame import now, see_other
from simdeck_deck.pages.sources import agent_path, attempt, attempt_all
from simdeck_deck.pages.views.problems import ProblemView, problem_view
from simdeck_deck.pages.views.runs import file_rows, run_view, value_rows
from simdeck_deck.pages.views.sharing import EXPIRIES, received_rows, share_rows
from simdeck_deck.pages.views.text import date
from simdeck_deck.pages.visit import Visit, Visiting
from simdeck_deck.sharing import Sharing, split_link
from simdeck_deck.sharing_routes import sharing_of

router = APIRouter()
Part = Annotated[Sharing, Depends(sharing_of)]


async def _share_page(
    visit: Visit, sharing: Sharing, run: str, problem: ProblemView | None = None, **given: str
) -> Response:
    (found, run_problem), (mine, shares_problem) = await attempt_all(
        visit.agent.get(agent_path("runs", run)), sharing.mine(visit.user)
    )
    if found is None:
        raise Problem("run-not-found", run=run) if run_problem is None else _again(run_problem)
    return visit.page(
        "share.html",
        here="runs",
        status=422 if problem else 200,
        run=run_view(found, visit.links, now()),
        shares=share_rows([share for share in mine or () if share.run == run], visit.links, now()),
        shares_problem=shares_problem,
        problem=problem,
        expiries=EXPIRIES,
        given={"people": "", "groups": "", "days": "30"} | given,
        my_groups=visit.user.groups,
    )


def names(text: str) -> list[str]:
    """Return the names in a field, separated by commas or spaces."""
    return text.replace(",", " ").split()


def _again(view: ProblemView) -> Problem:
    return Problem(view.code, detail=view.detail)


@router.get("/runs/{run}/share")
async def share(visit: Visiting, sharing: Part, run: str) -> Response:
    """Ask with whom a run shall be shared; list its shares."""
    return await _share_page(visit, sharing, run)


@router.post("/runs/{run}/share")
async def make_share(
    visit: Visiting,
    sharing: Part,
    run: str,
    people: str = Form("", max_length=6000),
    groups: str = Form("", max_length=3000),
    days: str = Form("30", max_length=5),
) -> Response:
    """Share a run; what is wrong is said above the form."""
    visit.need("runs")
    try:
        wanted = ShareRequest.model_validate(
            {"run": run, "people": names(people), "groups": names(groups), "days": days}, strict=False
        )
    except ValidationError:
        detail = "Give the names of people or groups as the hub has them, at least one, separated by commas."
        problem = Problem("invalid-input", field="people", detail=detail)
        return await _share_page(visit, sharing, run, problem_view(problem), people=people, groups=groups, days=days)
    made = await sharing.create(visit.user, wanted)
    return see_other(visit.links.page("runs", run, "share") + f"#share-{made.id}")


@router.get("/shares")
async def shares(visit: Visiting, sharing: Part) -> Response:
    """What others share with the caller, and what the caller shares."""
    (mine, problem), (received, received_problem) = await attempt_all(
        sharing.mine(visit.user), sharing.received(visit.user)
    )
    return visit.page(
        "shares.html",
        here="runs",
        received=received_rows(received or (), visit.links, now()),
        shares=share_rows(mine or (), visit.links, now()),
        problem=problem or received_problem,
    )


@router.post("/shares/{share}/revoke")
async def revoke(visit: Visiting, sharing: Part, share: str) -> Response:
    """End a share."""
    visit.need("runs")
    await sharing.revoke(visit.user, share)
    return see_other(visit.links.page("shares"))


@router.get("/shared/{ticket}")
async def enter(request: Request, ticket: str) -> Response:
    """Where a link leads first, signed in or not: it shows nothing and keeps the link's key."""
    return frame.page(request, "shared_enter.html", here="runs", ticket=ticket)


@router.get("/shared/{ticket}/run")
async def shared_run(visit: Visiting, sharing: Part, ticket: str, alone: bool = False) -> Response:
    """A run that somebody shares with the caller; before it is opened for the first time, the form with the key.

    Where an app is shared with it, that one's page comes first; ``alone`` asks for the run.
    """
    known, problem = await attempt(sharing.received(visit.user))
    if known is None:
        return visit.page("problem.html", here="runs", status=503, problem=problem, back=visit.links.page("shares"))
    received = next((item for item in known if item.ticket == ticket), None)
    if received is None:
        return visit.page("shared_claim.html", here="runs", ticket=ticket)
    if received.app is not None and not alone:
        return see_other(visit.links.page("shared", ticket, "app"))
    run = await sharing.read(visit.user, ticket, "run")
    (inputs, _), (outputs, _), (files, _), (described, _) = await attempt_all(
        sharing.read(visit.user, ticket, "inputs"),
        sharing.read(visit.user, ticket, "outputs"),
        sharing.read(visit.user, ticket, "files"),
        # Titles and units of the values are in the app's own words, where the caller has it.
        visit.agent.get(agent_path("workflows", str(run.get("workflow")))),
    )
    words: Mapping[str, Any] = described if isinstance(described, Mapping) else {}
    schema = words.get("schema")
    declared = {str(item.get("name")): item for item in words.get("outputs") or () if isinstance(item, Mapping)}
    return visit.page(
        "shared.html",
        here="runs",
        ticket=ticket,
        with_app=received.app,
        owner=str(run.get("owner", "")),
        expires=date(run.get("expires")),
        run=run_view(run, visit.links, now()),
        inputs=value_rows(inputs, schema.get("properties") if isinstance(schema, Mapping) else None),
        outputs=value_rows(outputs, declared),
        files=file_rows((files or {}).get("items"), ticket, visit.links, "shared"),
    )


@router.post("/shared/{ticket}/run")
async def claim(visit: Visiting, sharing: Part, ticket: str, key: str = Form("", max_length=2000)) -> Response:
    """Open a share with its key, or with the whole link."""
    visit.need("runs")
    given, behind = split_link(key)
    await sharing.claim(visit.user, ticket, behind or given)
    return see_other(visit.links.page("shared", ticket, "run"))


@router.post("/shared/{ticket}/forget")
async def forget(visit: Visiting, sharing: Part, ticket: str) -> Response:
    """Take a share off the caller's list."""
    visit.need("runs")
    await sharing.forget(visit.user, ticket)
    return see_other(visit.links.page("shares"))
