"""What a form holds: the schema, the values, and a plain sentence for each value that will not do. No widget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import traitlets


class FormModel(traitlets.HasTraits):  # type: ignore[misc]
    """The state of a form over a JSON Schema's ``properties``.

    Parameters
    ----------
    check
        Gets the values, returns sentences by field: what the schema cannot say (for example that charge and
        multiplicity do not fit). Called at every change.
    """

    schema = traitlets.Dict()
    values = traitlets.Dict()
    unreadable = traitlets.Dict()
    """Sentences for what was typed and is not a value at all; the view sets it."""
    errors = traitlets.Dict()
    valid = traitlets.Bool(True)

    def __init__(self, check: Callable[[dict[str, Any]], dict[str, str]] | None = None, **traits: Any) -> None:
        self._check = check
        self._refused: dict[str, str] = {}
        super().__init__(**traits)
        self.observe(self._judge_change, ["values"])
        self.observe(lambda _: self.judge(), ["schema", "unreadable"])
        self.judge()

    def load(self, schema: dict[str, Any], keep: dict[str, Any] | None = None) -> None:
        """Take a schema; fields get the values of ``keep``, else what they hold, else their defaults."""
        properties = schema.get("properties", {})
        values = {**defaults(schema), **{k: v for k, v in {**self.values, **(keep or {})}.items() if k in properties}}
        with self.hold_trait_notifications():
            self.schema = schema
            self.values = values
        self.judge()

    def refuse(self, field: str, sentence: str) -> None:
        """Put the service's own sentence next to a field, until its value changes."""
        self._refused[field] = sentence
        self.judge()

    def judge(self) -> None:
        """Work out ``errors`` and ``valid`` anew."""
        found = dict(schema_errors(self.schema, self.values))
        if self._check is not None:
            found = {**self._check(dict(self.values)), **found}
        found = {**found, **self._refused}
        self.errors = found
        self.valid = not found and not self.unreadable

    def _judge_change(self, change: Any) -> None:
        old, new = change["old"] or {}, change["new"]
        for field in list(self._refused):
            if old.get(field) != new.get(field):
                del self._refused[field]
        self.judge()


def defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """The default of each property that has one."""
    return {name: about["default"] for name, about in schema.get("properties", {}).items() if "default" in about}


def schema_errors(schema: dict[str, Any], values: dict[str, Any]) -> dict[str, str]:
    """Sentences for values outside the schema's types, limits and choices; the service checks the rest."""
    found: dict[str, str] = {}
    for name, about in schema.get("properties", {}).items():
        title = about.get("title", name)
        if values.get(name) is None:
            if name in schema.get("required", []) and "x-simdeck-type" not in about:
                found[name] = f"{title} is needed."
            continue
        sentence = _out_of_limits(title, about, values[name])
        if sentence:
            found[name] = sentence
    return found


def _out_of_limits(title: str, about: dict[str, Any], value: Any) -> str | None:
    kind = about.get("type")
    unit = f" {about['x-simdeck-unit']}" if about.get("x-simdeck-unit") else ""
    if "enum" in about and value not in about["enum"]:
        return f"{title} must be one of {', '.join(map(str, about['enum']))}."
    if kind not in {"number", "integer"}:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{title} must be a number."
    if kind == "integer" and int(value) != value:
        return f"{title} must be a whole number."
    low, high = about.get("minimum"), about.get("maximum")
    if low is not None and high is not None and not low <= value <= high:
        return f"{title} must be between {low:g} and {high:g}{unit}; it is {value:g}."
    if low is not None and value < low:
        return f"{title} must be at least {low:g}{unit}; it is {value:g}."
    if high is not None and value > high:
        return f"{title} must be at most {high:g}{unit}; it is {value:g}."
    return None
