"""A run's inputs as a form, and what is typed there as values again.

A dotted name is an input inside another one (``base.steps``). What a page cannot change (structures, files, nodes) is
no field: it stays as the run had it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from simdeck_deck.pages.views.runs import short_value
from simdeck_deck.pages.views.text import MINUS, quantity, text_of

MISSING = object()
"""Stands for an input that is not given."""

SIMPLE = ("integer", "number", "string", "boolean", "choice")
LONGEST = 100_000
LINE = 80


@dataclass(frozen=True)
class Field:
    """An input that can be changed here. ``text`` stands in the form, ``was`` is what the run had, in words."""

    name: str
    title: str
    kind: str
    unit: str
    help: str
    bounds: str
    options: tuple[Any, ...]
    advanced: bool
    required: bool
    default: str
    text: str
    was: str
    old: Any
    error: str = ""
    changed: bool = False

    @property
    def choices(self) -> tuple[str, ...]:
        """The values there are to choose from, as they are sent."""
        return tuple(typed(one) for one in self.options)

    @property
    def long(self) -> bool:
        """Whether it is typed into several lines."""
        return self.kind == "json" or "\n" in self.text or len(self.text) > 100


@dataclass(frozen=True)
class Change:
    """One line of what a new run has differently."""

    title: str
    before: str
    after: str


def leaves(schema: Any, prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Yield ``(dotted name, schema, required)`` of every input in the schema's order."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    required = schema.get("required") or () if isinstance(schema, Mapping) else ()
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        if not isinstance(inner, Mapping):
            continue
        if isinstance(inner.get("properties"), Mapping) and "x-simdeck-type" not in inner:
            yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", inner, name in required


def kind_of(schema: Mapping[str, Any]) -> str | None:
    """Return how an input is typed in; None where it cannot be."""
    choices = schema.get("enum")
    if isinstance(choices, list) and choices and all(isinstance(one, str | int | float | bool) for one in choices):
        return "choice"
    if "x-simdeck-type" in schema:
        return None
    kind = schema.get("type")
    if kind in SIMPLE:
        return str(kind)
    return "json" if kind in ("array", "object") else None


def value_at(values: Any, name: str) -> Any:
    """Return the value under a dotted name, or ``MISSING``."""
    for part in name.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return MISSING
        values = values[part]
    return values


def put(values: dict[str, Any], name: str, value: Any) -> None:
    """Set the value under a dotted name, or take it away (``MISSING``); ``values`` is changed."""
    *spaces, last = name.split(".")
    for space in spaces:
        inner = values.get(space)
        values[space] = inner = dict(inner) if isinstance(inner, Mapping) else {}
        values = inner
    if value is MISSING:
        values.pop(last, None)
    else:
        values[last] = value


def fields_of(schema: Any, old: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[Field, ...]:
    """Return the fields of a schema: filled with ``wanted`` inputs, beside what the ``old`` run had."""
    found = []
    for name, said, required in leaves(schema):
        kind = kind_of(said)
        if kind is None:
            continue
        before, after = value_at(old, name), value_at(wanted, name)
        unit = text_of(said, "x-simdeck-unit")
        found.append(
            Field(
                name=name,
                title=title_of(name, said),
                kind=kind,
                unit=unit,
                help=text_of(said, "description"),
                bounds=bounds(said),
                options=tuple(said["enum"]) if kind == "choice" else (),
                advanced=said.get("x-simdeck-advanced") is True,
                required=required,
                default=typed(said.get("default", MISSING)),
                text=typed(after),
                was=shown(before, unit, said.get("default", MISSING)),
                old=before,
                changed=not same(before, after),
            )
        )
    return tuple(found)


def kept_of(schema: Any, values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return ``(title, value in words)`` of the inputs that stay as they were because no field can hold them."""
    rows = []
    for name, said, _ in leaves(schema):
        if kind_of(said) is None and (value := value_at(values, name)) is not MISSING:
            rows.append((title_of(name, said), shown(value, text_of(said, "x-simdeck-unit"))))
    return tuple(rows)


def read(fields: tuple[Field, ...], given: Mapping[str, str]) -> tuple[tuple[Field, ...], dict[str, Any]]:
    """Read what was typed: the fields with texts and errors, and the values of those that are right, by dotted name.

    A field that was not sent keeps its text.
    """
    found, values = [], {}
    for field in fields:
        text = given.get(field.name, field.text)[:LONGEST]
        try:
            value = value_of(field, text)
        except ValueError as error:
            found.append(replace(field, text=text, error=str(error), changed=True))
            continue
        values[field.name] = value
        found.append(replace(field, text=text, changed=not same(field.old, value)))
    return tuple(found), values


def value_of(field: Field, text: str) -> Any:
    """Return what ``text`` stands for in a field; ``MISSING`` for nothing.

    Raises
    ------
    ValueError
        It is not of the field's kind; with a sentence for the person who typed it.
    """
    bare = text.strip()
    if not bare:
        if field.required:
            raise ValueError("This cannot be left empty.")
        return MISSING
    if field.kind == "string":
        return text.replace("\r\n", "\n")
    if field.kind == "choice":
        return _choice(field, bare)
    if field.kind == "boolean":
        if bare not in ("true", "false"):
            raise ValueError("Choose yes or no.")
        return bare == "true"
    if field.kind == "json":
        return _json(bare)
    return _number(field.kind, bare)


def _choice(field: Field, text: str) -> Any:
    if text not in field.choices:
        raise ValueError(f"Choose one of {', '.join(field.choices)}.")
    return field.options[field.choices.index(text)]


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise ValueError(f"This is not JSON: {error}.") from None


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number here")


def _number(kind: str, text: str) -> int | float:
    # Numbers come copied from pages and papers: with a true minus, or with spaces between thousands.
    plain = text.replace(MINUS, "-").replace("\u202f", "").replace("\u00a0", "").replace(" ", "")
    try:
        value = float(plain)
    except ValueError:
        hint = " Write decimals with a point." if "," in plain else ""
        raise ValueError(f"“{text[:40]}” is not a number.{hint}") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("Give a finite number.")
    if kind == "integer":
        if value != int(value):
            raise ValueError("Give a whole number.")
        return int(plain) if plain.lstrip("+-").isdigit() else int(value)
    return value


def inputs_with(
    old: Mapping[str, Any], base: Mapping[str, Any], fields: tuple[Field, ...], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the inputs to ask a retry for: only those that differ, and null for one that is taken away.

    ``base``: what is wanted where no field says anything.
    """
    wanted = copy.deepcopy(dict(base))
    for field in fields:
        if field.name in values:
            put(wanted, field.name, values[field.name])
    changes: dict[str, Any] = {name: None for name in old if name not in wanted}
    return changes | {name: value for name, value in wanted.items() if not same(old.get(name, MISSING), value)}


def changes_of(schema: Any, old: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return in words what a retry with ``changes`` has differently."""
    wanted = {**old, **changes}
    wanted = {name: value for name, value in wanted.items() if value is not None or name not in changes}
    found = []
    told = set()
    for name, said, _ in leaves(schema):
        told.add(name.partition(".")[0])
        before, after = value_at(old, name), value_at(wanted, name)
        if not same(before, after):
            unit, default = text_of(said, "x-simdeck-unit"), said.get("default", MISSING)
            found.append(Change(title_of(name, said), shown(before, unit, default), shown(after, unit, default)))
    for name in changes:
        if name not in told:
            found.append(Change(title_of(name, {}), shown(old.get(name, MISSING)), shown(wanted.get(name, MISSING))))
    return tuple(found)


def same(a: Any, b: Any) -> bool:
    """Whether two inputs are the same; 1 is 1.0, and true is not 1."""
    return a is b or bool(a == b and isinstance(a, bool) == isinstance(b, bool))


def typed(value: Any) -> str:
    """Return a value as it is typed in."""
    if value is MISSING or value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, dict) else None)


def shown(value: Any, unit: str = "", default: Any = MISSING) -> str:
    """Return a value in words; for one that was not given its default."""
    if value is MISSING or value is None:
        return f"{short_value(default, unit)} (default)" if default not in (MISSING, None) else "not given"
    named = isinstance(value, dict) and ("name" in value or "symbols" in value)
    if isinstance(value, list | dict) and not named and len(compact := json.dumps(value, ensure_ascii=False)) <= LINE:
        return f"{compact} {unit}".strip()
    return short_value(value, unit) or "empty"


def bounds(schema: Mapping[str, Any]) -> str:
    """Return the limits of a number in words: ``1 to 1000``."""
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f"{quantity(least, None)} to {quantity(most, None)}"
    words = []
    if least is not None:
        words.append(f"at least {quantity(least, None)}")
    if above is not None:
        words.append(f"more than {quantity(above, None)}")
    if most is not None:
        words.append(f"at most {quantity(most, None)}")
    if below is not None:
        words.append(f"less than {quantity(below, None)}")
    return ", ".join(words)


def title_of(name: str, schema: Mapping[str, Any]) -> str:
    """Return an input's title; one inside another says where it is."""
    *spaces, last = name.split(".")
    words = text_of(schema, "title", last.replace("_", " ").capitalize())
    return " · ".join([*(space.replace("_", " ").capitalize() for space in spaces), words])
