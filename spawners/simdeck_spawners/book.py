"""The book of servers: what was asked for, under which job name, and how far it got. Written before anything is done.

One row for each start of a server, in an SQLite file of the hub's own. A row is committed, with the unique name of its
job, before Slurm hears of it; so a hub that comes back after a crash at any line finds the job by its name.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

KEPT = 3
"""Ended starts kept of each server, for the page that says how it ended."""


class Stage(StrEnum):
    """How far a start got, as far as the hub has written down."""

    INTENDED = "intended"
    """It shall be submitted; a job may exist under its name."""
    SUBMITTED = "submitted"
    """Slurm gave an id. The server has not announced itself (or not since its job was started again)."""
    ANNOUNCED = "announced"
    """The server said on which port it listens."""
    RUNNING = "running"
    """It answered; the hub has it."""
    ENDING = "ending"
    """Its job shall end, and has not yet."""
    ENDED = "ended"
    """Slurm says that it is over, or there never was a job."""


PENDING = (Stage.INTENDED, Stage.SUBMITTED, Stage.ANNOUNCED)
LIVE = (*PENDING, Stage.RUNNING)


@dataclass(frozen=True)
class Entry:
    """One start of a server. Times are seconds since the epoch."""

    id: str
    user: str
    server: str
    cluster: str
    job_name: str
    options: dict[str, Any]
    stage: Stage
    token: bytes
    """Sealed."""
    created: float
    since: float
    """When the stage was reached."""
    job_id: str = ""
    tried: float | None = None
    """When `sbatch` was called last."""
    submitted: float | None = None
    started: float | None = None
    """When Slurm started the job (the last time)."""
    restarts: int = 0
    announced: float | None = None
    port: int = 0
    host: str = ""
    node: str = ""
    was_running: bool = False
    """It ran before, and its job was started again."""
    cancelled: float | None = None
    """When Slurm accepted that it ends."""
    ended: float | None = None
    failure: dict[str, Any] | None = None
    """Why it failed, as pages show it; nothing when it was stopped."""
    state: dict[str, Any] = field(default_factory=dict)
    """What was last seen of the job."""


_JSON = {"options", "failure", "state"}
_COLUMNS = [one.name for one in fields(Entry)]
_SCHEMA = """
create table if not exists entries (
    id text primary key, user text not null, server text not null, cluster text not null,
    job_name text not null unique, options text not null, stage text not null, token blob not null,
    created real not null, since real not null, job_id text not null, tried real, submitted real, started real,
    restarts integer not null, announced real, port integer not null, host text not null, node text not null,
    was_running integer not null, cancelled real, ended real, failure text, state text not null
);
create index if not exists entries_stage on entries (stage);
create index if not exists entries_server on entries (user, server, created);
"""


class Book:
    """The SQLite file. Calls take well under a millisecond and are made from the hub's loop."""

    def __init__(self, path: Path, instance: str, clock: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.instance = instance
        self.clock = clock
        self._db = sqlite3.connect(path, isolation_level=None)
        path.chmod(0o600)
        self._db.row_factory = sqlite3.Row
        self._db.execute("pragma journal_mode = wal")
        # A row must survive the machine, not only the process: a job may follow it at once.
        self._db.execute("pragma synchronous = full")
        self._db.executescript(_SCHEMA)
        # Live rows are asked for at each look at the queue: kept here, so that a look costs no query.
        self._open: dict[str, Entry] = {row.id: row for row in self._select("stage != 'ended'")}

    def close(self) -> None:
        self._db.close()

    # --- reading ------------------------------------------------------------------------------------------------

    def get(self, entry_id: str) -> Entry | None:
        """Return the entry of this id."""
        found = self._open.get(entry_id)
        return found or next(iter(self._select("id = ?", entry_id)), None)

    def unfinished(self, cluster: str | None = None) -> list[Entry]:
        """Return what has not ended yet, of one cluster or of all."""
        return [one for one in self._open.values() if cluster is None or one.cluster == cluster]

    def live(self, user: str, server: str) -> Entry | None:
        """Return the start that is under way or running; one that is ending does not count."""
        found = [one for one in self._open.values() if (one.user, one.server) == (user, server) and one.stage in LIVE]
        return max(found, key=lambda one: one.created, default=None)

    def latest(self, user: str, server: str) -> Entry | None:
        """Return the last start of a server, ended or not."""
        found = self._select("user = ? and server = ? order by created desc, rowid desc limit 1", user, server)
        return next(iter(found), None)

    def servers(self, user: str) -> list[Entry]:
        """Return the last start of each of a user's servers."""
        found: dict[str, Entry] = {}
        for entry in self._select("user = ? order by created, rowid", user):
            found[entry.server] = entry
        return list(found.values())

    def by_job_name(self, name: str) -> Entry | None:
        """Return the entry whose job has this name."""
        return next(iter(self._select("job_name = ?", name)), None)

    # --- writing ------------------------------------------------------------------------------------------------

    def intend(self, user: str, server: str, cluster: str, options: dict[str, Any], token: bytes) -> Entry:
        """Write down that a server shall start, with a new job name."""
        entry_id = secrets.token_hex(6)
        now = self.clock()
        entry = Entry(
            id=entry_id,
            user=user,
            server=server,
            cluster=cluster,
            job_name=f"simdeck-{self.instance[:8]}-{entry_id}",
            options=options,
            stage=Stage.INTENDED,
            token=token,
            created=now,
            since=now,
        )
        values = _to_row(entry)
        marks = ", ".join("?" for _ in _COLUMNS)
        self._db.execute(f"insert into entries ({', '.join(_COLUMNS)}) values ({marks})", values)  # noqa: S608
        self._open[entry.id] = entry
        return entry

    def update(self, entry_id: str, **changes: Any) -> Entry:
        """Change fields of an entry; a change of stage notes the time. Returns it as it is now.

        Raises
        ------
        KeyError
            There is no such entry.
        """
        entry = self.get(entry_id)
        if entry is None:
            raise KeyError(entry_id)
        if "stage" in changes and changes["stage"] != entry.stage:
            changes.setdefault("since", self.clock())
        values = {one: getattr(entry, one) for one in _COLUMNS} | changes
        changed = Entry(**values)
        if changed == entry:
            return entry
        row = dict(zip(_COLUMNS, _to_row(changed), strict=True))
        names = [name for name in changes if name in row]
        assigned = ", ".join(f"{name} = ?" for name in names)
        self._db.execute(
            f"update entries set {assigned} where id = ?",  # noqa: S608 - names of our own columns
            [*(row[name] for name in names), entry_id],
        )
        if changed.stage is Stage.ENDED:
            self._open.pop(entry_id, None)
            self._forget(changed.user, changed.server)
        else:
            self._open[entry_id] = changed
        return changed

    def _forget(self, user: str, server: str) -> None:
        self._db.execute(
            "delete from entries where stage = 'ended' and user = ?1 and server = ?2 and id not in (select id from"
            " entries where user = ?1 and server = ?2 order by created desc, rowid desc limit ?3)",
            (user, server, KEPT),
        )

    def _select(self, where: str, *values: Any) -> list[Entry]:
        rows = self._db.execute(f"select * from entries where {where}", values)  # noqa: S608 - fixed texts
        return [_from_row(row) for row in rows]


def _to_row(entry: Entry) -> list[Any]:
    values: list[Any] = []
    for name in _COLUMNS:
        value = getattr(entry, name)
        if name in _JSON:
            value = None if value is None else json.dumps(value)
        elif name == "stage":
            value = str(value)
        values.append(value)
    return values


def _from_row(row: sqlite3.Row) -> Entry:
    values: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    for name in _JSON:
        values[name] = None if values[name] is None else json.loads(values[name])
    values["stage"] = Stage(values["stage"])
    values["was_running"] = bool(values["was_running"])
    return Entry(**values)
