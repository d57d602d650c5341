"""Sweeps: one workflow over many values of some inputs, as runs of their own, with one table of results."""

from __future__ import annotations

import copy
import csv
import io
import itertools
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from simdeck_common.problems import Problem

from simdeck_workflows.models import Moment, Notify, Priority, Run, RunState

MOST = 500


class SweepRequest(BaseModel):
    """What to vary. The other fields hold for every run of the sweep."""

    model_config = ConfigDict(extra="forbid", strict=True)

    workflow: str = Field(min_length=1, max_length=200)
    inputs: dict[str, Any] = Field(default_factory=dict, description="What all runs share.")
    vary: dict[str, list[Any]] = Field(
        min_length=1, max_length=10, description="Values by input; a dotted name reaches into an object."
    )
    mode: Literal["grid", "together"] = Field(
        default="grid", description="grid: every combination; together: the first values, then the second ones, …"
    )
    title: str | None = Field(default=None, max_length=150)
    priority: Priority = "low"
    reuse: bool = Field(default=True, description="Take results of identical calculations that were done before.")
    notify: Notify | None = Field(default=None, description="Told at the end of every run.")


class Column(BaseModel):
    """A column of results."""

    name: str
    title: str
    unit: str | None = None


class SweepRow(BaseModel):
    """One run: what was varied, and what came of it."""

    run: str
    values: dict[str, Any]
    state: RunState
    results: dict[str, Any] = Field(description="Headline results by name; empty until it has finished.")
    problem: str | None = Field(default=None, description="Why it failed, in a sentence.")
    waiting: str | None = None
    reused: int = 0


class Sweep(BaseModel):
    """A sweep and how far it is."""

    id: str
    workflow: str
    title: str
    created: Moment
    runs: int
    states: dict[str, int] = Field(description="How many of its runs are in each state.")
    ended: bool


class SweepTable(Sweep):
    """A sweep with its results."""

    varied: list[str]
    columns: list[Column]
    rows: list[SweepRow]


def points(request: SweepRequest) -> list[dict[str, Any]]:
    """The values of each run, in the table's order.

    Raises
    ------
    Problem
        ``invalid-input``: lists of different lengths, an empty one, or too many runs.
    """
    names, lists = list(request.vary), list(request.vary.values())
    for name, values in request.vary.items():
        if not values:
            raise Problem("invalid-input", field=f"vary.{name}", detail=f"Give at least one value for {name}.")
    if request.mode == "together":
        if len({len(values) for values in lists}) > 1:
            raise Problem("invalid-input", field="vary", detail="Values that go together must be equally many.")
        rows: list[tuple[Any, ...]] = list(zip(*lists, strict=True))
    else:
        count = 1
        for values in lists:
            count *= len(values)
        if count > MOST:
            raise _too_many(count)
        rows = list(itertools.product(*lists))
    if len(rows) > MOST:
        raise _too_many(len(rows))
    return [dict(zip(names, row, strict=True)) for row in rows]


def _too_many(count: int) -> Problem:
    return Problem("invalid-input", field="vary", detail=f"That is {count} runs; a sweep may have {MOST}.")


def inputs_at(request: SweepRequest, point: dict[str, Any]) -> dict[str, Any]:
    """The inputs of one run of the sweep.

    Raises
    ------
    Problem
        ``invalid-input``: a dotted name leads through something that is no object.
    """
    inputs: dict[str, Any] = copy.deepcopy(request.inputs)
    for name, value in point.items():
        place = inputs
        *spaces, last = name.split(".")
        for space in spaces:
            place = place.setdefault(space, {})
            if not isinstance(place, dict):
                raise Problem("invalid-input", field=f"vary.{name}", detail=f"{space} in {name} is not an object.")
        place[last] = value
    return inputs


def label(point: dict[str, Any]) -> str:
    """A run's part of the title."""
    return ", ".join(f"{name} {_text(value)}" for name, value in point.items())[:45]


def _text(value: Any) -> str:
    return str(value.get("name", "…")) if isinstance(value, dict) else str(value)


def row_of(run: Run, values: dict[str, Any]) -> SweepRow:
    return SweepRow(
        run=run.id,
        values=values,
        state=run.state,
        results={name: entry["value"] for name, entry in (run.summary or {}).items()},
        problem=str(run.problem.get("detail", "")) if run.problem else None,
        waiting=run.waiting.detail if run.waiting else None,
        reused=run.reused,
    )


def columns_of(runs: list[Run]) -> list[Column]:
    """The results that any of the runs has, in the order of the first that has them."""
    found: dict[str, Column] = {}
    for run in runs:
        for name, entry in (run.summary or {}).items():
            found.setdefault(name, Column(name=name, title=entry["title"], unit=entry["unit"]))
    return list(found.values())


def to_csv(table: SweepTable) -> str:
    """The table for a spreadsheet; units stand in the headings."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    heads = [f"{one.title} ({one.unit})" if one.unit else one.title for one in table.columns]
    writer.writerow([*table.varied, "state", *heads, "run"])
    for row in table.rows:
        values = [_cell(_text(row.values.get(name, ""))) for name in table.varied]
        writer.writerow([*values, row.state.value, *(row.results.get(one.name, "") for one in table.columns), row.run])
    return stream.getvalue()


def _cell(text: str) -> str:
    """Text that a spreadsheet does not take for a formula; numbers stay numbers."""
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
    return text
