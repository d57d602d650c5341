"""Sweeps: the list, one sweep's table of results, and the form that varies inputs of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Response
from simdeck_common.problems import Problem

from simdeck_deck.pages.frame import now, see_other
from simdeck_deck.pages.sources import agent_path, attempt
from simdeck_deck.pages.views.problems import ProblemView, problem_view
from simdeck_deck.pages.views.run_inputs import Field, fields_of, put
from simdeck_deck.pages.views.runs import run_view
from simdeck_deck.pages.views.sweeps import (
    MOST,
    ROWS,
    Varied,
    can_vary,
    listed,
    points_of,
    said_of,
    sweep_view,
    table_view,
    varied_of,
)
from simdeck_deck.pages.views.text import text_of
from simdeck_deck.pages.visit import Visit, Visiting

router = APIRouter()

# Seconds between two looks at what has not ended; a long table is looked at less often.
POLL_BUSY = 3
POLL_LONG = 10
LONG = 100
REFUSALS = (400, 404, 409, 422)


@router.get("/sweeps")
async def sweeps(visit: Visiting) -> Response:
    """The newest sweeps."""
    answer, problem = await attempt(visit.agent.get("/sweeps", limit=200))
    items = answer.get("items", ()) if isinstance(answer, Mapping) else ()
    rows = tuple(sweep_view(item, visit.links, now()) for item in items)
    return visit.page(
        "_sweeps_list.html" if visit.fragment else "sweeps.html",
        here="runs",
        sweeps=rows,
        problem=problem,
        poll="" if all(row.ended for row in rows) else f"every {POLL_BUSY}s",
    )


@router.get("/sweeps/{sweep}")
async def sweep(visit: Visiting, sweep: str, by: str = "", down: str = "") -> Response:
    """One sweep with its table; htmx gets the live part alone."""
    found = await visit.agent.get(agent_path("sweeps", sweep))
    workflow, _ = await attempt(visit.agent.get(agent_path("workflows", text_of(found, "workflow", "-"))))
    schema = workflow.get("schema") if isinstance(workflow, Mapping) else None
    view = sweep_view(found, visit.links, now())
    table = table_view(found, schema, visit.links, by, down == "1")
    return visit.page(
        "_sweep_live.html" if visit.fragment else "sweep.html",
        here="runs",
        sweep=view,
        table=table,
        here_url=visit.links.page("sweeps", sweep, by=table.by, down="1" if table.down else ""),
        poll="" if view.ended else f"every {POLL_LONG if len(table.rows) > LONG else POLL_BUSY}s",
    )


@router.post("/sweeps/{sweep}/cancel")
async def cancel(visit: Visiting, sweep: str) -> Response:
    """Cancel what has not ended of a sweep."""
    visit.need("runs")
    await visit.agent.send("POST", agent_path("sweeps", sweep, "cancel"))
    return see_other(visit.links.page("sweeps", sweep))


@router.post("/sweeps/{sweep}/forget")
async def forget(visit: Visiting, sweep: str) -> Response:
    """Forget a sweep; its runs stay."""
    visit.need("runs")
    await visit.agent.send("DELETE", agent_path("sweeps", sweep))
    return see_other(visit.links.page("sweeps"))


# --- starting one -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What shall be swept. ``points`` counts the runs; ``lines`` are the form's, each with its error."""

    run: Mapping[str, Any]
    workflow: Mapping[str, Any]
    old: Mapping[str, Any]
    fields: tuple[Field, ...]
    lines: tuple[Varied, ...]
    vary: dict[str, list[Any]]
    together: bool
    title: str
    reuse: bool
    error: str

    @property
    def wrong(self) -> bool:
        return bool(self.error) or any(line.error for line in self.lines)

    @property
    def points(self) -> int:
        """How many runs it makes."""
        counts = [len(values) for values in self.vary.values()]
        total = 1
        for count in counts:
            total *= count
        return (min(counts) if self.together else total) if counts else 0

    @property
    def named(self) -> str:
        """What a sweep without a name is called: its workflow, and what it varies."""
        by_name = {field.name: field for field in self.fields}
        varied = ", ".join(by_name[name].title for name in self.vary)
        return f"{text_of(self.workflow, 'title', text_of(self.run, 'workflow'))}: {varied}"[:150]

    @property
    def told(self) -> tuple[tuple[str, str], ...]:
        """Each varied input with its values, in words."""
        by_name = {field.name: field for field in self.fields}
        return tuple((by_name[name].title, listed(values, by_name[name].unit)) for name, values in self.vary.items())


async def plan_of(visit: Visit, run: str, given: Mapping[str, str]) -> Plan:
    """Read what ``given`` (an address's or a form's values) asks for."""
    found, old = (
        await visit.agent.get(agent_path("runs", run)),
        await visit.agent.get(agent_path("runs", run, "inputs")),
    )
    workflow = await visit.agent.get(agent_path("workflows", text_of(found, "workflow", "-")))
    fields = tuple(can_vary(fields_of(workflow.get("schema"), old, old)))
    by_name = {field.name: field for field in fields}
    lines: list[Varied] = []
    vary: dict[str, list[Any]] = {}
    for number in range(1, ROWS + 1):
        line = varied_of(number, given)
        line = replace(line, field=by_name.get(line.input))
        # A line that is not begun is no fault while the form is being filled in.
        if line.field is not None and (line.used or "form" in given):
            try:
                if line.input in vary:
                    raise ValueError("This input is varied above already.")
                vary[line.input] = points_of(line, line.field)
            except ValueError as error:
                line = replace(line, error=str(error))
        lines.append(line)
    together = given.get("mode") == "together"
    plan = Plan(
        found, workflow, old, fields, tuple(lines), vary, together, given.get("title", "").strip()[:150],
        given.get("reuse") == "1" or "form" not in given, "",
    )  # fmt: skip
    return replace(plan, error=_fault(plan))


def _fault(plan: Plan) -> str:
    if plan.points > MOST:
        return f"That is {plan.points} runs; a sweep may have {MOST}."
    if plan.together and len({len(values) for values in plan.vary.values()}) > 1:
        return "Values that go together must be equally many."
    return ""


def _page(visit: Visit, plan: Plan, problem: ProblemView | None = None) -> Response:
    sent = visit.request.method == "POST"
    return visit.page(
        "sweep_new.html",
        here="runs",
        status=422 if sent else 200,
        run=run_view(plan.run, visit.links, now()),
        problem=problem,
        **_shown(plan),
    )


def _shown(plan: Plan) -> dict[str, Any]:
    hints = {line.number: said_of(line.field) if line.field else "" for line in plan.lines}
    return {"plan": plan, "hints": hints, "ranged": ("integer", "number")}


@router.get("/runs/{run}/sweep")
async def new(visit: Visiting, run: str) -> Response:
    """Ask which inputs of a run to vary."""
    return _page(visit, await plan_of(visit, run, dict(visit.request.query_params)))


@router.get("/runs/{run}/sweep/plan")
async def plan(visit: Visiting, run: str) -> Response:
    """What the form asks for so far, as it is being filled in."""
    given = {name: text for name, text in visit.request.query_params.items() if name != "form"}
    found = await plan_of(visit, run, given)
    return visit.page("_sweep_plan.html", anew=True, **_shown(found))


@router.post("/runs/{run}/sweep")
async def submit(visit: Visiting, run: str) -> Response:
    """Submit the sweep; what is wrong is said in the form."""
    visit.need("runs")
    form = await visit.request.form(max_files=0, max_fields=100)
    found = await plan_of(visit, run, {name: text for name, text in form.items() if isinstance(text, str)})
    if found.wrong:
        return _page(visit, found)
    if not found.vary:
        return _page(visit, replace(found, error="Choose an input and give its values."))
    inputs = dict(found.old)
    first = {name: values[0] for name, values in found.vary.items()}
    for name, value in first.items():
        # The first of the values stands for all of them, so that objects around a varied input are there.
        put(inputs, name, value)
    body: dict[str, Any] = {
        "workflow": text_of(found.run, "workflow"),
        "inputs": inputs,
        "vary": found.vary,
        "mode": "together" if found.together else "grid",
        "reuse": found.reuse,
    }
    body["title"] = found.title or found.named
    try:
        made = await visit.agent.send("POST", "/sweeps", body)
    except Problem as problem:
        if problem.status not in REFUSALS:
            raise
        return _page(visit, found, problem_view(problem))
    return see_other(visit.links.page("sweeps", text_of(made, "id")))
