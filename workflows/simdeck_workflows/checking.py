"""Checking inputs against a workflow's JSON Schema, with refusals a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError
from simdeck_common.problems import Problem

_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a group of named values",
    "null": "empty",
}
_LIMITS = {
    "minimum": "at least {limit}",
    "maximum": "at most {limit}",
    "exclusiveMinimum": "more than {limit}",
    "exclusiveMaximum": "less than {limit}",
    "multipleOf": "a multiple of {limit}",
}
_LENGTHS = {
    "minLength": "at least {limit} characters long",
    "maxLength": "at most {limit} characters long",
    "minItems": "a list of at least {limit} entries",
    "maxItems": "a list of at most {limit} entries",
}
_WHOLE_FORM = {
    "structure": "must be a structure: a file's name and content, or symbols and positions",
    "file": "must be a file: its name and its content, as text or as base64",
}


def check_inputs(schema: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
    """Raise ``Problem("invalid-input")`` for the first fault, in the order of the form."""
    order = {name: place for place, name in enumerate(schema.get("properties", {}))}
    errors = sorted(
        Draft202012Validator(dict(schema)).iter_errors(dict(inputs)),
        key=lambda error: (order.get(str(next(iter(error.absolute_path), "")), -1), len(error.absolute_path)),
    )
    if errors:
        field, detail = explain(schema, errors[0])
        raise Problem("invalid-input", field=field, detail=detail)


def explain(schema: Mapping[str, Any], error: ValidationError) -> tuple[str, str]:
    """Return (field, sentence) of a validation error of ``schema``."""
    path = [str(part) for part in error.absolute_path]
    instance = cast(Any, error.instance)
    if error.validator == "required":
        missing = next(str(name) for name in cast(Any, error.validator_value) if name not in instance)
        shape, where = _special(schema, path)
        if shape is not None:
            return ".".join(where), f"{_title(schema, where)} {shape}."
        return ".".join([*path, missing]), f"A value is needed for {_title(schema, [*path, missing])}."
    if error.validator == "additionalProperties":
        known = cast(Mapping[str, Any], error.schema).get("properties", {})
        extra = next(str(name) for name in instance if name not in known)
        return ".".join([*path, extra]), f"There is no input called {extra}."
    shape, where = _special(schema, path)
    if shape is not None and error.validator in ("oneOf", "anyOf", "type"):
        return ".".join(where), f"{_title(schema, where)} {shape}."
    return ".".join(path) or "inputs", f"{_title(schema, path)} must be {_must(error)}."


def _must(error: ValidationError) -> str:
    kind, limit = str(error.validator), cast(Any, error.validator_value)
    unit = cast(Mapping[str, Any], error.schema).get("x-simdeck-unit")
    if kind == "type":
        kinds = limit if isinstance(limit, list) else [limit]
        return " or ".join(_KINDS.get(str(name), str(name)) for name in kinds)
    if kind in _LIMITS:
        return _LIMITS[kind].format(limit=limit) + (f" {unit}" if unit else "")
    if kind in _LENGTHS:
        return _LENGTHS[kind].format(limit=limit)
    if kind == "enum":
        return "one of " + ", ".join(str(value) for value in limit)
    if kind == "const":
        return str(limit)
    return f"valid ({error.message})"


def _special(schema: Mapping[str, Any], path: list[str]) -> tuple[str | None, list[str]]:
    """If the path lies in a structure or a file: how that must look, and where it is."""
    for length in range(1, len(path) + 1):
        found = _at(schema, path[:length])
        shape = _WHOLE_FORM.get(str(found.get("x-simdeck-type")))
        if shape is not None:
            return shape, path[:length]
    return None, path


def _title(schema: Mapping[str, Any], path: list[str]) -> str:
    if not path:
        return "The group of inputs"
    return str(_at(schema, path).get("title") or path[-1])


def _at(schema: Mapping[str, Any], path: list[str]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema
    for part in path:
        inner = found.get("properties", {}).get(part)
        if inner is None:
            inner = found.get("items") if part.isdecimal() else None
        if not isinstance(inner, Mapping):
            return {}
        found = inner
    return found
