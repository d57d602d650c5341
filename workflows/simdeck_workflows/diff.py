"""What differs between two runs: inputs, outputs and how they came about, value by value. Pure functions."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from simdeck_workflows.models import Run

LONGEST = 200
MOST = 1000


class Difference(BaseModel):
    """One value that differs. A side that has no such value is null, and ``only`` names the other."""

    path: str = Field(description="Dotted, for example thermo.gibbs or structure.positions.3.0")
    left: Any = None
    right: Any = None
    only: str | None = Field(default=None, description="left or right, where the value stands on that side alone.")
    change: float | None = Field(default=None, description="right - left, for numbers.")


class RunDiff(BaseModel):
    """The differences of two runs."""

    left: Run
    right: Run
    run: list[Difference] = Field(description="What was run: workflow, app, version, state.")
    inputs: list[Difference]
    outputs: list[Difference]


def diff(left: Any, right: Any) -> list[Difference]:
    """The differences of two JSON values, in the left one's order, then the right one's."""
    ours, theirs = flat(left), flat(right)
    found = []
    for path in dict.fromkeys([*ours, *theirs]):
        if path not in theirs:
            found.append(Difference(path=path, left=_short(ours[path]), only="left"))
        elif path not in ours:
            found.append(Difference(path=path, right=_short(theirs[path]), only="right"))
        elif not _same(a := ours[path], b := theirs[path]):
            change = b - a if _number(a) and _number(b) else None
            found.append(Difference(path=path, left=_short(a), right=_short(b), change=change))
    return found[:MOST]


def diff_runs(
    runs: tuple[Run, Run], inputs: tuple[dict[str, Any], dict[str, Any]], outputs: tuple[dict[str, Any], dict[str, Any]]
) -> RunDiff:
    """The differences of two runs, each pair as (left, right)."""
    names = {"workflow", "app", "app_version", "state"}
    about = [run.model_dump(mode="json", include=names) for run in runs]
    return RunDiff(
        left=runs[0], right=runs[1], run=diff(*about), inputs=diff(*inputs), outputs=diff(*map(_computed, outputs))
    )


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Every value in nested objects and lists by its dotted path; an empty object or list is a value."""
    if isinstance(value, dict) and value:
        parts = [(str(name), item) for name, item in value.items()]
    elif isinstance(value, list) and value:
        parts = [(str(number), item) for number, item in enumerate(value)]
    else:
        return {path: value}
    found: dict[str, Any] = {}
    for name, item in parts:
        found |= flat(item, f"{path}.{name}" if path else name)
    return found


def _computed(outputs: dict[str, Any]) -> dict[str, Any]:
    """Outputs without what is always a run's own: nodes' ids."""
    return {name: _without_ids(value) for name, value in outputs.items()}


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_ids(item) for name, item in value.items() if name not in ("node", "uuid")}
    return [_without_ids(item) for item in value] if isinstance(value, list) else value


def _same(a: Any, b: Any) -> bool:
    # True is not 1 here, but 1 is 1.0.
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> Any:
    return value if not isinstance(value, str) or len(value) <= LONGEST else value[: LONGEST - 1] + "…"
