"""Running a run again with other inputs: a form, what it changes, and the retry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response
from simdeck_common.problems import Problem

from simdeck_deck.pages.frame import now, see_other
from simdeck_deck.pages.sources import agent_path
from simdeck_deck.pages.views.problems import ProblemView, problem_view
from simdeck_deck.pages.views.run_inputs import (
    Change,
    Field,
    changes_of,
    fields_of,
    inputs_with,
    kept_of,
    read,
)
from simdeck_deck.pages.views.run_notes import cures_of
from simdeck_deck.pages.views.runs import run_view
from simdeck_deck.pages.views.states import run_state
from simdeck_deck.pages.views.text import text_of
from simdeck_deck.pages.visit import Visit, Visiting

router = APIRouter()

REFUSALS = (400, 409, 422)


@dataclass(frozen=True)
class Wish:
    """What shall be run again: the old run, its workflow, the form as filled in, and what that changes."""

    run: Mapping[str, Any]
    workflow: Mapping[str, Any]
    old: Mapping[str, Any]
    cure: str
    cure_title: str
    fields: tuple[Field, ...]
    asked: dict[str, Any]
    changes: tuple[Change, ...]
    reuse: bool

    @property
    def wrong(self) -> bool:
        """Whether something that was typed cannot be read."""
        return any(field.error for field in self.fields)


async def wish_of(visit: Visit, run: str, given: Mapping[str, str]) -> Wish:
    """Read what ``given`` (an address's or a form's values) asks for.

    Raises
    ------
    Problem
        The run, its inputs or its workflow cannot be had; ``run-not-ended``.
    """
    found, old = (
        await visit.agent.get(agent_path("runs", run)),
        await visit.agent.get(agent_path("runs", run, "inputs")),
    )
    if run_state(found).active:
        raise Problem("run-not-ended")
    workflow = await visit.agent.get(agent_path("workflows", text_of(found, "workflow", "-")))
    schema = workflow.get("schema")
    number = given.get("cure", "")
    cures = cures_of(found)
    cure = cures[int(number) - 1] if number.isdecimal() and 1 <= int(number) <= len(cures) else None
    base = {**old, **(cure["inputs"] if cure else {})}
    base = {name: value for name, value in base.items() if value is not None or (name in old and old[name] is None)}
    fields, values = read(fields_of(schema, old, base), _typed(given))
    asked = inputs_with(old, base, fields, values)
    return Wish(
        run=found,
        workflow=workflow,
        old=old,
        cure=number if cure else "",
        cure_title=text_of(cure, "title") if cure else "",
        fields=fields,
        asked=asked,
        changes=changes_of(schema, old, asked),
        reuse=given.get("reuse") == "1",
    )


def _typed(given: Mapping[str, str]) -> dict[str, str]:
    return {name.removeprefix("input-"): text for name, text in given.items() if name.startswith("input-")}


async def form_of(visit: Visit) -> dict[str, str]:
    """Return the texts of a sent form."""
    form = await visit.request.form(max_files=0, max_fields=1000)
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _page(visit: Visit, wish: Wish, problem: ProblemView | None = None) -> Response:
    names = {field.name for field in wish.fields}
    return visit.page(
        "again.html",
        here="runs",
        status=422 if problem or wish.wrong else 200,
        run=run_view(wish.run, visit.links, now()),
        wish=wish,
        plain=tuple(field for field in wish.fields if not field.advanced),
        advanced=tuple(field for field in wish.fields if field.advanced),
        kept=kept_of(wish.workflow.get("schema"), wish.old),
        new_version=text_of(wish.workflow, "app_version"),
        problem=problem,
        at_field=problem is not None and problem.field in names,
    )


@router.get("/runs/{run}/again")
async def again(visit: Visiting, run: str) -> Response:
    """Show a run's inputs to be changed; ``cure`` fills in one of a failed run's cures."""
    return _page(visit, await wish_of(visit, run, {"cure": visit.request.query_params.get("cure", "")}))


@router.post("/runs/{run}/again/changes")
async def changes(visit: Visiting, run: str) -> Response:
    """What the form changes, as it is being filled in; nothing is submitted."""
    wish = await wish_of(visit, run, await form_of(visit))
    return visit.page(
        "_changes_of_run.html",
        run=run_view(wish.run, visit.links, now()),
        wish=wish,
        new_version=text_of(wish.workflow, "app_version"),
    )


@router.post("/runs/{run}/again")
async def submit(visit: Visiting, run: str) -> Response:
    """Run it again with the form's inputs; what is wrong is said in the form."""
    visit.need("runs")
    given = await form_of(visit)
    wish = await wish_of(visit, run, given)
    if wish.wrong or given.get("do") == "check":
        return _page(visit, wish)
    body: dict[str, Any] = {"inputs": wish.asked} | ({"reuse": True} if wish.reuse else {})
    try:
        made = await visit.agent.send("POST", agent_path("runs", run, "retry"), body)
    except Problem as problem:
        if problem.status not in REFUSALS:
            raise
        return _page(visit, wish, problem_view(problem))
    return see_other(visit.links.page("runs", text_of(made, "id", run)))
