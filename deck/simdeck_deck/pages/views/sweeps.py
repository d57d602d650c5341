"""Sweeps: as rows of a list, as a table of results that can be sorted, and as the form that starts one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.run_inputs import MISSING, SIMPLE, Field, leaves, title_of, value_of
from simdeck_deck.pages.views.runs import exact, short_value
from simdeck_deck.pages.views.states import RUN_STATES, StateView, run_state
from simdeck_deck.pages.views.text import ago, full_time, number, plural, quantity, short_id, text_of

ENDED = ("finished", "failed", "rejected", "cancelled")
MOST = 500
ROWS = 2
"""So many inputs the form varies; the API takes more."""


@dataclass(frozen=True)
class SweepView:
    """A sweep in a list, and the head of its page."""

    id: str
    title: str
    workflow: str
    url: str
    runs: int
    ended: bool
    counts: tuple[tuple[StateView, int], ...]
    words: str
    created: str
    created_full: str


def sweep_view(sweep: Mapping[str, Any], links: Links, now: datetime) -> SweepView:
    """Build a sweep's view."""
    identifier = text_of(sweep, "id")
    said = sweep.get("states")
    states = said if isinstance(said, Mapping) else {}
    runs = sweep.get("runs")
    runs = runs if isinstance(runs, int) else 0
    done = sum(count for name, count in states.items() if name in ENDED)
    ended = sweep.get("ended") is True
    known = [(view, states[name]) for name, view in RUN_STATES.items() if states.get(name)]
    return SweepView(
        id=identifier,
        title=text_of(sweep, "title", "Untitled sweep"),
        workflow=text_of(sweep, "workflow"),
        url=links.page("sweeps", identifier),
        runs=runs,
        ended=ended,
        counts=tuple(known),
        words=plural(runs, "run") if ended else f"{done} of {plural(runs, 'run')} ended",
        created=ago(sweep.get("created"), now),
        created_full=full_time(sweep.get("created")),
    )


@dataclass(frozen=True)
class Head:
    """A column: ``sort`` is ``ascending`` or ``descending`` where the table is sorted by it; ``url`` sorts by it."""

    key: str
    title: str
    unit: str
    url: str
    sort: str
    result: bool


@dataclass(frozen=True)
class Cell:
    text: str
    exact: str
    label: str


@dataclass(frozen=True)
class Row:
    """One run of a sweep: cells of what was varied, and of what came of it."""

    run: str
    short_id: str
    url: str
    name: str
    state: StateView
    varied: tuple[Cell, ...]
    results: tuple[Cell, ...]
    problem: str
    waiting: str
    reused: bool


@dataclass(frozen=True)
class TableView:
    heads: tuple[Head, ...]
    rows: tuple[Row, ...]
    by: str
    down: bool


def table_view(sweep: Mapping[str, Any], schema: Any, links: Links, by: str, down: bool) -> TableView:
    """Build a sweep's table, sorted by a column's key (``v:charge``, ``r:energy``, ``state``); else as submitted."""
    words = {name: said for name, said, _ in leaves(schema)}
    varied = [(name, words.get(name, {})) for name in _texts(sweep.get("varied"))]
    columns = [one for one in sweep.get("columns") or () if isinstance(one, Mapping)]
    keys = [(f"v:{name}", title_of(name, said), text_of(said, "x-simdeck-unit")) for name, said in varied]
    keys.append(("state", "State", ""))
    keys += [
        (f"r:{text_of(one, 'name')}", text_of(one, "title", text_of(one, "name")), text_of(one, "unit"))
        for one in columns
    ]
    by = by if by in {key for key, _, _ in keys} else ""
    address = ("sweeps", text_of(sweep, "id"))
    heads = tuple(
        Head(
            key,
            title,
            unit,
            links.page(*address, by=key, down="1" if by == key and not down else ""),
            ("descending" if down else "ascending") if by == key else "none",
            key.startswith("r:"),
        )
        for key, title, unit in keys
    )
    items = [one for one in sweep.get("rows") or () if isinstance(one, Mapping)]
    if by:
        items = _sorted(items, by, down)
    return TableView(heads, tuple(_row(one, heads, links) for one in items), by, down)


def _row(item: Mapping[str, Any], heads: Sequence[Head], links: Links) -> Row:
    identifier = text_of(item, "run")
    cells: dict[bool, list[Cell]] = {False: [], True: []}
    for head in heads:
        if head.key != "state":
            value = _value(item, head.key)
            shown = "" if value is None else short_value(value)
            cells[head.result].append(
                Cell(shown, exact(value), f"{head.title}{f' ({head.unit})' if head.unit else ''}")
            )
    waiting = item.get("waiting")
    return Row(
        run=identifier,
        short_id=short_id(identifier),
        url=links.page("runs", identifier),
        name=", ".join(f"{cell.label} {cell.text}" for cell in cells[False]),
        state=run_state(item),
        varied=tuple(cells[False]),
        results=tuple(cells[True]),
        problem=text_of(item, "problem"),
        waiting=waiting if isinstance(waiting, str) else "",
        reused=bool(item.get("reused")),
    )


def _value(item: Mapping[str, Any], key: str) -> Any:
    kind, _, name = key.partition(":")
    values = item.get("values" if kind == "v" else "results")
    return values.get(name) if isinstance(values, Mapping) else None


def _sorted(items: list[Mapping[str, Any]], by: str, down: bool) -> list[Mapping[str, Any]]:
    """Sort by a column: numbers before texts, and what has no value last in either direction."""

    def value(item: Mapping[str, Any]) -> Any:
        return text_of(item, "state") if by == "state" else _value(item, by)

    def key(item: Mapping[str, Any]) -> tuple[int, float, str]:
        found = value(item)
        if isinstance(found, int | float):
            return 0, float(found), ""
        return 1, 0.0, short_value(found).casefold()

    there = [item for item in items if value(item) not in (None, "")]
    missing = [item for item in items if value(item) in (None, "")]
    return sorted(there, key=key, reverse=down) + missing


def _texts(values: Any) -> list[str]:
    return [one for one in values if isinstance(one, str)] if isinstance(values, Sequence) else []


# --- starting one -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Varied:
    """One line of the form: the input, and either its values or a range."""

    number: int
    input: str
    values: str = ""
    start: str = ""
    stop: str = ""
    count: str = ""
    error: str = ""
    field: Field | None = None

    @property
    def used(self) -> bool:
        return bool(
            self.input and (self.values.strip() or self.start.strip() or self.stop.strip() or self.count.strip())
        )


def varied_of(number: int, given: Mapping[str, str]) -> Varied:
    """Read a line of the form."""
    names = ("input", "values", "start", "stop", "count")
    name, values, start, stop, count = (given.get(f"{one}{number}", "")[:2000] for one in names)
    return Varied(number, name, values, start, stop, count)


def can_vary(fields: Sequence[Field]) -> list[Field]:
    """Return the inputs that a sweep's form can vary."""
    return [field for field in fields if field.kind in SIMPLE]


def points_of(line: Varied, field: Field) -> list[Any]:
    """Return the values of a line.

    Raises
    ------
    ValueError
        There are none, or they are not of the input's kind; with a sentence for the person.
    """
    ranged = [text for text in (line.start, line.stop, line.count) if text.strip()]
    if line.values.strip() and ranged:
        raise ValueError("Give either values or a range, not both.")
    if ranged:
        return _range(line, field)
    texts = [text.strip() for text in line.values.replace(";", ",").replace("\n", ",").split(",")]
    found: list[Any] = []
    for text in filter(None, texts):
        value = _one(field, text)
        if value in found and not isinstance(value, bool):
            raise ValueError(f"{short_value(value)} is there twice.")
        found.append(value)
    if not found:
        raise ValueError("Give at least one value.")
    return found


def _one(field: Field, text: str) -> Any:
    if field.kind == "boolean":
        text = {"yes": "true", "no": "false"}.get(text.casefold(), text.casefold())
    value = value_of(replace(field, required=True), text)
    assert value is not MISSING
    return value


def _range(line: Varied, field: Field) -> list[Any]:
    if field.kind not in ("integer", "number"):
        raise ValueError("Only numbers have a range; give values instead.")
    if not (line.start.strip() and line.stop.strip() and line.count.strip()):
        raise ValueError("A range needs all three: from, to, and how many values.")
    as_number = replace(field, kind="number", required=True)
    first, last = (value_of(as_number, text) for text in (line.start, line.stop))
    count = value_of(replace(field, kind="integer", required=True), line.count)
    if not 2 <= count <= MOST:
        raise ValueError(f"How many values must be 2 to {MOST}.")
    if first == last:
        raise ValueError("From and to are the same.")
    found = [float(f"{first + (last - first) * step / (count - 1):.12g}") for step in range(count)]
    if field.kind == "integer":
        if any(value != int(value) for value in found):
            raise ValueError(
                f"{plural(count, 'value')} from {number(first)} to {number(last)} are not whole numbers; "
                "take another number of values."
            )
        return [int(value) for value in found]
    return found


def said_of(field: Field) -> str:
    """Return what can be given for an input, and what the run had: the line below its values."""
    parts = []
    if field.kind == "choice":
        parts.append(f"One of {', '.join(field.choices)}.")
    elif field.kind == "boolean":
        parts.append("Yes or no.")
    elif field.kind == "integer":
        parts.append(
            f"Whole numbers{f', {field.bounds}' if field.bounds else ''}{f' {field.unit}' if field.unit else ''}."
        )
    elif field.kind == "number":
        parts.append(f"Numbers{f', {field.bounds}' if field.bounds else ''}{f' {field.unit}' if field.unit else ''}.")
    parts.append(f"This run has {field.was}.")
    return " ".join(parts)


def listed(values: Sequence[Any], unit: str, most: int = 12) -> str:
    """Return values in a line; the middle of a long list is left out."""
    texts = [short_value(value) for value in values]
    if len(texts) > most:
        texts = [*texts[: most - 2], "…", texts[-1]]
    return quantity(", ".join(texts), unit or None)
