"""What the backend does that needs no state: checking inputs, naming runs, handing files over."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from simdeck_common.problems import Problem

from simdeck_workflows.checking import check_inputs
from simdeck_workflows.models import Workflow

_PIECE = 256 * 1024


def release(path: Path) -> None:
    """Delete a file that was handed over, with its folder."""
    shutil.rmtree(path.parent, ignore_errors=True)


async def pieces(path: Path) -> AsyncIterator[bytes]:
    """The bytes of a file that was handed over; it is deleted afterwards."""
    try:
        with path.open("rb") as stream:
            while piece := await asyncio.to_thread(stream.read, _PIECE):
                yield piece
    finally:
        release(path)


def check(workflow: Workflow, inputs: dict[str, Any]) -> None:
    """Check inputs by the JSON Schema. Raises ``invalid-input``."""
    try:
        json.dumps(inputs, allow_nan=False)
    except ValueError:
        raise Problem("invalid-input", field="inputs", detail="NaN and infinite numbers cannot be inputs.") from None
    check_inputs(workflow.input_schema, inputs)


def title_of(workflow: Workflow, inputs: dict[str, Any]) -> str:
    """The workflow's title, with the name of the first file among the inputs."""
    names = (str(value["name"]) for value in inputs.values() if isinstance(value, dict) and value.get("name"))
    name = next(names, None)
    return f"{workflow.title}: {name}"[:200] if name else workflow.title
