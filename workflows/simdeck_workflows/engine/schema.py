"""From a process spec and its ``SIMDECK`` annotations to the JSON Schema of the inputs and the list of outputs.

One schema serves form, REST and command line. The functions look at classes only; they store nothing and need no
profile (except where a port's default is made by a function that makes an AiiDA node).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from aiida import orm
from aiida.engine import BaseRestartWorkChain
from aiida.engine.processes.ports import PortNamespace

from simdeck_workflows.engine.values import to_json
from simdeck_workflows.models import OutputSpec, Workflow

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_FILE: dict[str, Any] = {
    "type": "object",
    "x-simdeck-type": "file",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^/\\x00]+$"},
        "content": {"type": "string"},
        "base64": {"type": "string", "contentEncoding": "base64"},
    },
    "required": ["name"],
    "oneOf": [{"required": ["content"]}, {"required": ["base64"]}],
    "additionalProperties": False,
}
_VECTOR = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
_STRUCTURE: dict[str, Any] = {
    "type": "object",
    "x-simdeck-type": "structure",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 255},
        "content": {"type": "string"},
        "symbols": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "positions": {"type": "array", "items": _VECTOR, "x-simdeck-unit": "Å"},
        "cell": {"type": ["array", "null"], "items": _VECTOR, "minItems": 3, "maxItems": 3, "x-simdeck-unit": "Å"},
        "pbc": {"type": "array", "items": {"type": "boolean"}, "minItems": 3, "maxItems": 3},
    },
    "oneOf": [{"required": ["name", "content"]}, {"required": ["symbols", "positions"]}],
    "additionalProperties": False,
}
_FILES: dict[str, Any] = {"type": "array", "x-simdeck-type": "files", "minItems": 1, "maxItems": 999, "items": _FILE}
_NODE: dict[str, Any] = {
    "type": "object",
    "x-simdeck-type": "node",
    "properties": {"uuid": {"type": "string"}},
    "required": ["uuid"],
    "additionalProperties": False,
}

# Order matters: the first class of which the port's type is a subclass.
_TYPES: tuple[tuple[type, dict[str, Any]], ...] = (
    (orm.Bool, {"type": "boolean"}),
    (orm.Int, {"type": "integer"}),
    (orm.Float, {"type": "number"}),
    (orm.Str, {"type": "string"}),
    (orm.EnumData, {"type": "string"}),
    (orm.List, {"type": "array"}),
    (orm.Dict, {"type": "object"}),
    (orm.StructureData, _STRUCTURE),
    (orm.SinglefileData, _FILE),
    (orm.FolderData, _FILES),
)

_RENAMED = {"unit": "x-simdeck-unit", "help": "description", "choices": "enum"}
_KEYWORDS = frozenset(
    {
        "title", "description", "default", "examples", "enum", "const", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "format", "items", "minItems",
        "maxItems", "uniqueItems", "properties", "required", "additionalProperties",
    }
)  # fmt: skip


def workflow_of(name: str, process: Any) -> Workflow:
    """Describe a process class found under the entry point ``name``."""
    notes = notes_of(process)
    title = notes.get("title") or _words(process.__name__.removesuffix("WorkChain").removesuffix("Calculation"))
    return Workflow.model_validate(
        {
            "name": name,
            "title": title,
            "summary": notes.get("summary") or (inspect.getdoc(process) or "").split("\n\n")[0].replace("\n", " "),
            "schema": {"$schema": SCHEMA_DIALECT, "title": title, **inputs_schema(process)},
            "outputs": [output.model_dump() for output in outputs_of(process)],
            "headline": list(notes.get("headline", [])),
        }
    )


def notes_of(process: Any) -> Mapping[str, Any]:
    """The class's own ``SIMDECK`` attribute, or nothing."""
    found: Mapping[str, Any] = getattr(process, "SIMDECK", {})
    return found


def inputs_schema(process: Any) -> dict[str, Any]:
    """The JSON Schema of a process's inputs, without ``metadata`` and codes."""
    notes = notes_of(process).get("inputs", {})
    schema = _namespace(process.spec().inputs, notes, "")
    if issubclass(process, BaseRestartWorkChain):
        # Knobs of the restart machinery are the author's to turn, not the scientist's.
        for name in set(BaseRestartWorkChain.spec().inputs) - set(notes):
            schema["properties"].pop(name, None)
    if notes:
        for name in set(schema["properties"]) - {note.split(".")[0] for note in notes}:
            schema["properties"][name]["x-simdeck-advanced"] = True
    # Annotated inputs first, in the author's order: that is the order of the form.
    order = [name for name in notes if name in schema["properties"]]
    order += [name for name in schema["properties"] if name not in notes]
    schema["properties"] = {name: schema["properties"][name] for name in order}
    return schema


def outputs_of(process: Any) -> Iterable[OutputSpec]:
    """The declared outputs, annotated ones first."""
    notes = notes_of(process).get("outputs", {})
    ports = dict(_leaves(process.spec().outputs, ""))
    for name in [*(name for name in notes if name in ports), *(name for name in ports if name not in notes)]:
        note = notes.get(name, {})
        yield OutputSpec(
            name=name,
            title=note.get("title") or _words(name),
            type=" or ".join(kind.__name__ for kind in valid_types(ports[name])) or "Data",
            unit=note.get("unit"),
            help=note.get("help") or ports[name].help,
        )


def valid_types(port: Any) -> tuple[type, ...]:
    """A port's valid types, without None."""
    kinds = port.valid_type if isinstance(port.valid_type, tuple) else (port.valid_type,)
    return tuple(kind for kind in kinds if kind not in (None, type(None)))


def is_code(port: Any) -> bool:
    """Whether a port takes a code: it is filled by the worker and not asked for."""
    kinds = valid_types(port)
    return bool(kinds) and all(issubclass(kind, orm.AbstractCode) for kind in kinds)


def is_asked(name: str, port: Any) -> bool:
    """Whether a caller may give this port a value."""
    if name == "metadata" or getattr(port, "is_metadata", False):
        return False
    return isinstance(port, PortNamespace) or not is_code(port)


def type_schema(kinds: Iterable[type]) -> dict[str, Any]:
    """The JSON Schema of a value for any of the AiiDA data types ``kinds``."""
    options: list[dict[str, Any]] = []
    for kind in kinds:
        found = next((schema for known, schema in _TYPES if issubclass(kind, known)), _NODE)
        if found not in options:
            options.append(found)
    if {"type": "number"} in options:
        options = [option for option in options if option != {"type": "integer"}]
    if not options:
        return {}
    return dict(options[0]) if len(options) == 1 else {"anyOf": options}


def _namespace(namespace: Any, notes: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required = []
    for name, port in namespace.items():
        if not is_asked(name, port):
            continue
        if isinstance(port, PortNamespace):
            inner = _namespace(port, notes, f"{prefix}{name}.")
            if not inner["properties"] and not port.dynamic:
                continue
            properties[name] = {"title": _words(name), **inner, **_annotated(notes.get(prefix + name, {}))}
            needed = port.required and bool(inner.get("required"))
        else:
            properties[name] = _leaf(name, port, notes.get(prefix + name, {}))
            needed = port.required and not port.has_default()
        if needed:
            required.append(name)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": bool(namespace.dynamic),
    }
    if required:
        schema["required"] = required
    return schema


def _leaf(name: str, port: Any, note: Mapping[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"title": _words(name), **type_schema(valid_types(port))}
    if port.help:
        schema["description"] = port.help
    if port.has_default():
        default = port.default() if callable(port.default) else port.default
        value = to_json(default)
        if value is not None:
            schema["default"] = value
    return {**schema, **_annotated(note)}


def _annotated(note: Mapping[str, Any]) -> dict[str, Any]:
    schema = {}
    for key, value in note.items():
        name = _RENAMED.get(key, key)
        if name not in _KEYWORDS and not name.startswith("x-"):
            name = f"x-simdeck-{name}"
        schema[name] = value
    return schema


def _leaves(namespace: Any, prefix: str) -> Iterable[tuple[str, Any]]:
    for name, port in namespace.items():
        if isinstance(port, PortNamespace):
            yield from _leaves(port, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", port


def _words(name: str) -> str:
    text = "".join(f" {c}" if c.isupper() and i and not name[i - 1].isupper() else c for i, c in enumerate(name))
    words = text.replace("_", " ").replace(".", " ").split()
    return " ".join([words[0].capitalize(), *(word.lower() for word in words[1:])]) if words else name
