"""The differences of two runs as rows, with titles and units; what differs in many places is folded into one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simdeck_deck.pages.views.run_inputs import leaves, title_of
from simdeck_deck.pages.views.runs import short_value
from simdeck_deck.pages.views.states import RUN_STATES
from simdeck_deck.pages.views.text import number, plural, quantity, text_of

FOLD = 6
"""More differences than these inside one input or output are folded."""

# What lies inside a structure, as the API writes one.
ATOM = re.compile(r"positions\.([0-9]+)\.([012])")
VECTOR = re.compile(r"cell\.([012])\.([012])")

ABOUT = {"workflow": "Workflow", "app": "App", "app_version": "App version", "state": "State"}


@dataclass(frozen=True)
class Line:
    """One value that differs; ``change`` for numbers, as ``+0.5 eV``."""

    title: str
    left: str
    right: str
    change: str


@dataclass(frozen=True)
class Part:
    """An input or output: one line, or many that are folded behind ``summary``."""

    title: str
    summary: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class DiffView:
    about: tuple[Line, ...]
    inputs: tuple[Part, ...]
    outputs: tuple[Part, ...]

    @property
    def same(self) -> bool:
        return not (self.about or self.inputs or self.outputs)


def diff_view(diff: Mapping[str, Any], workflows: Sequence[Mapping[str, Any]]) -> DiffView:
    """Build the view of an agent's ``/runs/{id}/diff``; ``workflows`` describe inputs and outputs, the first first."""
    inputs: dict[str, tuple[str, str]] = {}
    outputs: dict[str, tuple[str, str]] = {}
    for workflow in reversed(workflows):
        inputs |= {
            name: (title_of(name, said), text_of(said, "x-simdeck-unit"))
            for name, said, _ in leaves(workflow.get("schema"))
        }
        for said in workflow.get("outputs") or ():
            if isinstance(said, Mapping):
                name = text_of(said, "name")
                outputs[name] = (text_of(said, "title", name), text_of(said, "unit"))
    about = tuple(
        Line(ABOUT.get(path, path), _about(path, item.get("left")), _about(path, item.get("right")), "")
        for item in _items(diff, "run")
        for path in [text_of(item, "path")]
    )
    return DiffView(about, _parts(_items(diff, "inputs"), inputs), _parts(_items(diff, "outputs"), outputs))


def _items(diff: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    return [item for item in diff.get(key) or () if isinstance(item, Mapping)]


def _about(path: str, value: Any) -> str:
    view = RUN_STATES.get(value) if path == "state" and isinstance(value, str) else None
    return view.label if view else short_value(value) or "none"


def _parts(items: Sequence[Mapping[str, Any]], words: Mapping[str, tuple[str, str]]) -> tuple[Part, ...]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        groups.setdefault(_owner(text_of(item, "path"), words), []).append(item)
    return tuple(_part(name, found, words) for name, found in groups.items())


def _owner(path: str, words: Mapping[str, tuple[str, str]]) -> str:
    """Return the described input or output that a path lies in; its first segment where none is described."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in words:
            return ".".join(parts[:end])
    return parts[0]


def _part(name: str, items: Sequence[Mapping[str, Any]], words: Mapping[str, tuple[str, str]]) -> Part:
    title, unit = words.get(name, (name.replace("_", " ").capitalize() or "Value", ""))
    folded = len(items) > FOLD
    lines = tuple(_line(item, name, "" if folded else title, unit) for item in items)
    return Part(title, f"{plural(len(lines), 'value')} differ" if folded else "", lines)


def _line(item: Mapping[str, Any], name: str, title: str, unit: str) -> Line:
    rest = text_of(item, "path")[len(name) :].lstrip(".")
    if not unit and (ATOM.fullmatch(rest) or VECTOR.fullmatch(rest)):
        unit = "Å"
    only = item.get("only")
    left = "–" if only == "right" else _text(item.get("left"), unit)
    right = "–" if only == "left" else _text(item.get("right"), unit)
    return Line(" · ".join(filter(None, (title, _words(rest)))), left, right, _change(item.get("change"), unit))


def _words(path: str) -> str:
    """Return what follows a name in words; positions in lists count from one, as people do."""
    if atom := ATOM.fullmatch(path):
        return f"atom {int(atom[1]) + 1}, {'xyz'[int(atom[2])]}"
    if vector := VECTOR.fullmatch(path):
        return f"cell vector {int(vector[1]) + 1}, {'xyz'[int(vector[2])]}"
    parts = path.split(".") if path else []
    return " · ".join(str(int(part) + 1) if part.isdecimal() else part.replace("_", " ") for part in parts)


def _text(value: Any, unit: str) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value or "empty"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return short_value(value) or "empty"
    return quantity(value, unit or None)


def _change(change: Any, unit: str) -> str:
    if not isinstance(change, int | float) or isinstance(change, bool):
        return ""
    rounded = float(f"{change:.4g}") if isinstance(change, float) else change
    return quantity(("+" if change > 0 else "") + number(rounded), unit or None)
