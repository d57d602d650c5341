"""Turning what happens in AiiDA into the events of runs, each exactly once.

State and step events carry a key, so that seeing a change twice (live, and again after a restart) tells it once.
Progress lines are counted by bytes: lines and the new offset are written in one transaction.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simdeck_workflows.engine import reuse, tree
from simdeck_workflows.store import NewEvent, Store

LOG = logging.getLogger(__name__)

PROGRESS_FILE = "progress.jsonl"
_PIECE = 1024 * 1024


def step_event(node: Any) -> NewEvent:
    """The event that a process of a run has entered its present state."""
    state = tree.state_name(node)
    data: dict[str, Any] = {
        "process": node.uuid,
        "label": node.process_label or type(node).__name__,
        "title": tree.title(node),
        "kind": kind_of(node),
        "state": state,
    }
    if (taken := reuse.source(node)) is not None:
        data["reused_from"] = taken
    if node.exit_status is not None:
        data["exit_status"] = node.exit_status
        if node.exit_message:
            data["message"] = node.exit_message
    return NewEvent("step", data, key=f"{node.uuid}:{state}")


def kind_of(node: Any) -> str:
    """``workflow`` or ``calculation``."""
    return "workflow" if "Work" in type(node).__name__ else "calculation"


def complete_lines(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """The JSON objects in the complete lines of ``data``, and how many bytes those lines take.

    A line that is not a JSON object is passed over: a calculation's slip must not stop its progress.
    """
    end = data.rfind(b"\n") + 1
    lines = []
    for line in data[:end].splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            lines.append(_finite(found))
    return lines, end


def _finite(value: Any) -> Any:
    # json.loads takes NaN and Infinity; nothing downstream does.
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value - value != 0 else value


@dataclass
class Tail:
    """One calculation's progress file, read on from where the store says."""

    run: str
    node: Any
    directory: Path | None = None
    offset: int = -1

    def read(self, store: Store) -> int:
        """Take what has been added; return the number of new lines."""
        if self.directory is None and (directory := tree.work_directory(self.node)) is not None:
            self.directory = directory
        if self.directory is None:
            return 0
        if self.offset < 0:
            self.offset = store.offset(self.run, self.node.uuid)
        told = 0
        try:
            with (self.directory / PROGRESS_FILE).open("rb") as stream:
                stream.seek(self.offset)
                while data := stream.read(_PIECE):
                    lines, taken = complete_lines(data)
                    if taken == 0:
                        break
                    self.offset += taken
                    store.progress(self.run, self.node.uuid, self.offset, lines)
                    told += len(lines)
                    stream.seek(self.offset)
        except FileNotFoundError:
            pass
        except OSError as error:
            LOG.warning("progress of %s cannot be read: %s", self.node.uuid, error)
        return told


@dataclass
class Tails:
    """The progress files of all running calculations."""

    store: Store
    open: dict[str, Tail] = field(default_factory=dict)

    def follow(self, run: str, node: Any) -> None:
        if node.uuid not in self.open:
            self.open[node.uuid] = Tail(run, node)

    def drain(self, uuid: str) -> int:
        """Read a calculation's file to its end and leave it."""
        tail = self.open.pop(uuid, None)
        return tail.read(self.store) if tail is not None else 0

    def read(self) -> set[str]:
        """Read all; return the runs that have news."""
        return {tail.run for tail in list(self.open.values()) if tail.read(self.store)}
