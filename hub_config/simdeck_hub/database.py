"""The hub's SQLite database, so that a commit does not wait for the disk: each server that starts costs a dozen.

In SQLite's WAL mode with ``synchronous = normal`` nothing is lost when a process ends, however it ends. When the
machine fails, the last moments may be; servers are then found again by the book, which waits for the disk.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine


def do_not_wait_for_the_disk() -> None:
    """Set it for every SQLite database this process opens from now on."""
    if not event.contains(Engine, "connect", _set):
        event.listen(Engine, "connect", _set)


def _set(connection: Any, _: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
