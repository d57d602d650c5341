"""Runs as rows and as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.problems import ProblemView, problem_view
from simdeck_deck.pages.views.states import RUN_STATES, StateView, run_state
from simdeck_deck.pages.views.text import (
    ago,
    byte_size,
    elapsed,
    full_time,
    number,
    quantity,
    short_id,
    text_of,
)
from simdeck_deck.pages.views.waiting import WaitingView, waiting_of

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
UNIT_SUFFIX = "_unit"
# What a progress record says of itself in words; everything else in it is a quantity.
STAGE_KEYS = ("stage", "message")


@dataclass(frozen=True)
class Headline:
    """One result: ``Total energy``, ``−137.97 eV``."""

    label: str
    value: str
    exact: str = ""


@dataclass(frozen=True)
class RunView:
    """A run in a list, and the head of its page."""

    id: str
    short_id: str
    title: str
    app: str
    app_version: str
    workflow: str
    state: StateView
    progress: str
    elapsed: str | None
    created: str
    created_full: str
    started_full: str
    ended_full: str
    headlines: tuple[Headline, ...]
    problem: ProblemView | None
    waiting: WaitingView | None
    retry_of: str | None
    sweep: str | None
    reused: int
    process: str | None
    url: str
    open_url: str
    can_cancel: bool
    can_pause: bool
    can_resume: bool
    can_retry: bool


def run_view(run: Mapping[str, Any], links: Links, now: datetime) -> RunView:
    """Build a run's view; unknown or missing fields show as nothing, never as an error."""
    identifier = text_of(run, "id")
    app = text_of(run, "app")
    workflow = text_of(run, "workflow")
    state = run_state(run)
    paused = state.active and run.get("paused") is True
    progress = run.get("progress")
    return RunView(
        id=identifier,
        short_id=short_id(identifier),
        title=text_of(run, "title", workflow or "Untitled run"),
        app=app,
        app_version=text_of(run, "app_version"),
        workflow=workflow,
        state=state,
        progress=progress_line(progress) if state.active and isinstance(progress, Mapping) else "",
        elapsed=elapsed(run.get("started"), run.get("ended"), now),
        created=ago(run.get("created"), now),
        created_full=full_time(run.get("created")),
        started_full=full_time(run.get("started")),
        ended_full=full_time(run.get("ended")),
        headlines=headlines(run.get("summary")),
        problem=problem_view(run.get("problem")),
        waiting=waiting_of(run, now) if state.active else None,
        retry_of=text_of(run, "retry_of") or None,
        sweep=text_of(run, "sweep") or None,
        reused=_count(run.get("reused")),
        process=text_of(run, "process") or None,
        url=links.page("runs", identifier),
        open_url=links.page("open", app, run=identifier) if app else "",
        can_cancel=state.active and not run.get("cancelling"),
        can_pause=state.active and not paused and not run.get("cancelling"),
        can_resume=paused and not run.get("cancelling"),
        can_retry=not state.active,
    )


def progress_line(progress: Mapping[str, Any]) -> str:
    """Return one line of a progress record: ``Optimise · step 3 · energy −137.97 eV · fmax 0.02 eV/Å``.

    A count with its total beside it (``displacement`` and ``displacements``) reads ``displacement 4 of 12``. A
    ``message`` stands for the stage.
    """
    said = text_of(progress, "message") or text_of(progress, "stage").replace("_", " ").capitalize()
    parts = [said] if said else []
    for key, value in progress.items():
        is_total = key.endswith("s") and key[:-1] in progress
        if is_total or key in STAGE_KEYS or key.endswith(UNIT_SUFFIX) or not _is_number(value):
            continue
        unit, total = progress.get(key + UNIT_SUFFIX), progress.get(key + "s")
        shown = quantity(value, unit if isinstance(unit, str) else None)
        words = key.replace("_", " ")
        parts.append(f"{words} {shown} of {number(total)}" if _is_number(total) else f"{words} {shown}")
    return " · ".join(parts)


def headlines(summary: Any, limit: int = 6) -> tuple[Headline, ...]:
    """Return the headline results of ``summary``: ``{name: {title, value, unit}}`` or plain values by name."""
    if not isinstance(summary, Mapping):
        return ()
    found = []
    for name, item in summary.items():
        shown = value_text(item)
        if shown:
            label = text_of(item, "title", _words(name)) if isinstance(item, Mapping) else _words(name)
            found.append(Headline(label, shown, exact(item)))
    return tuple(found[:limit])


def value_text(item: Any) -> str:
    """Return a result's value with its unit; an empty text for what does not fit on a line."""
    if isinstance(item, Mapping):
        unit = item.get("unit")
        value = item.get("value")
        return quantity(value, unit if isinstance(unit, str) else None) if _is_plain(value) else ""
    return number(item) if _is_plain(item) else ""


def exact(item: Any) -> str:
    """Return a real number with all its digits, for a tooltip; an empty text for anything else."""
    value = item.get("value") if isinstance(item, Mapping) else item
    return repr(value) if isinstance(value, float) else ""


@dataclass(frozen=True)
class ValueRow:
    """One input or output: its title, what stands on the line, and the rest (JSON or text) behind a fold."""

    name: str
    title: str
    text: str
    help: str = ""
    long: str = ""
    exact: str = ""


def value_rows(values: Any, described: Mapping[str, Any] | None = None) -> tuple[ValueRow, ...]:
    """Build rows of inputs or outputs.

    ``described`` gives title, unit and help by name: the ``properties`` of a workflow's input schema, or
    its ``outputs``.
    """
    if not isinstance(values, Mapping):
        return ()
    rows = []
    for name, item in values.items():
        words = (described or {}).get(name)
        words = words if isinstance(words, Mapping) else {}
        unit = words.get("x-simdeck-unit", words.get("unit"))
        title = text_of(words, "title", _words(name))
        value = item
        if isinstance(item, Mapping) and "value" in item:
            title = text_of(item, "title", title)
            unit = item.get("unit", unit)
            value = item["value"]
        text, long = _shown(value, unit if isinstance(unit, str) else None)
        rows.append(
            ValueRow(str(name), title, text, text_of(words, "description", text_of(words, "help")), long, exact(item))
        )
    return tuple(rows)


@dataclass(frozen=True)
class FileRow:
    path: str
    name: str
    folder: str
    size: str
    url: str


def file_rows(items: Any, run: str, links: Links, place: str = "runs") -> tuple[FileRow, ...]:
    """Build the rows of a run's files, in the order of their paths; ``place`` as for :meth:`Links.file`."""
    rows = []
    for item in items if isinstance(items, Sequence) else ():
        path = text_of(item, "path") if isinstance(item, Mapping) else ""
        # A browser would follow dots in an address to somewhere else on this site.
        if path and not {"", ".", ".."}.intersection(path.split("/")):
            folder, _, name = path.rpartition("/")
            rows.append(
                FileRow(
                    path,
                    name,
                    folder + "/" if folder else "",
                    byte_size(item.get("size")),
                    links.file(run, path, place),
                )
            )
    return tuple(sorted(rows, key=lambda row: row.path))


def _shown(value: Any, unit: str | None) -> tuple[str, str]:
    """Return what stands on the line and what is folded away."""
    if _is_plain(value):
        text = quantity(value, unit)
        return (text, "") if len(text) <= 200 and "\n" not in text else (f"{len(text):,} characters", text)
    if isinstance(value, Mapping):
        name = text_of(value, "name")
        if name and isinstance(value.get("content"), str):
            return name, value["content"]
        symbols = value.get("symbols")
        if isinstance(symbols, list) and symbols:
            return formula(symbols), json.dumps(value, ensure_ascii=False, indent=2)
        return f"{len(value)} entries", json.dumps(value, ensure_ascii=False, indent=2)
    if isinstance(value, list):
        if len(value) <= 6 and all(_is_number(entry) for entry in value):
            return quantity(", ".join(number(entry) for entry in value), unit), ""
        count = f"{len(value)} values" + (f" in {unit}" if unit else "")
        return count, json.dumps(value, ensure_ascii=False)
    return "", ""


def short_value(value: Any, unit: str | None = None) -> str:
    """Return any value on one line; of what is large only what it is."""
    return _shown(value, unit or None)[0]


def formula(symbols: Sequence[Any]) -> str:
    """Return the Hill formula of chemical symbols: ``C₂H₆O``; carbon and hydrogen first where there is carbon."""
    counts: dict[str, int] = {}
    for symbol in symbols:
        counts[str(symbol)] = counts.get(str(symbol), 0) + 1
    first = ("C", "H") if "C" in counts else ()
    order = [symbol for symbol in first if symbol in counts] + sorted(
        symbol for symbol in counts if symbol not in first
    )
    return "".join(
        symbol + (str(counts[symbol]).translate(SUBSCRIPTS) if counts[symbol] > 1 else "") for symbol in order
    )


def _words(name: Any) -> str:
    return str(name).replace("_", " ").capitalize()


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


@dataclass(frozen=True)
class RunFilters:
    """The filter form of the runs: what is chosen, and the choices as ``(value, label)``."""

    text: str
    state: str
    workflow: str
    states: tuple[tuple[str, str], ...]
    workflows: tuple[tuple[str, str], ...]

    @property
    def any(self) -> bool:
        return bool(self.text or self.state or self.workflow)


def run_filters(text: str, state: str, workflow: str, workflows: Any) -> RunFilters:
    """Build the filter form; a workflow that is chosen but not installed any more stays among the choices."""
    items = workflows.get("items") if isinstance(workflows, Mapping) else None
    choices = {
        text_of(item, "name"): text_of(item, "title", text_of(item, "name"))
        for item in items or ()
        if isinstance(item, Mapping)
    }
    choices.pop("", None)
    if workflow:
        choices.setdefault(workflow, workflow)
    return RunFilters(
        text,
        state,
        workflow,
        tuple((key, view.label) for key, view in RUN_STATES.items()),
        tuple(sorted(choices.items(), key=lambda choice: choice[1].casefold())),
    )


def run_matches(run: Any, text: str) -> bool:
    """Say whether each word of ``text`` occurs in a run's title, workflow or id."""
    if not isinstance(run, Mapping):
        return False
    where = " ".join(text_of(run, key) for key in ("title", "workflow", "id")).casefold()
    return all(word in where for word in text.casefold().split())
