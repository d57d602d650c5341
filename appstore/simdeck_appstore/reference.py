"""The manifest's reference for people and editors, generated from its model.

``python -m simdeck_appstore.reference`` prints the table of docs/apps.md, ``--commands`` that of described programs,
``--schema`` the JSON Schema.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import BaseModel

from simdeck_appstore.commands import Command, Input, InputFile, JobResources, Output
from simdeck_appstore.entries import CommandEntry, NotebookEntry, Page, StaticEntry
from simdeck_appstore.manifest import Citation, Manifest, Resources, Smoke, json_schema

# Tables within the table: under which key, how its keys are written, and the model that knows them.
NESTED: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("entry", "entry.{key} (notebook)", NotebookEntry),
    ("entry", "entry.{key} (command)", CommandEntry),
    ("entry", "entry.{key} (static)", StaticEntry),
    ("pages", "pages[].{key}", Page),
    ("resources", "resources.{key}", Resources),
    ("smoke", "smoke.{key}", Smoke),
    ("citations", "citations[].{key}", Citation),
)


def reference_table() -> str:
    """Return a Markdown table of every key: type, default, meaning."""
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    schema = Manifest.model_json_schema()
    for name, data in schema["properties"].items():
        lines.append(_row(name, data, name in schema["required"]))
        for parent, written, model in NESTED:
            if parent == name:
                lines += _nested(written, model.model_json_schema())
    return "\n".join(lines) + "\n"


def command_table() -> str:
    """Return a Markdown table of every key of ``[[tool.simdeck.commands]]``: type, default, meaning."""
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    nested: dict[str, tuple[str, type[BaseModel]]] = {
        "inputs": ("inputs.NAME.{key}", Input),
        "files": ("files.NAME.{key}", InputFile),
        "outputs": ("outputs.NAME.{key}", Output),
        "resources": ("resources.{key}", JobResources),
    }
    schema = Command.model_json_schema()
    for name, data in schema["properties"].items():
        lines.append(_row(name, {key: value for key, value in data.items() if name != "resources" or key != "default"},
                          name in schema["required"]))  # fmt: skip
        if name in nested:
            written, model = nested[name]
            lines += _nested(written, model.model_json_schema())
    return "\n".join(lines) + "\n"


def _nested(written: str, schema: dict[str, Any]) -> list[str]:
    keys = {key: data for key, data in schema["properties"].items() if key != "kind"}
    return [_row(written.format(key=key), data, key in schema.get("required", ())) for key, data in keys.items()]


def _row(name: str, data: dict[str, Any], required: bool) -> str:
    default = "**required**" if required else f"`{json.dumps(data.get('default'), ensure_ascii=False)}`"
    if default == "`null`":
        default = "–"
    return f"| `{name}` | {_type(data)} | {default} | {data.get('description', '')} |"


def _type(data: dict[str, Any]) -> str:
    if "anyOf" in data:
        return " or ".join(dict.fromkeys(_type(part) for part in data["anyOf"] if part.get("type") != "null"))
    if data.get("type") == "array":
        kinds = [_type(part) for part in data["items"].get("anyOf", [data["items"]])]
        plurals = [kind.replace("list of", "lists of") if kind.startswith("list of") else f"{kind}s" for kind in kinds]
        return f"list of {' or '.join(plurals)}"
    if "enum" in data:
        return ", ".join(f"`{value}`" for value in data["enum"])
    if "$ref" in data or "oneOf" in data or "allOf" in data:
        return "table"
    return str(data.get("type", "table"))


def pyproject_schema() -> dict[str, Any]:
    """Return the JSON Schema of a whole ``pyproject.toml`` that says something of ``[tool.simdeck]`` alone.

    Editors take a schema for a file, not for a table: ``#:schema <address>`` in its first line.
    """
    schema = json_schema()
    definitions = schema.pop("$defs", {})
    draft = schema.pop("$schema")
    return {
        "$schema": draft,
        "title": "pyproject.toml of a Simdeck app",
        "type": "object",
        "required": ["project", "tool"],
        "properties": {"tool": {"type": "object", "required": ["simdeck"], "properties": {"simdeck": schema}}},
        "$defs": definitions,
    }


def main() -> None:
    """Print the table, or with ``--schema`` the JSON Schema."""
    if "--schema" in sys.argv[1:]:
        print(json.dumps(json_schema(), indent=1, ensure_ascii=False))
    elif "--commands" in sys.argv[1:]:
        print(command_table(), end="")
    else:
        print(reference_table(), end="")


if __name__ == "__main__":
    main()
