"""Tasks and their events on disk (SQLite): written before the effect, so that a crash is told from success."""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simdeck_agent.models import ENDED, Task, TaskEvent, TaskKind, now

KEPT = 200
"""Ended tasks that are kept; older ones are forgotten with their events."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    task TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    time TEXT NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (task, seq)
) WITHOUT ROWID;
"""


class TaskStore:
    """The task database at ``path`` (mode 600); safe to use from several threads of one process."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA foreign_keys=ON")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def create(self, kind: TaskKind, app: str, version: str | None) -> Task:
        """Write down a queued task and its first event, and forget the oldest ended ones."""
        task = Task(id=str(uuid.uuid4()), kind=kind, app=app, version=version, state="queued", created=now())
        with self._write() as db:
            db.execute("INSERT INTO tasks (id, state, record) VALUES (?, ?, ?)", (task.id, task.state, _dump(task)))
            _add_event(db, task.id, "state", {"state": "queued"})
            db.execute(
                "DELETE FROM tasks WHERE state IN ('done', 'failed', 'cancelled') AND number NOT IN "
                "(SELECT number FROM tasks ORDER BY number DESC LIMIT ?)",
                (KEPT,),
            )
        return task

    def get(self, task_id: str) -> Task | None:
        rows = self._rows("SELECT record FROM tasks WHERE id = ?", task_id)
        return Task.model_validate_json(rows[0][0]) if rows else None

    def recent(self, limit: int = KEPT) -> list[Task]:
        """Return tasks, newest first."""
        rows = self._rows("SELECT record FROM tasks ORDER BY number DESC LIMIT ?", limit)
        return [Task.model_validate_json(row[0]) for row in rows]

    def unfinished(self) -> list[Task]:
        """Return queued and running tasks, oldest first."""
        rows = self._rows("SELECT record FROM tasks WHERE state IN ('queued', 'running') ORDER BY number")
        return [Task.model_validate_json(row[0]) for row in rows]

    def update(self, task_id: str, event: str, data: dict[str, Any], **changes: Any) -> Task | None:
        """Change a task that has not ended and record the event with it; return the task, or None if it has ended."""
        with self._write() as db:
            row = db.execute("SELECT record FROM tasks WHERE id = ?", (task_id,)).fetchone()
            task = Task.model_validate_json(row[0]) if row else None
            if task is None or task.over:
                return None
            if changes.get("state") in ENDED:
                changes["ended"] = now()
            if changes:
                task = task.model_copy(update=changes)
                db.execute("UPDATE tasks SET state = ?, record = ? WHERE id = ?", (task.state, _dump(task), task_id))
            _add_event(db, task_id, event, data)
        return task

    def events(self, task_id: str, after: int, limit: int = 500) -> list[TaskEvent]:
        """Return the task's events with ``seq`` greater than ``after``, in order."""
        rows = self._rows(
            "SELECT seq, time, type, data FROM events WHERE task = ? AND seq > ? ORDER BY seq LIMIT ?",
            task_id,
            after,
            limit,
        )
        return [TaskEvent(seq=seq, time=time, type=kind, data=json.loads(data)) for seq, time, kind, data in rows]


def _dump(task: Task) -> str:
    return task.model_dump_json()


def _add_event(db: sqlite3.Connection, task_id: str, kind: str, data: dict[str, Any]) -> None:
    db.execute(
        "INSERT INTO events SELECT ?, COALESCE(MAX(seq), 0) + 1, ?, ?, ? FROM events WHERE task = ?",
        (task_id, now(), kind, json.dumps(data), task_id),
    )
