"""An install, update, roll back or removal, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simdeck_deck.pages.views.problems import ProblemView, problem_view
from simdeck_deck.pages.views.states import StateView, task_state
from simdeck_deck.pages.views.text import text_of

STEPS = (
    ("resolve", "Resolve", "Find the version and everything it needs"),
    ("download", "Download", "Fetch the app's files"),
    ("build", "Build", "Make the app's own environment"),
    ("verify", "Verify", "Check that it starts and what it offers"),
    ("ready", "Ready", "Put it in place"),
)

KIND_WORDS = {
    "install": ("Installing", "Installed"),
    "add": ("Installing beside the version in use:", "Installed beside the version in use:"),
    "guest": ("Making ready", "Made ready"),
    "update": ("Updating", "Updated"),
    "rollback": ("Rolling back", "Rolled back"),
    "remove": ("Removing", "Removed"),
}


@dataclass(frozen=True)
class StepView:
    """``state`` is one of ``done``, ``now``, ``failed``, ``open``."""

    key: str
    title: str
    help: str
    state: str
    message: str


@dataclass(frozen=True)
class TaskView:
    id: str
    app: str
    heading: str
    state: StateView
    steps: tuple[StepView, ...]
    message: str
    problem: ProblemView | None
    can_cancel: bool
    failed: bool
    log: tuple[str, ...]


def task_view(task: Mapping[str, Any], log: Sequence[str] = ()) -> TaskView:
    """Build a task's view. Only an install has steps; the others are over in a moment."""
    state = task_state(task)
    kind = text_of(task, "kind", "install")
    doing, done = KIND_WORDS.get(kind, ("Working on", "Done with"))
    message = text_of(task, "message")
    ended_well = state.key == "done"
    name = " ".join(part for part in (text_of(task, "app"), text_of(task, "version")) if part)
    return TaskView(
        id=text_of(task, "id"),
        app=text_of(task, "app"),
        heading=f"{done if ended_well else doing} {name}",
        state=state,
        steps=_steps(task, state, message) if kind in ("install", "add", "guest", "update") else (),
        message=message,
        problem=problem_view(task.get("problem")) if state.key == "failed" else None,
        can_cancel=state.active,
        failed=state.key == "failed",
        log=tuple(log),
    )


def active_task(tasks: Any, app: str) -> Mapping[str, Any] | None:
    """Return the task to show on ``app``'s page: one under way, else the newest if it failed, else None."""
    items = tasks.get("items") if isinstance(tasks, Mapping) else tasks
    mine = [item for item in items or () if isinstance(item, Mapping) and item.get("app") == app]
    under_way = [item for item in mine if task_state(item).active]
    if under_way:
        return under_way[0]
    newest = max(mine, key=lambda item: text_of(item, "created"), default=None)
    return newest if newest is not None and newest.get("state") == "failed" else None


def _steps(task: Mapping[str, Any], state: StateView, message: str) -> tuple[StepView, ...]:
    names = [key for key, _, _ in STEPS]
    step = task.get("step")
    at = names.index(step) if step in names else -1
    rows = []
    for index, (key, title, help_text) in enumerate(STEPS):
        if state.key == "done" or index < at:
            where = "done"
        elif index == at:
            where = "failed" if state.key == "failed" else "stopped" if state.key == "cancelled" else "now"
        else:
            where = "open"
        rows.append(StepView(key, title, help_text, where, message if index == at else ""))
    return tuple(rows)
