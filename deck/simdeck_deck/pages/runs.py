"""Runs: the list with its filters, a run's page with its live part, and what can be done with a run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Form, Response
from simdeck_common.problems import Problem

from simdeck_deck.pages.frame import now, plain_text, see_other
from simdeck_deck.pages.home import poll_trigger, run_views
from simdeck_deck.pages.sources import agent_path, attempt, attempt_all
from simdeck_deck.pages.views.events import progress_curve, step_rows
from simdeck_deck.pages.views.problems import waiting_view
from simdeck_deck.pages.views.run_notes import cure_views, reuse_view, reused_from
from simdeck_deck.pages.views.runs import file_rows, run_filters, run_matches, run_view, value_rows
from simdeck_deck.pages.views.states import run_state
from simdeck_deck.pages.views.sweeps import sweep_view
from simdeck_deck.pages.visit import Visit, Visiting

router = APIRouter()

PAGE_SIZE = 25
# The agent has no text search: so many runs are looked through, in portions, for one page of matches.
SCAN_PORTION = 200
SCAN_PORTIONS = 5
# So many of the runs whose results a run took are named on its page.
MOST_SOURCES = 5


async def _list(visit: Visit, text: str, cursor: str, **filters: str | None) -> dict[str, Any]:
    """Return ``{items, next_cursor}`` of the runs whose title, id or workflow holds ``text``."""
    if not text:
        answer: dict[str, Any] = await visit.agent.get("/runs", limit=PAGE_SIZE, cursor=cursor or None, **filters)
        return answer
    found: list[Any] = []
    at: str | None = cursor or None
    for _ in range(SCAN_PORTIONS):
        portion = await visit.agent.get("/runs", limit=SCAN_PORTION, cursor=at, **filters)
        found += [run for run in portion.get("items", ()) if run_matches(run, text)]
        at = portion.get("next_cursor")
        if at is None or len(found) >= PAGE_SIZE:
            break
    return {"items": found, "next_cursor": at}


@router.get("/runs")
async def runs(
    visit: Visiting,
    q: str = "",
    state: str = "",
    workflow: str = "",
    cursor: str = "",
    deleted: str = "",
) -> Response:
    """The runs, newest first; htmx gets the table alone."""
    text = " ".join(q.split())[:200]
    (answer, problem), (workflows, _), (status, _) = await attempt_all(
        _list(visit, text, cursor, state=state or None, workflow=workflow or None),
        visit.agent.get("/workflows"),
        visit.agent.get("/status"),
    )
    rows = run_views(answer, visit.links)
    following = answer.get("next_cursor") if isinstance(answer, dict) else None
    kept = {"q": text, "state": state, "workflow": workflow}
    return visit.page(
        "_runs_page.html" if visit.fragment else "runs.html",
        here="runs",
        runs=rows,
        runs_problem=problem,
        waiting=waiting_view(status),
        filters=run_filters(text, state, workflow, workflows),
        first_url=visit.links.page("runs", **kept) if cursor else None,
        next_url=visit.links.page("runs", **kept, cursor=following) if following else None,
        here_url=visit.links.page("runs", **kept, cursor=cursor),
        poll=poll_trigger(rows),
        deleted=bool(deleted),
    )


@router.get("/runs/{run}")
async def run(
    visit: Visiting,
    run: str,
) -> Response:
    """A run's page."""
    found = await visit.agent.get(agent_path("runs", run))
    (inputs, _), (outputs, _), (files, _), (described, _), live = await asyncio.gather(
        attempt(visit.agent.get(agent_path("runs", run, "inputs"))),
        attempt(visit.agent.get(agent_path("runs", run, "outputs"))),
        attempt(visit.agent.get(agent_path("runs", run, "files"))),
        attempt(visit.agent.get(agent_path("workflows", str(found.get("workflow"))))),
        _live(visit, found),
    )
    (parent, _), (sweep, _) = await asyncio.gather(
        _other(visit, "runs", found.get("retry_of")), _other(visit, "sweeps", found.get("sweep"))
    )
    words = described if isinstance(described, Mapping) else {}
    schema = words.get("schema")
    declared = {str(item.get("name")): item for item in words.get("outputs") or () if isinstance(item, Mapping)}
    return visit.page(
        "run.html",
        here="runs",
        inputs=value_rows(inputs, schema.get("properties") if isinstance(schema, Mapping) else None),
        outputs=value_rows(outputs, declared),
        files=file_rows((files or {}).get("items"), run, visit.links),
        parent=run_view(parent, visit.links, now()) if parent else None,
        sweep=sweep_view(sweep, visit.links, now()) if sweep else None,
        **live | {"cures": cure_views(found, schema, inputs, visit.links)},
    )


@router.get("/runs/{run}/live")
async def live(
    visit: Visiting,
    run: str,
) -> Response:
    """The live part anew. When the run has ended htmx loads the whole page: outputs and files are there."""
    found, problem = await attempt(visit.agent.get(agent_path("runs", run)))
    if found is None:
        # The agent may be starting anew: keep what the page shows and ask again later.
        return Response(status_code=404 if problem and problem.code == "run-not-found" else 204)
    answer = visit.page("_run_live.html", **await _live(visit, found))
    if visit.fragment and not run_state(found).active:
        answer.headers["HX-Refresh"] = "true"
    return answer


async def _other(visit: Visit, kind: str, number: Any) -> tuple[Any, Any]:
    """Return another run or a sweep that a run names; nothing where there is none (any more)."""
    if not isinstance(number, str) or number in ("", ".", ".."):
        return None, None
    return await attempt(visit.agent.get(agent_path(kind, number)))


async def _live(visit: Visit, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``_run_live.html`` shows."""
    (events, _), (status, _) = await attempt_all(
        visit.agent.history(agent_path("runs", str(found.get("id")), "events")), visit.agent.get("/status")
    )
    curve, words = progress_curve(events or [])
    names = reused_from(events or [])[:MOST_SOURCES]
    sources = await asyncio.gather(*(_other(visit, "runs", name) for name in names))
    known = {name: source for name, (source, _) in zip(names, sources, strict=True)}
    return {
        "run": run_view(found, visit.links, now()),
        "waiting": waiting_view(status) if run_state(found).active else None,
        "cures": cure_views(found, None, None, visit.links),
        "reuse": reuse_view(found, events or [], known, visit.links),
        "curve": curve,
        "curve_words": words,
        "steps": step_rows(events or [], run_state(found).active),
    }


@router.get("/runs/{run}/log")
async def log(
    visit: Visiting,
    run: str,
) -> Response:
    """The run's log."""
    return plain_text(visit.request, await visit.agent.text(agent_path("runs", run, "log")) or "The log is empty.")


@router.post("/runs/{run}/rename")
async def rename(
    visit: Visiting,
    run: str,
    title: str = Form("", max_length=1000),
) -> Response:
    """Give a run another title."""
    visit.need("runs")
    words = " ".join(title.split())
    if not words or len(words) > 200:
        raise Problem("invalid-input", field="title", detail="A title has between 1 and 200 characters.")
    await visit.agent.send("PATCH", agent_path("runs", run), {"title": words})
    return see_other(visit.links.page("runs", run))


@router.post("/runs/{run}/{action}")
async def act(
    visit: Visiting,
    run: str,
    action: str,
) -> Response:
    """Cancel, pause, resume or retry a run; a retry leads to the new run's page."""
    if action not in ("cancel", "pause", "resume", "retry"):
        raise Problem("not-found")
    visit.need("runs")
    answer = await visit.agent.send("POST", agent_path("runs", run, action))
    shown = str(answer.get("id", run)) if action == "retry" and isinstance(answer, Mapping) else run
    return see_other(visit.links.page("runs", shown))
