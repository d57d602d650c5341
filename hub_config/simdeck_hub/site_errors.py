"""What is said about a wrong line of the site file: the file, the line, the fault, and what may stand there."""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from simdeck_common.problems import Problem

Place = list[str | int]
"""Keys and, in arrays of tables, numbers from 0: ``["clusters", 1, "partitions", 0, "name"]``."""


def explain(path: Path, text: str, faults: Sequence[Any], model: type[BaseModel]) -> Problem:
    """Turn pydantic's errors into a refusal of one, which names the line and what to write instead."""
    # A misspelt key is often a missing one too: the misspelling is what to mend.
    fault = next((one for one in faults if one["type"] == "extra_forbidden"), faults[0])
    where = written(model, list(fault["loc"]))
    line = line_of(text, where)
    keys = [part for part in where if isinstance(part, str)]
    dotted = ".".join(keys)
    if fault["type"] == "extra_forbidden":
        known = keys_of(model_at(model, list(fault["loc"])[:-1]) or model)
        kind = "section" if len(keys) == 1 else "key"
        return refusal(path, line, f"there is no {kind} {dotted!r}", f"Known here: {', '.join(sorted(known))}")
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "string_pattern_mismatch" and keys[0] in {"users", "groups"}:
        return refusal(
            path,
            line,
            f"{fault['input']!r} is not a hub user's name",
            "Use lower-case letters, digits, '_', '.' and '-', at most 32",
        )
    if fault["type"] == "missing":
        holder = ".".join(keys[:-1])
        return refusal(path, line, f"{holder} lacks the key {keys[-1]!r}", f"Add a line {keys[-1]} = …")
    if not where:
        what, separator, hint = message.partition("; ")
        return refusal(path, line_of(text, named_in(message, model)), what, capital(hint) if separator else "Change it")
    given = f" (given: {fault['input']!r})" if isinstance(fault["input"], (str, int, float, bool)) else ""
    means = meaning(model, where)
    return refusal(
        path, line, f"{dotted}: {message}{given}", f"What it means: {means}" if means else "Correct the value"
    )


def refusal(path: Path, line: int, what: str, hint: str) -> Problem:
    return Problem("site-file", field=f"{path}:{line}", what=f"{path}, line {line}: {what}", hint=hint.rstrip("."))


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def named_in(message: str, model: type[BaseModel]) -> Place:
    """Return the place a sentence about the whole file begins with (``servers.kind = …``), as far as it has one."""
    found = re.match(r"(?:.*?\b)?([a-z_]+)\.([a-z_]+) = ", message)
    if found and found.group(1) in model.model_fields:
        return [found.group(1), found.group(2)]
    found = re.match(r"(?:a |the )?([a-z]+)", message)
    plural = {
        "cluster": "clusters",
        "preset": "presets",
        "policy": "policies",
        "registry": "registries",
        "code": "codes",
    }.get(found.group(1) if found else "")
    return [plural, 0] if plural else []


# --- the model, by place --------------------------------------------------------------------------------------------


def keys_of(model: type[BaseModel]) -> set[str]:
    """Return the keys as they are written in the file."""
    return {field.alias or name for name, field in model.model_fields.items()}


def field_of(model: type[BaseModel], key: str) -> FieldInfo | None:
    for name, field in model.model_fields.items():
        if key in {name, field.alias}:
            return field
    return None


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models inside a type: ``tuple[Preset, ...]``, ``Venv | Container | None`` …"""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


def model_at(model: type[BaseModel], where: Place) -> type[BaseModel] | None:
    """Return the model of the table at ``where``; ``None`` where there is no one model."""
    choices = [model]
    for part in where:
        if isinstance(part, int):
            continue
        found = next((field for choice in choices if (field := field_of(choice, part))), None)
        if found is None:
            # pydantic names the chosen kind of a table with several: it is in no file.
            choices = [choice for choice in choices if tag_of(choice) == part] or choices
        else:
            choices = models_in(found.annotation)
    return choices[0] if choices else None


def written(model: type[BaseModel], where: Place) -> Place:
    """Return ``where`` as the file has it: without the names pydantic gives to the kinds of a table."""
    return [
        part
        for position, part in enumerate(where)
        if isinstance(part, int) or not is_tag(model_at(model, where[:position]), model, where[:position], part)
    ]


def is_tag(holder: type[BaseModel] | None, model: type[BaseModel], before: Place, part: str) -> bool:
    if holder is None or field_of(holder, part) is not None or not before:
        return False
    chosen = model_at(model, [*before, part])
    return chosen is not None and tag_of(chosen) == part


def tag_of(model: type[BaseModel]) -> str:
    field = model.model_fields.get("kind")
    return str(field.default) if field else ""


def meaning(model: type[BaseModel], where: Place) -> str:
    """Return the description of the key at ``where``, or nothing."""
    keys = [position for position, part in enumerate(where) if isinstance(part, str)]
    if not keys:
        return ""
    holder = model_at(model, where[: keys[-1]])
    field = field_of(holder, str(where[keys[-1]])) if holder else None
    return (field.description or "").rstrip(".") if field else ""


# --- the text -------------------------------------------------------------------------------------------------------

HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
ENTRY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")


def line_of(text: str, where: Place) -> int:
    """Return the line (from 1) where ``where`` stands in ``text``; that of the table it is in where it has none."""
    counts: dict[tuple[str | int, ...], int] = {}
    table: Place = []
    best = 1
    for number, line in enumerate(text.splitlines(), start=1):
        if header := HEADER.match(line):
            table = open_table(split_key(header.group(2)), header.group(1) == "[[", counts)
            if table == where[: len(table)]:
                best = number
            if table == where:
                return number
        elif entry := ENTRY.match(line):
            full = [*table, *split_key(entry.group(1))]
            if full == where:
                return number
            if full == where[: len(full)]:
                best = number
    return best


def open_table(keys: list[str], one_more: bool, counts: dict[tuple[str | int, ...], int]) -> Place:
    """Return the place of the table whose header was read; ``counts`` numbers the arrays' tables."""
    place: Place = []
    for position, key in enumerate(keys):
        place.append(key)
        if one_more and position == len(keys) - 1:
            counts[tuple(place)] = counts.get(tuple(place), -1) + 1
        if tuple(place) in counts:
            place.append(counts[tuple(place)])
    return place


def split_key(key: str) -> list[str]:
    return [part.strip().strip("\"'") for part in key.split(".")]
