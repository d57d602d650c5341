"""``--input name=value`` into the JSON a workflow's schema asks for; paths are read here, on the caller's machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simdeck_workflows import text_inputs
from simdeck_workflows.text_inputs import refusal


def parse(schema: dict[str, Any], given: Sequence[str]) -> dict[str, Any]:
    """Return the inputs for ``schema`` (JSON Schema of an object) from ``name=value`` texts.

    A name may be dotted (``relax.steps=10``). A value is read by the type its schema declares; a structure or file
    input takes a path (one of several files a path each time), an array or object takes JSON or a path to a JSON file.

    Raises
    ------
    Problem
        ``input-unreadable`` with the ``field``: an unknown name, a missing file, a value that is not of the type.
    """
    inputs: dict[str, Any] = {}
    for text in given:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not separator or not name:
            raise refusal(text, "this is not name=value", "Write for example --input charge=0")
        wanted = text_inputs.schema_of(schema, name)
        text_inputs.put(inputs, name, value_of(name, value, wanted, schema))
    return inputs


def value_of(name: str, text: str, wanted: dict[str, Any], root: dict[str, Any]) -> Any:
    """Return the JSON value of ``text``, which may be a path where the schema takes a file, an array or an object."""
    looks_like_json = text.lstrip().startswith(("{", "["))
    kind = text_inputs.file_kind(wanted, root)
    if kind and not looks_like_json:
        path = Path(text).expanduser()
        try:
            content = path.read_bytes()
        except OSError as error:
            reason = f"{text} cannot be read ({error.strerror or error})"
            raise refusal(name, reason, "Give the path of a file on this machine") from error
        return text_inputs.file_value(name, path.name, content, kind)
    types = {kind for option in text_inputs.options_of(wanted, root) for kind in text_inputs.types_of(option)}
    if types & {"array", "object"} and not looks_like_json and Path(text).is_file():
        text = Path(text).read_text(encoding="utf-8")
    return text_inputs.value_of(name, text, wanted, root)
