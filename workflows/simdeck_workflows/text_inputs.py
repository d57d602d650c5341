"""Texts into the JSON a workflow's schema asks for: what the command line and a posted form have in common. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from simdeck_common.problems import Problem

BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def schema_of(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the property schema of the input ``name``, which may be dotted (``relax.steps``).

    Raises
    ------
    Problem
        ``input-unreadable``: the workflow has no such input.
    """
    here = schema
    for part in name.split("."):
        for option in options_of(here, schema):
            known = option.get("properties", {})
            if part in known:
                here = known[part]
                break
            if option.get("additionalProperties") not in (None, False):
                extra = option["additionalProperties"]
                here = extra if isinstance(extra, dict) else {}
                break
        else:
            names = sorted({key for option in options_of(here, schema) for key in option.get("properties", {})})
            raise refusal(name, "the workflow has no such input", f"Inputs: {', '.join(names) or 'none'}")
    return here


def put(inputs: dict[str, Any], name: str, value: Any) -> None:
    """Set the input ``name`` (dotted: nested) in ``inputs``; one of several files joins those before it.

    Raises ``input-unreadable`` when it is there already.
    """
    parts = name.split(".")
    target = inputs
    for part in parts[:-1]:
        target = target.setdefault(part, {})
    known = target.get(parts[-1])
    if isinstance(known, list) and _are_files(known) and _are_files(value):
        known.extend(value)
        return
    if parts[-1] in target:
        raise refusal(name, "it is given twice", "Give each input once")
    target[parts[-1]] = value


def _are_files(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) and "name" in one for one in value)


def file_kind(wanted: dict[str, Any], root: dict[str, Any]) -> str | None:
    """Return ``structure``, ``file`` or ``files`` where the property schema ``wanted`` takes a file, else None."""
    found = [option["x-simdeck-type"] for option in [wanted, *options_of(wanted, root)] if "x-simdeck-type" in option]
    return str(found[0]) if found and found[0] in {"structure", "file", "files"} else None


def file_value(name: str, file_name: str, content: bytes, kind: str) -> Any:
    """Return the JSON of a file for an input of ``kind``. Raises ``input-unreadable``: a structure that is no text."""
    if kind == "files":
        return [file_value(name, file_name, content, "file")]
    try:
        return {"name": file_name, "content": content.decode()}
    except UnicodeDecodeError as error:
        if kind == "file":
            return {"name": file_name, "base64": base64.b64encode(content).decode()}
        hint = "Give a structure file such as XYZ, CIF or SDF"
        raise refusal(name, f"{file_name} is not a text file", hint) from error


def value_of(name: str, text: str, wanted: dict[str, Any], root: dict[str, Any]) -> Any:
    """Return the JSON value of ``text`` for the property schema ``wanted`` (``root`` resolves its references).

    Raises
    ------
    Problem
        ``input-unreadable`` with the ``field``: the text is not of the declared type.
    """
    options = options_of(wanted, root)
    types = [kind for option in options for kind in types_of(option)]
    if kind := file_kind(wanted, root):
        types = ["array" if kind == "files" else "object"]
    if text in {"", "null"} and "null" in types:
        return None
    faults = []
    for kind in sorted({one for one in types if one != "null"}, key=PREFERENCE.index):
        try:
            return READERS[kind](text)
        except ValueError as error:
            faults.append(str(error))
    if not faults:
        return _json_or_text(text)
    raise refusal(name, faults[0], "Give a value of that kind")


def options_of(schema: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schema's alternatives with references resolved (``$ref`` within ``root``, ``anyOf``, ``oneOf``)."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        target: Any = root
        for part in reference[2:].split("/"):
            target = target.get(part, {}) if isinstance(target, dict) else {}
        return options_of({**target, **{key: value for key, value in schema.items() if key != "$ref"}}, root)
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        return [option for alternative in alternatives for option in options_of(alternative, root)]
    return [schema]


def types_of(option: dict[str, Any]) -> list[str]:
    """Return the JSON types that one alternative of a schema allows, as far as they can be read from text."""
    kind = option.get("type")
    if kind is None and "enum" in option:
        return sorted({_type_of(value) for value in option["enum"]})
    kinds = kind if isinstance(kind, list) else [kind]
    return [one for one in kinds if one in READERS or one == "null"]


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return {int: "integer", float: "number", str: "string", list: "array", dict: "object"}.get(type(value), "null")


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _boolean(text: str) -> bool:
    try:
        return BOOLEANS[text.strip().lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither true nor false") from None


def _container(what: str, kind: type[list[Any]] | type[dict[Any, Any]]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = json.loads(text)
        except ValueError:
            raise ValueError(f"{text!r} is not {what} in JSON") from None
        if not isinstance(value, kind):
            raise ValueError(f"{text!r} is not {what} in JSON")
        return value

    return read


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


READERS: dict[str, Callable[[str], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "array": _container("an array", list),
    "object": _container("an object", dict),
    "string": str,
}
PREFERENCE = list(READERS)
"""Where a schema allows several types, the narrower reading is tried first."""


def refusal(field: str, reason: str, hint: str) -> Problem:
    """Return the problem ``input-unreadable`` of an input."""
    return Problem("input-unreadable", field=field, reason=reason, hint=hint.rstrip("."))
