"""How many people here use an app, counted without naming anybody, in a small SQLite database of the deck's own.

Whenever an agent says which apps its user has, the deck writes them down under a signature of the name: the same person
counts once, and who it was cannot be read from the file. People who have not been here for half a year no longer count.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from simdeck_common.layout import private_dir

from simdeck_deck.keys import Keys

DAY = 24 * 3600
REMEMBERED_DAYS = 180

_SCHEMA = """
CREATE TABLE IF NOT EXISTS uses (who TEXT NOT NULL, app TEXT NOT NULL, day INTEGER NOT NULL, PRIMARY KEY (who, app));
CREATE INDEX IF NOT EXISTS uses_app ON uses (app);
"""


def own_apps(items: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the ids of those of an agent's apps that the person has chosen: not what everybody has anyway."""
    return [str(app["id"]) for app in items if set(app.get("versions") or ()) - set(app.get("site_versions") or ())]


class Usage:
    """The counts, under ``folder``; calls block for a moment and may come from any thread."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        path = private_dir(folder) / "usage.sqlite"
        path.touch(mode=0o600)
        self._keys = keys
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(_SCHEMA)
        # What was written last for whom, so that a page that changes nothing writes nothing.
        self._known: dict[str, tuple[int, frozenset[str]]] = {}
        self._counts: dict[str, int] | None = None

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def note(self, user: str, apps: Iterable[str]) -> None:
        """Write down that ``user`` has exactly ``apps``."""
        who = self._keys.sign("usage", user)[:32]
        state = (int(time.time() // DAY), frozenset(apps))
        with self._lock:
            if self._known.get(who) == state:
                return
            with self._db:
                self._db.execute("DELETE FROM uses WHERE who = ?", (who,))
                self._db.executemany("INSERT INTO uses VALUES (?, ?, ?)", [(who, app, state[0]) for app in state[1]])
            self._known[who] = state
            self._counts = None

    def counts(self) -> dict[str, int]:
        """Return how many people have each app."""
        with self._lock:
            if self._counts is None:
                since = int(time.time() // DAY) - REMEMBERED_DAYS
                rows = self._db.execute("SELECT app, COUNT(*) FROM uses WHERE day >= ? GROUP BY app", (since,))
                self._counts = {str(app): int(count) for app, count in rows}
            return dict(self._counts)
