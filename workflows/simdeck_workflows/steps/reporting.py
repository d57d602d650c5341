"""Live progress from inside a step: lines that the engine turns into events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = "progress.jsonl"

_on = False


def start() -> None:
    """From here on this process is a step's job, in its working directory."""
    global _on
    _on = True


def progress(**data: Any) -> None:
    """Show how far the step is: ``progress(step=3, energy=-1.2, energy_unit="eV")``. Outside of a job, nothing."""
    if _on:
        with Path(FILE).open("a", encoding="utf-8") as out:
            out.write(json.dumps(data) + "\n")
