"""Releases that people publish through the service: kept in quarantine, taken one after the other, told as tasks.

What was sent is on disk, and written down, before its sender hears that it was accepted; a service that starts again
goes on with what was under way.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sqlite3
import threading
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field
from simdeck_agent.models import now
from simdeck_appstore.audit import Audit
from simdeck_appstore.publishing import Incoming, Receiver, Receivers, ReleaseManifest, check_sent, take
from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem

log = logging.getLogger(__name__)

NAME = "publishing.json"
KEPT = 500
"""Publications that are remembered."""
MOST_UNFINISHED = 10
"""Releases of one person that may lie in quarantine."""
State = Literal["queued", "running", "done", "failed"]
OVER = frozenset({"done", "failed"})
_SCHEMA = """
CREATE TABLE IF NOT EXISTS publications (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, record TEXT NOT NULL, manifest TEXT NOT NULL, key TEXT, audit TEXT,
    number INTEGER NOT NULL, UNIQUE (user, key)
);
"""


class Publication(BaseModel):
    """A release on its way into a registry of the site. ``problem``: why it was refused, as problem+json."""

    id: str
    registry: str
    app: str
    version: str
    sha256: str
    state: State = "queued"
    step: str = Field(default="receive", description="receive, check, build or ready.")
    message: str = ""
    problem: dict[str, Any] | None = None
    created: str
    ended: str | None = None


class PublicationEvent(BaseModel):
    """Something that happened to it: ``step`` (``{step, message}``) or ``state``."""

    seq: int
    type: Literal["step", "state"]
    data: dict[str, Any]


def read_receivers(folder: Path) -> Receivers:
    """Return the registries that take releases, as `simdeck up` has written them; none where it has not."""
    try:
        return Receivers.model_validate_json((folder / NAME).read_bytes())
    except FileNotFoundError:
        return Receivers()


class Publications:
    """All publications of one service; ``folder`` is its own."""

    def __init__(self, folder: Path, receivers: Receivers, audit: Audit) -> None:
        self.receivers = receivers
        self.audit = audit
        self.quarantine = private_dir(private_dir(folder) / "quarantine")
        path = folder / "publications.sqlite"
        path.touch(mode=0o600)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(_SCHEMA)
        self._events: dict[str, list[PublicationEvent]] = {}
        self._changed: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()

    # --- who may ------------------------------------------------------------------------------------------------------

    def open_to(self, groups: tuple[str, ...]) -> list[Receiver]:
        """Return the registries that somebody in ``groups`` may publish into."""
        return [one for one in self.receivers.items if one.takes_from(frozenset(groups))]

    def receiver(self, registry: str, groups: tuple[str, ...]) -> Receiver:
        """Return one of them.

        Raises
        ------
        Problem
            ``registry-not-found``, ``publish-not-allowed``.
        """
        found = next((one for one in self.receivers.items if one.name == registry), None)
        if found is None:
            raise Problem("registry-not-found", registry=registry)
        if not found.takes_from(frozenset(groups)):
            raise Problem("publish-not-allowed", registry=registry)
        return found

    # --- a publication ------------------------------------------------------------------------------------------------

    def accept(self, user: str, receiver: Receiver, incoming: Incoming, key: str | None) -> tuple[Publication, bool]:
        """Write down a release that lies at ``incoming.file`` in quarantine; also tell whether it is a new one.

        Raises
        ------
        Problem
            ``publish-only-wheels``, ``publish-unlike``, ``idempotency-conflict``, ``publish-busy``;
            ``audit-unavailable``: what cannot be written down is not done.
        """
        check_sent(incoming)
        manifest = incoming.manifest
        made = Publication(
            id=incoming.file.parent.name,
            registry=receiver.name,
            app=manifest.app,
            version=manifest.version,
            sha256=manifest.file.sha256,
            created=now(),
        )
        with self._lock:
            earlier = self._by_key(user, key)
            if earlier is not None:
                if (earlier.registry, earlier.app, earlier.sha256) != (made.registry, made.app, made.sha256):
                    raise Problem("idempotency-conflict")
                return earlier, False
            if self._unfinished(user) >= MOST_UNFINISHED:
                raise Problem("publish-busy", most=MOST_UNFINISHED)
            entry = self._asked(user, made)
            self._db.execute(
                "INSERT INTO publications VALUES (?, ?, ?, ?, ?, ?, "
                "(SELECT COALESCE(MAX(number), 0) + 1 FROM publications))",
                (made.id, user, made.model_dump_json(), manifest.model_dump_json(), key, entry),
            )
            self._db.execute(
                "DELETE FROM publications WHERE number <= (SELECT MAX(number) FROM publications) - ?", (KEPT,)
            )
        self.audit.tell(entry, "begun", task=made.id)
        return made, True

    def _asked(self, user: str, made: Publication) -> str:
        try:
            return self.audit.ask(user, "publish", made.app, made.version)
        except OSError as error:
            log.error("The audit log %s cannot be written: %s", self.audit.path, error)
            raise Problem("audit-unavailable") from None

    def _unfinished(self, user: str) -> int:
        rows = self._db.execute("SELECT record FROM publications WHERE user = ?", (user,)).fetchall()
        return sum(Publication.model_validate_json(row[0]).state not in OVER for row in rows)

    def room(self) -> Path:
        """Return a new folder in quarantine for what is being sent."""
        return private_dir(self.quarantine / str(uuid.uuid4()))

    def mine(self, user: str) -> list[Publication]:
        """Return what ``user`` published, newest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT record FROM publications WHERE user = ? ORDER BY number DESC", (user,)
            ).fetchall()
        return [Publication.model_validate_json(row[0]) for row in rows]

    def one(self, user: str, publication: str) -> Publication:
        """Return one of them; raises ``Problem`` 404 ``publication-not-found``."""
        found = next((one for one in self.mine(user) if one.id == publication), None)
        if found is None:
            raise Problem("publication-not-found", publication=publication)
        return found

    async def events(self, user: str, publication: str, after: int = 0) -> AsyncIterator[PublicationEvent]:
        """Yield what happens to it from now on, and what happened since the service started; ends with it."""
        changed = asyncio.Event()
        self._changed.add(changed)
        try:
            while True:
                changed.clear()
                over = (await asyncio.to_thread(self.one, user, publication)).state in OVER
                for event in [one for one in self._events.get(publication, []) if one.seq > after]:
                    yield event
                    after = event.seq
                if over:
                    return
                await changed.wait()
        finally:
            self._changed.discard(changed)

    # --- taking it ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Go on with what was under way when the service ended."""
        self._loop = asyncio.get_running_loop()
        with self._lock:
            rows = self._db.execute("SELECT record FROM publications ORDER BY number").fetchall()
        unfinished = [one for one in (Publication.model_validate_json(row[0]) for row in rows) if one.state not in OVER]
        known = {one.id for one in unfinished}
        for folder in self.quarantine.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
        for one in unfinished:
            self.begin(one, again=True)

    def begin(self, publication: Publication, *, again: bool = False) -> None:
        """Take it as soon as those before it are."""
        self._loop = asyncio.get_running_loop()
        task = asyncio.create_task(self._in_turn(publication, again))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Wait for what is being written; the rest is taken by the next service."""
        running, self._running = list(self._running), set()
        for task in running:
            task.cancel()
        async with self._turn:
            with self._lock:
                self._db.close()

    async def _in_turn(self, publication: Publication, again: bool) -> None:
        async with self._turn:
            # Not broken off by a stop: half a build is only thrown away, half a note of it would be a lie.
            work = asyncio.create_task(asyncio.to_thread(self._take, publication, again))
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                await work
                raise

    def _take(self, publication: Publication, again: bool) -> None:
        folder = self.quarantine / publication.id
        try:
            manifest = ReleaseManifest.model_validate_json(self._column(publication.id, "manifest"))
            receiver = next((one for one in self.receivers.items if one.name == publication.registry), None)
            if receiver is None:
                raise Problem("registry-not-found", registry=publication.registry)
            incoming = Incoming(folder / manifest.file.name, manifest)
            if not incoming.file.is_file():
                raise Problem("publication-interrupted", app=manifest.app, version=manifest.version)

            def tell(step: str, message: str) -> None:
                self._note(publication, "step", state="running", step=step, message=message)

            title = take(incoming, receiver, self.receivers.simdeck, tell, again=again)
            said = f"{title} {publication.version} is in the registry"
            self._note(publication, "state", state="done", step="ready", message=said, ended=now())
            self._told(publication.id, "done")
        except Problem as problem:
            self._fail(publication, problem)
        except Exception:
            log.exception("Publishing %s %s failed", publication.app, publication.version)
            self._fail(publication, Problem("unexpected"))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _fail(self, publication: Publication, problem: Problem) -> None:
        said = f"{problem.detail} {problem.remedy}".strip()
        self._note(publication, "state", state="failed", message=said, problem=problem.to_json(), ended=now())
        self._told(publication.id, "failed", detail=problem.code)

    def _told(self, publication: str, outcome: Literal["done", "failed"], **more: str) -> None:
        try:
            self.audit.tell(self._column(publication, "audit"), outcome, **more)
        except OSError as error:
            log.error("The audit log %s cannot be written: %s", self.audit.path, error)

    def _note(self, publication: Publication, kind: Literal["step", "state"], **changed: Any) -> None:
        for name, value in changed.items():
            setattr(publication, name, value)
        with self._lock:
            self._db.execute(
                "UPDATE publications SET record = ? WHERE id = ?", (publication.model_dump_json(), publication.id)
            )
        data = {"step": publication.step, "message": publication.message}
        if kind == "state":
            data = {"state": publication.state}
        told = self._events.setdefault(publication.id, [])
        told.append(PublicationEvent(seq=len(told) + 1, type=kind, data=data))
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for changed in self._changed:
            changed.set()

    def _by_key(self, user: str, key: str | None) -> Publication | None:
        if key is None:
            return None
        row = self._db.execute("SELECT record FROM publications WHERE user = ? AND key = ?", (user, key)).fetchone()
        return Publication.model_validate_json(row[0]) if row else None

    def _column(self, publication: str, name: Literal["manifest", "audit"]) -> str:
        query = {
            "manifest": "SELECT manifest FROM publications WHERE id = ?",
            "audit": "SELECT audit FROM publications WHERE id = ?",
        }[name]
        with self._lock:
            return str(self._db.execute(query, (publication,)).fetchone()[0])


def manifest_of(text: str) -> ReleaseManifest:
    """Read the description that came with a release.

    Raises
    ------
    Problem
        ``invalid-input`` with the field.
    """
    from pydantic import ValidationError

    try:
        return ReleaseManifest.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(["manifest", *map(str, first["loc"])])
        raise Problem("invalid-input", field=field, detail=f"{field}: {first['msg']}.") from None
    except ValueError:
        raise Problem("invalid-input", field="manifest", detail="The manifest is not JSON.") from None
