"""What the user shares with others, and what others have shared with the user: a small SQLite database of the agent.

A share opens one run, read-only, or one version of an app, or both, to the people and groups it names, as long as they
hold its random key, it has not expired and has not been revoked. All of that is decided here, in the owner's own
process. An app's version comes from the store, not from the owner: what the owner gives is the word that names it.

The key is kept as it is, so that the owner can copy the link again: whoever can read this file has the runs themselves.
"""

from __future__ import annotations

import hmac
import json
import secrets
import sqlite3
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from simdeck_common.problems import Problem

from simdeck_agent.models import now

Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\s,/\\]{1,100}$")]
Parameter = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,59}$")]
ParameterValue = Annotated[str, StringConstraints(max_length=500)]
LONGEST_DAYS = 365
# How exactly it is told when somebody last looked: not every request is written down.
NOTED_SECONDS = 60.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS shares (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL, record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS received (
    number INTEGER PRIMARY KEY AUTOINCREMENT, ticket TEXT NOT NULL UNIQUE, key TEXT NOT NULL, record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS openings (
    share TEXT NOT NULL, person TEXT NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL, PRIMARY KEY (share, person)
) WITHOUT ROWID;
"""


class ShareRequest(BaseModel):
    """A run to share, or an app, or an app that opens with the run; with whom, and for how many days."""

    model_config = ConfigDict(extra="forbid", strict=True)

    run: str | None = Field(default=None, min_length=1, max_length=100)
    app: str | None = Field(default=None, min_length=1, max_length=100, description="An installed app of the caller's.")
    version: str | None = Field(
        default=None, min_length=1, max_length=100, description="Of the app; without one, the version in use."
    )
    page: str = Field(default="", max_length=200, description="Which of the app's pages opens; empty: the first.")
    parameters: dict[Parameter, ParameterValue] = Field(
        default={}, max_length=20, description="What the page finds in its address."
    )
    people: list[Name] = Field(default=[], max_length=50, description="Names of people as the hub has them.")
    groups: list[Name] = Field(default=[], max_length=20, description="Groups of the hub.")
    days: int = Field(default=30, ge=1, le=LONGEST_DAYS)

    @model_validator(mode="after")
    def _of_something(self) -> ShareRequest:
        if self.run is None and self.app is None:
            raise ValueError("name a run or an app")
        if self.app is None and (self.version or self.page or self.parameters):
            raise ValueError("a version, page or parameters are an app's: name the app too")
        return self

    @model_validator(mode="after")
    def _with_somebody(self) -> ShareRequest:
        if not self.people and not self.groups:
            raise ValueError("name at least one person or group")
        return self


class Share(BaseModel):
    """One share of the caller's. It is over when ``revoked`` is set or ``expires`` has passed (ISO 8601 UTC)."""

    id: str
    run: str | None = None
    app: str | None = None
    version: str | None = None
    page: str = ""
    parameters: dict[str, str] = {}
    title: str
    people: list[str]
    groups: list[str]
    created: str
    expires: str
    revoked: str | None = None

    @property
    def over(self) -> bool:
        return self.revoked is not None or datetime.fromisoformat(self.expires) <= datetime.now(UTC)

    def names(self, person: str, groups: Iterable[str]) -> bool:
        """Say whether the share is for ``person``, who is in ``groups``."""
        return person in self.people or not set(groups).isdisjoint(self.groups)


class Opening(BaseModel):
    """Who has opened a share, when first and when last (to the minute)."""

    person: str
    first: str
    last: str


class Received(BaseModel):
    """A share of somebody else's that the caller has opened. ``ticket`` names it at the deck."""

    ticket: str
    owner: str
    title: str
    added: str
    app: str | None = None
    version: str | None = None
    expires: str | None = None
    ended: str | None = Field(default=None, description="When it was found to be over before its time.")

    @property
    def over(self) -> bool:
        return self.ended is not None or (
            self.expires is not None and datetime.fromisoformat(self.expires) <= datetime.now(UTC)
        )


class Shares:
    """The database at ``path`` (mode 600); safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def create(self, wanted: ShareRequest, title: str, version: str | None = None) -> Share:
        """Write a new share down; ``version`` is the app's, where it is of one."""
        made = Share(
            id=secrets.token_urlsafe(12),
            run=wanted.run,
            app=wanted.app,
            version=version,
            page=wanted.page,
            parameters=wanted.parameters,
            title=title,
            people=list(dict.fromkeys(wanted.people)),
            groups=list(dict.fromkeys(wanted.groups)),
            created=now(),
            expires=(datetime.now(UTC) + timedelta(days=wanted.days)).isoformat(timespec="seconds"),
        )
        self._write("INSERT INTO shares (id, key, record) VALUES (?, ?, ?)",
                    made.id, secrets.token_urlsafe(32), made.model_dump_json())  # fmt: skip
        return made

    def all(self) -> list[Share]:
        """Return the shares, newest first."""
        rows = self._rows("SELECT record FROM shares ORDER BY number DESC")
        return [Share.model_validate_json(record) for (record,) in rows]

    def get(self, share: str) -> tuple[Share, str]:
        """Return a share with its key; raises ``Problem`` 404 ``share-not-found``."""
        rows = self._rows("SELECT record, key FROM shares WHERE id = ?", share)
        if not rows:
            raise Problem("share-not-found")
        return Share.model_validate_json(rows[0][0]), str(rows[0][1])

    def revoke(self, share: str) -> Share:
        """End a share now; raises ``Problem`` 404 ``share-not-found``."""
        found, _ = self.get(share)
        if found.revoked is None:
            found = found.model_copy(update={"revoked": now()})
            self._write("UPDATE shares SET record = ? WHERE id = ?", found.model_dump_json(), share)
        return found

    def admit(self, share: str, key: str, person: str, groups: Iterable[str], owner: str) -> Share:
        """Return the share when ``person`` may look through it.

        Raises
        ------
        Problem
            404 ``share-not-found``: there is none, the key is wrong, or it is for others (all the same to a stranger);
            410 ``share-ended``: it was for this person, and is over.
        """
        found, right = self.get(share)
        if not hmac.compare_digest(right.encode(), key.encode()):
            raise Problem("share-not-found")
        if person != owner and not found.names(person, groups):
            raise Problem("share-not-found")
        if found.over:
            raise Problem("share-ended")
        if person != owner:
            self._note_opening(share, person)
        return found

    def openings(self, share: str) -> list[Opening]:
        """Return who has opened a share, in the order in which they did."""
        rows = self._rows("SELECT person, first, last FROM openings WHERE share = ? ORDER BY first, person", share)
        return [Opening(person=person, first=first, last=last) for person, first, last in rows]

    def _note_opening(self, share: str, person: str) -> None:
        known = self._rows("SELECT last FROM openings WHERE share = ? AND person = ?", share, person)
        moment = datetime.now(UTC)
        if known and (moment - datetime.fromisoformat(known[0][0])).total_seconds() < NOTED_SECONDS:
            return
        self._write(
            "INSERT INTO openings (share, person, first, last) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (share, person) DO UPDATE SET last = excluded.last",
            share, person, now(), now(),
        )  # fmt: skip

    def receive(self, received: Received, key: str) -> None:
        """Write down a share of somebody else's, with the key that its link brought."""
        self._write(
            "INSERT INTO received (ticket, key, record) VALUES (?, ?, ?) "
            "ON CONFLICT (ticket) DO UPDATE SET key = excluded.key, record = excluded.record",
            received.ticket, key, received.model_dump_json(),
        )  # fmt: skip

    def all_received(self) -> list[Received]:
        """Return what others have shared, newest first."""
        rows = self._rows("SELECT record FROM received ORDER BY number DESC")
        return [Received.model_validate_json(record) for (record,) in rows]

    def received(self, ticket: str) -> Received:
        """Return a received share; raises ``Problem`` 404 ``share-not-found``."""
        rows = self._rows("SELECT record FROM received WHERE ticket = ?", ticket)
        if not rows:
            raise Problem("share-not-found")
        return Received.model_validate_json(rows[0][0])

    def end_received(self, ticket: str) -> None:
        """Note that a received share is over; raises ``Problem`` 404 ``share-not-found``."""
        found = self.received(ticket)
        if found.ended is None:
            changed = found.model_copy(update={"ended": now()})
            self._write("UPDATE received SET record = ? WHERE ticket = ?", changed.model_dump_json(), ticket)

    def received_key(self, ticket: str) -> str:
        """Return the key of a received share; raises ``Problem`` 404 ``share-not-found``."""
        rows = self._rows("SELECT key FROM received WHERE ticket = ?", ticket)
        if not rows:
            raise Problem("share-not-found")
        return str(rows[0][0])

    def forget(self, ticket: str) -> None:
        """Take a received share off the list; raises ``Problem`` 404 ``share-not-found``."""
        self.received_key(ticket)
        self._write("DELETE FROM received WHERE ticket = ?", ticket)

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _write(self, sql: str, *values: Any) -> None:
        with self._lock, self._db:
            self._db.execute(sql, values)


def share_header(share: str, key: str, person: str, groups: Iterable[str]) -> str:
    """Return the value of the header that names a share, and for whom the deck asks."""
    return json.dumps({"share": share, "key": key, "person": person, "groups": sorted(groups)})
