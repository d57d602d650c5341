"""Two runs beside each other: what differs between them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from simdeck_deck.pages.frame import now, see_other
from simdeck_deck.pages.home import run_views
from simdeck_deck.pages.sources import agent_path, attempt, attempt_all
from simdeck_deck.pages.views.diff import diff_view
from simdeck_deck.pages.views.runs import run_view
from simdeck_deck.pages.views.text import text_of
from simdeck_deck.pages.visit import Visit, Visiting

router = APIRouter()

OFFERED = 50


@router.get("/compare")
async def compare(visit: Visiting, run: Annotated[list[str] | None, Query()] = None, order: str = "") -> Response:
    """Compare the two runs of the address; with one of them, or none, ask for the other.

    ``order=age`` puts the older one on the left.
    """
    chosen = list(dict.fromkeys(one for one in run or () if one.strip()))[:10]
    if len(chosen) != 2:
        return await _choose(visit, chosen)
    left, right = chosen
    found = await visit.agent.get(agent_path("runs", left, "diff"), **{"with": right})
    swapped = visit.links.page("compare", run=[right, left])
    if order == "age" and text_of(found["left"], "created") > text_of(found["right"], "created"):
        return see_other(swapped)
    (workflow, _), (other, _) = await attempt_all(
        visit.agent.get(agent_path("workflows", text_of(found["left"], "workflow", "-"))),
        visit.agent.get(agent_path("workflows", text_of(found["right"], "workflow", "-"))),
    )
    return visit.page(
        "compare.html",
        here="runs",
        left=run_view(found["left"], visit.links, now()),
        right=run_view(found["right"], visit.links, now()),
        diff=diff_view(found, [one for one in (workflow, other) if one]),
        swap_url=swapped,
    )


async def _choose(visit: Visit, chosen: list[str]) -> Response:
    """Ask which runs: those of the same workflow when one is chosen, else the newest."""
    first: dict[str, Any] | None = None
    if len(chosen) == 1:
        first = await visit.agent.get(agent_path("runs", chosen[0]))
    workflow = text_of(first, "workflow") if first else None
    answer, problem = await attempt(visit.agent.get("/runs", limit=OFFERED, workflow=workflow or None))
    rows = run_views(answer, visit.links)
    return visit.page(
        "compare_choose.html",
        here="runs",
        first=run_view(first, visit.links, now()) if first else None,
        too_many=len(chosen) > 2,
        runs=tuple(row for row in rows if first is None or row.id != first["id"]),
        problem=problem,
    )
