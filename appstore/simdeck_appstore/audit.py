"""Who installed, updated and removed what, and when: a file that is only ever appended to, one JSON object a line.

What is asked for is written before anything happens, under an id of its own; what became of it follows as further lines
with that id. :meth:`Audit.read` puts them together again.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

Outcome = Literal["asked", "begun", "done", "failed", "cancelled", "refused", "unknown"]
OPEN: frozenset[str] = frozenset({"asked", "begun"})
NAME = "audit.jsonl"


class AuditEntry(BaseModel):
    """One thing that somebody asked for, with what became of it. Times are ISO 8601 UTC.

    ``what`` is ``install``, ``rollback``, ``remove`` …, with ``site-`` before it where it is for everybody. ``detail``:
    the code of the problem, where it failed or was refused.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    time: str
    who: str
    what: str
    app: str
    version: str | None = None
    outcome: Outcome = "asked"
    ended: str | None = None
    task: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Audit:
    """The file ``path``; several processes may write at the same time."""

    path: Path

    def ask(self, who: str, what: str, app: str, version: str | None = None) -> str:
        """Write down that ``who`` asks for ``what``; return the id for what becomes of it."""
        made = uuid.uuid4().hex[:16]
        self._append({"id": made, "time": _now(), "who": who, "what": what, "app": app, "version": version})
        return made

    def tell(self, entry: str, outcome: Outcome, **more: str | None) -> None:
        """Write down what became of ``entry``; ``more``: ``task``, ``version``, ``detail``."""
        known = {key: value for key, value in more.items() if value is not None}
        ended = {} if outcome in OPEN else {"ended": _now()}
        self._append({"id": entry, "outcome": outcome, **ended, **known})

    def read(self, *, who: str | None = None, app: str | None = None, limit: int | None = 100) -> list[AuditEntry]:
        """Return the entries, newest first; a damaged line is passed over."""
        merged: dict[str, dict[str, Any]] = {}
        for line in self._lines():
            merged.setdefault(line["id"], {}).update(line)
        found = []
        for data in reversed(merged.values()):
            try:
                entry = AuditEntry.model_validate(data)
            except ValidationError:
                continue
            if who in (None, entry.who) and app in (None, entry.app):
                found.append(entry)
                if limit is not None and len(found) >= limit:
                    break
        return found

    def open_entries(self) -> list[AuditEntry]:
        """Return what nobody has told the end of."""
        return [entry for entry in self.read(limit=None) if entry.outcome in OPEN]

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            text = self.path.read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                data = json.loads(line)
            except ValueError:
                continue
            if isinstance(data, dict) and isinstance(data.get("id"), str):
                yield data

    def _append(self, data: dict[str, Any]) -> None:
        kept = {key: value for key, value in data.items() if value is not None}
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.geteuid() == 0:
                # An administrator's command may write first; the file is the service's.
                parent = os.stat(self.path.parent)
                os.fchown(handle, parent.st_uid, parent.st_gid)
            os.write(handle, (self._gap() + json.dumps(kept, ensure_ascii=False) + "\n").encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def _gap(self) -> str:
        """Return a line's end where a killed writer has left half a line."""
        with self.path.open("rb") as stream:
            if stream.seek(0, os.SEEK_END) == 0:
                return ""
            stream.seek(-1, os.SEEK_END)
            return "" if stream.read(1) == b"\n" else "\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
