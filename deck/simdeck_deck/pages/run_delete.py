"""Deleting a run: what would go and what stays, then the deletion itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from simdeck_common.problems import Problem

from simdeck_deck.pages.frame import now, see_other
from simdeck_deck.pages.sources import agent_path, attempt, attempt_all
from simdeck_deck.pages.views.deletion import deletion_view
from simdeck_deck.pages.views.problems import ProblemView, problem_view
from simdeck_deck.pages.views.runs import run_view
from simdeck_deck.pages.visit import Visit, Visiting
from simdeck_deck.sharing import Sharing
from simdeck_deck.sharing_routes import sharing_of

router = APIRouter()
Part = Annotated[Sharing, Depends(sharing_of)]


async def _page(visit: Visit, sharing: Sharing, run: str, refused: ProblemView | None = None) -> Response:
    found = await visit.agent.get(agent_path("runs", run))
    (preview, problem), (mine, _) = await attempt_all(
        visit.agent.get(agent_path("runs", run, "deletion")), sharing.mine(visit.user)
    )
    known = await _named(visit, preview) if preview else {}
    return visit.page(
        "delete.html",
        here="runs",
        status=409 if refused else 200,
        run=run_view(found, visit.links, now()),
        deletion=deletion_view(preview, known, visit.links) if preview and not refused else None,
        problem=refused or problem,
        others=_short_ids(refused or problem),
        shares=sum(share.run == run and not share.ended for share in mine or ()),
    )


def _short_ids(problem: ProblemView | None) -> list[str]:
    """Return the beginnings of runs' ids that a refusal names."""
    return re.findall(r"\b[0-9a-f]{8}\b", problem.detail) if problem and problem.code == "run-in-use" else []


async def _named(visit: Visit, preview: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the other runs that the preview names, as far as they are runs of this person's."""
    names = {name for one in preview.get("kept") or () for name in one.get("runs") or ()}
    wanted = sorted(names)[:20]
    found = await asyncio.gather(*(attempt(visit.agent.get(agent_path("runs", name))) for name in wanted))
    return {name: run for name, (run, _) in zip(wanted, found, strict=True) if run is not None}


@router.get("/runs/{run}/delete")
async def ask(visit: Visiting, sharing: Part, run: str) -> Response:
    """Show what deleting a run takes away, and ask."""
    return await _page(visit, sharing, run)


@router.post("/runs/{run}/delete")
async def delete(visit: Visiting, sharing: Part, run: str) -> Response:
    """Delete a run for good."""
    visit.need("runs")
    try:
        await visit.agent.send("DELETE", agent_path("runs", run))
    except Problem as problem:
        if problem.status != 409:
            raise
        return await _page(visit, sharing, run, problem_view(problem))
    return see_other(visit.links.page("runs", deleted="1"))
