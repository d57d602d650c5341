"""How the simdeck command prints runs, results and progress: tables for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from simdeck_common.problems import Problem
from simdeck_workflows.client import Event, Run

STATE_STYLE = {
    "accepted": "cyan",
    "running": "blue",
    "finished": "green",
    "failed": "red",
    "rejected": "red",
    "cancelled": "yellow",
}
MOST_CHARACTERS = 60


def console(error: bool = False) -> Console:
    return Console(highlight=False, stderr=error)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def value_text(value: Any) -> str:
    """Return a value as one short piece of text: numbers to six digits, long lists by their size."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e-3 or abs(value) >= 1e7 else f"{value:.6f}".rstrip("0").rstrip(".")
    if isinstance(value, list):
        text = ", ".join(value_text(one) for one in value)
        return text if len(text) <= MOST_CHARACTERS else f"{len(value)} values"
    if isinstance(value, dict):
        if set(value) >= {"value", "unit"}:
            return f"{value_text(value['value'])} {value['unit'] or ''}".rstrip()
        if "name" in value and set(value) & {"content", "base64"}:
            return str(value["name"])
        if "symbols" in value:
            return f"{len(value['symbols'])} atoms"
        return f"{len(value)} entries: {', '.join(list(value)[:4])}"[:MOST_CHARACTERS]
    text = str(value)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def result_rows(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (title, value, unit) of each headline result."""
    rows = []
    for name, entry in summary.items():
        if isinstance(entry, dict) and "value" in entry:
            rows.append((str(entry.get("title") or name), value_text(entry["value"]), str(entry.get("unit") or "")))
        else:
            rows.append((name, value_text(entry), ""))
    return rows


def table(headings: Iterable[str], rows: Iterable[tuple[str, ...]], right: int | None = None) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for position, heading in enumerate(headings):
        made.add_column(heading, justify="right" if position == right else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def run_heading(run: Run) -> str:
    style = STATE_STYLE.get(run.state, "")
    paused = ", paused" if run.paused else ""
    return f"{run.title or run.workflow}  [{style}]{run.state}{paused}[/]  [dim]{run.id}[/]"


def print_run(run: Run) -> None:
    """Print a run with its results, or why there are none."""
    out = console()
    out.print(run_heading(run))
    if run.summary:
        out.print(table(("Result", "Value", "Unit"), result_rows(run.summary), right=1))
    if run.problem:
        field = f"{run.problem['field']}: " if run.problem.get("field") else ""
        out.print(f"{field}{run.problem.get('detail', '')}", style="red")
        if run.problem.get("remedy"):
            out.print(str(run.problem["remedy"]))


def event_text(event: Event) -> str | None:
    """Return one line for an event, or nothing when it says nothing new to a person."""
    data = event.data
    if event.type == "state":
        return f"state: {data.get('state')}"
    if event.type == "progress":
        parts = [str(data["stage"])] if data.get("stage") else []
        if data.get("step") is not None:
            parts.append(f"step {data['step']}")
        for name, value in data.items():
            if (
                name in {"stage", "step", "time", "message"}
                or name.endswith("_unit")
                or not isinstance(value, int | float | str)
            ):
                continue
            unit = data.get(f"{name}_unit")
            parts.append(f"{name} {value_text(value)}{f' {unit}' if unit else ''}")
        if data.get("message"):
            parts.append(str(data["message"]))
        return ", ".join(parts) or None
    if event.type == "log":
        return str(data.get("message") or data.get("line") or "") or None
    return None


def say_refusal(problem: Problem) -> None:
    """Print ``field: sentence`` and the remedy."""
    named = not problem.field or problem.detail.startswith(problem.field) or problem.code == "site-file"
    lead = "" if named else f"{problem.field}: "
    click.echo(f"{lead}{problem.detail}", err=True)
    if problem.remedy:
        click.echo(problem.remedy, err=True)


def age(moment: datetime | None) -> str:
    """Return a moment in local time, as people write it."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else "–"
