"""What each person chose last for each app, in a small SQLite database of the deck's own."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from simdeck_common.layout import private_dir

KEPT = 200
"""Apps remembered for one person."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS choices (
    user TEXT NOT NULL, app TEXT NOT NULL, options TEXT NOT NULL, chosen REAL NOT NULL, PRIMARY KEY (user, app)
);
"""


class Choices:
    """The last choices, under ``folder``; calls block for a moment and may come from any thread."""

    def __init__(self, folder: Path) -> None:
        path = private_dir(folder) / "choices.sqlite"
        path.touch(mode=0o600)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def last(self, user: str, app: str) -> dict[str, Any] | None:
        """Return the options ``user`` started ``app`` with last; an empty ``app`` stands for a server as such."""
        with self._lock:
            row = self._db.execute("SELECT options FROM choices WHERE user = ? AND app = ?", (user, app)).fetchone()
        return json.loads(row[0]) if row else None

    def remember(self, user: str, app: str, options: dict[str, Any]) -> None:
        """Write down a choice; the person's oldest are forgotten beyond ``KEPT``."""
        kept = json.dumps({key: value for key, value in options.items() if key != "app"})
        with self._lock, self._db:
            self._db.execute(
                "INSERT INTO choices VALUES (?, ?, ?, ?) "
                "ON CONFLICT (user, app) DO UPDATE SET options = excluded.options, chosen = excluded.chosen",
                (user, app, kept, time.time()),
            )
            self._db.execute(
                "DELETE FROM choices WHERE user = ? AND app NOT IN "
                "(SELECT app FROM choices WHERE user = ? ORDER BY chosen DESC LIMIT ?)",
                (user, user, KEPT),
            )
