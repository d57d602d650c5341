"""What is finished, as JSON lines that survive a kill: append only, flushed per line, a torn last line ignored."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PREVIOUS = Path("previous")
"""Where a restart finds the files of the calculation it continues."""


class Journal:
    """The finished steps of one stage. The first line names the task, so that only its own steps are taken up."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        self._fingerprint = fingerprint
        previous = path.parent / PREVIOUS / path.name
        if not path.exists() and previous.exists():
            half = path.with_suffix(".half")
            shutil.copyfile(previous, half)
            os.replace(half, path)
        self.entries: list[dict[str, Any]] = list(self._read())
        self._rewrite()

    def _rewrite(self) -> None:
        # Whole, so that a torn line never sits in the middle of later ones.
        half = self._path.with_suffix(".half")
        with half.open("w") as file:
            for line in ({"task": self._fingerprint}, *self.entries):
                file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, self._path)

    def truncate(self, count: int) -> None:
        """Forget all entries but the first ``count``."""
        if count < len(self.entries):
            del self.entries[count:]
            self._rewrite()

    def _read(self) -> Iterator[dict[str, Any]]:
        if not self._path.exists():
            return
        lines = read_json_lines(self._path)
        if not lines or lines[0].get("task") != self._fingerprint:
            return
        yield from lines[1:]

    def append(self, entry: dict[str, Any]) -> None:
        """Record a finished step; on disk when this returns, as far as a killed process goes."""
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        self.entries.append(entry)


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file up to the first line that is torn."""
    found: list[dict[str, Any]] = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            value = json.loads(line)
        except ValueError:
            break
        if not isinstance(value, dict):
            break
        found.append(value)
    return found


def progress(**data: Any) -> None:
    """Append a line to the working directory's ``progress.jsonl``, in one write so that no reader sees half of it."""
    line = (json.dumps(data, ensure_ascii=False) + "\n").encode()
    descriptor = os.open("progress.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file so that it is there whole or not at all."""
    half = path.with_suffix(".half")
    with half.open("w") as file:
        json.dump(data, file, indent=1, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(half, path)
