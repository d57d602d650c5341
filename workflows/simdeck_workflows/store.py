"""The run store: what was asked, where it stands, what happened. SQLite, shared by the agent and the worker.

The agent writes requests and wishes (run this, cancel that, pause); the worker writes what came of them. Every change
of a run and the event that tells of it are one transaction, so neither exists without the other. Both processes may be
killed at any time; the store is what they find again.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem
from sqlalchemy.dialects.sqlite import insert

from simdeck_workflows import store_tables
from simdeck_workflows.models import ENDED_STATES, Event, Notify, Run, RunPage, RunState, Waiting
from simdeck_workflows.store_tables import EVENTS, KEYS, NOTICES, OFFSETS, RUNS

_RUN_COLUMNS: list[sa.ColumnElement[Any]] = [RUNS.c[name] for name in Run.model_fields if name != "cancelling"] + [
    sa.and_(RUNS.c.wanted.is_not(None), RUNS.c.wanted == "cancel").label("cancelling")
]
PRIORITIES = {"high": 0, "normal": 1, "low": 2}
"""Ranks: lower goes first."""
_ENDED = sorted(state.value for state in ENDED_STATES)


@dataclass(frozen=True)
class NewEvent:
    """An event to be written. A ``key`` already told for this run makes the write a no-op."""

    type: str
    data: dict[str, Any]
    key: str | None = None


@dataclass(frozen=True)
class Unfinished:
    """An unfinished run with what the worker needs to carry on."""

    run: Run
    inputs: dict[str, Any]
    wanted: str | None


def now() -> str:
    """The present moment as the store writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Store:
    """The run store in the file ``path`` (made with mode 600 in a folder of mode 700)."""

    def __init__(self, path: Path) -> None:
        private_dir(path.parent)
        # Only to make it private, and only where there is none: closing a file drops all locks that this process holds
        # on it, and with them SQLite's, which would let another process delete the log that we still read.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        self._engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 60})
        sa.event.listen(self._engine, "connect", store_tables.on_connect)
        sa.event.listen(self._engine, "begin", store_tables.on_begin)
        with self.writing() as connection:
            store_tables.make(connection)

    def close(self) -> None:
        self._engine.dispose()

    # --- what a caller asks --------------------------------------------------------------------------------------

    def accept(
        self,
        run: Run,
        inputs: dict[str, Any],
        *,
        key: str | None = None,
        digest: str = "",
        notify: Notify | None = None,
    ) -> Run:
        """Write an accepted run durably. With a ``key`` seen before, return the run it made then.

        Raises
        ------
        Problem
            ``idempotency-conflict``: the key was used for a request of another ``digest``.
        """
        with self.writing() as connection:
            if key is not None:
                known = connection.execute(sa.select(KEYS).where(KEYS.c.key == key)).one_or_none()
                if known is not None:
                    if known.digest != digest:
                        raise Problem("idempotency-conflict")
                    return _get(connection, known.run)
                connection.execute(sa.insert(KEYS).values(key=key, run=run.id, digest=digest))
            add_run(connection, run, inputs, notify)
            return run

    def want_cancel(self, run_id: str) -> Run:
        """Note that the run shall be cancelled; the worker does it. Raises ``run-ended`` or ``run-not-found``."""
        with self.writing() as connection:
            _unended(connection, run_id)
            connection.execute(sa.update(RUNS).where(RUNS.c.id == run_id).values(wanted="cancel"))
            return _get(connection, run_id)

    def set_paused(self, run_id: str, paused: bool) -> Run:
        """Note that the run shall rest or go on; the worker sees to it. Raises ``run-ended`` or ``run-not-found``."""
        with self.writing() as connection:
            run = _unended(connection, run_id)
            if run.paused != paused:
                connection.execute(sa.update(RUNS).where(RUNS.c.id == run_id).values(paused=paused))
                _tell(connection, run_id, [_state_event(run.state, paused)])
            return _get(connection, run_id)

    def rename(self, run_id: str, title: str) -> Run:
        with self.writing() as connection:
            connection.execute(sa.update(RUNS).where(RUNS.c.id == run_id).values(title=title))
            return _get(connection, run_id)

    # --- what a caller reads -------------------------------------------------------------------------------------

    def get(self, run_id: str) -> Run:
        """Return the run. Raises ``run-not-found``."""
        with self.reading() as connection:
            return _get(connection, run_id)

    def page(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        state: RunState | None = None,
        workflow: str | None = None,
        app: str | None = None,
        sweep: str | None = None,
        only: Collection[str] | None = None,
    ) -> RunPage:
        """Return a page of runs, newest first; of the workflows ``only``, if given.

        Raises ``bad-request`` for a cursor that is not one of ours.
        """
        query = sa.select(RUNS.c.n, *_RUN_COLUMNS).order_by(RUNS.c.n.desc()).limit(limit + 1)
        if cursor is not None:
            if not cursor.isdecimal():
                raise Problem("bad-request", field="cursor", detail="The cursor is not one of a run list's.")
            query = query.where(RUNS.c.n < int(cursor))
        wanted = {RUNS.c.state: state, RUNS.c.workflow: workflow, RUNS.c.app: app, RUNS.c.sweep: sweep}
        for column, value in wanted.items():
            if value is not None:
                query = query.where(column == str(value))
        if only is not None:
            query = query.where(RUNS.c.workflow.in_(sorted(only)))
        with self.reading() as connection:
            rows = connection.execute(query).all()
        items = [run_of(row) for row in rows[:limit]]
        return RunPage(items=items, next_cursor=str(rows[limit - 1].n) if len(rows) > limit else None)

    def inputs(self, run_id: str) -> dict[str, Any]:
        return dict(self._column(run_id, RUNS.c.inputs))

    def outputs(self, run_id: str) -> dict[str, Any] | None:
        """Return the outputs by name, or None while the run has not ended."""
        found: dict[str, Any] | None = self._column(run_id, RUNS.c.outputs)
        return found

    def events(self, run_id: str, after: int = 0, limit: int = 500) -> list[Event]:
        """Return at most ``limit`` events with a ``seq`` above ``after``, in order."""
        query = (
            sa.select(EVENTS.c.seq, EVENTS.c.time, EVENTS.c.type, EVENTS.c.data)
            .where(EVENTS.c.run == run_id, EVENTS.c.seq > after)
            .order_by(EVENTS.c.seq)
            .limit(limit)
        )
        with self.reading() as connection:
            return [Event.model_validate(row._asdict()) for row in connection.execute(query)]

    def any_unfinished(self) -> bool:
        query = sa.select(sa.exists().where(RUNS.c.state.not_in(_ENDED)))
        with self.reading() as connection:
            return bool(connection.execute(query).scalar_one())

    def versions_in_use(self, app: str) -> set[str]:
        """The versions of ``app`` that unfinished runs still need."""
        query = sa.select(RUNS.c.app_version).distinct().where(RUNS.c.app == app, RUNS.c.state.not_in(_ENDED))
        with self.reading() as connection:
            return set(connection.execute(query).scalars())

    # --- what the worker reads and writes ------------------------------------------------------------------------

    def unfinished(self) -> list[Unfinished]:
        """All unfinished runs, the important ones first, then the oldest."""
        query = (
            sa.select(RUNS.c.inputs, RUNS.c.wanted, *_RUN_COLUMNS)
            .where(RUNS.c.state.not_in(_ENDED))
            .order_by(sa.case(PRIORITIES, value=RUNS.c.priority, else_=1), RUNS.c.n)
        )
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return [Unfinished(run_of(row), row.inputs, row.wanted) for row in rows]

    def begin(self, run_id: str, process: str, events: Iterable[NewEvent] = ()) -> bool:
        """Note that the run is now the AiiDA process ``process`` (UUID), and tell. False if it was noted before."""
        with self.writing() as connection:
            changed = connection.execute(
                sa.update(RUNS)
                .where(RUNS.c.id == run_id, RUNS.c.state == RunState.ACCEPTED.value)
                .values(state=RunState.RUNNING.value, process=process, started=now())
            ).rowcount
            if changed:
                _tell(connection, run_id, [_state_event(RunState.RUNNING, _get(connection, run_id).paused)])
            _tell(connection, run_id, events)
            return bool(changed)

    def end(
        self,
        run_id: str,
        state: RunState,
        *,
        summary: dict[str, Any] | None = None,
        problem: dict[str, Any] | None = None,
        outputs: dict[str, Any] | None = None,
        reused: int = 0,
        events: Iterable[NewEvent] = (),
    ) -> bool:
        """Tell ``events`` and note the end of a run, once. False if it had ended before."""
        if not state.ended:
            raise ValueError(f"{state} is not an end")
        with self.writing() as connection:
            changed = connection.execute(
                sa.update(RUNS)
                .where(RUNS.c.id == run_id, RUNS.c.state.not_in(_ENDED))
                .values(
                    state=state.value,
                    ended=now(),
                    summary=summary,
                    problem=problem,
                    outputs=outputs or {},
                    reused=reused,
                    paused=False,
                    wanted=None,
                    waiting=None,
                )
            ).rowcount
            _tell(connection, run_id, [*events, *([_state_event(state, False, problem)] if changed else [])])
            return bool(changed)

    def set_waiting(self, run_id: str, waiting: Waiting | None) -> bool:
        """Note why an unfinished run waits, or that it does not; False where that was noted already."""
        value = waiting.model_dump(exclude={"since"}) if waiting is not None else None
        with self.writing() as connection:
            row = connection.execute(
                sa.select(RUNS.c.waiting).where(RUNS.c.id == run_id, RUNS.c.state.not_in(_ENDED))
            ).one_or_none()
            before = dict(row.waiting or {}) if row is not None else {}
            since = before.pop("since", None)
            if row is None or (before or None) == value:
                return False
            if value is not None:
                # Other words for the same reason (a place in a queue, say) do not begin it anew.
                value["since"] = since if since and before["code"] == value["code"] else now()
            connection.execute(sa.update(RUNS).where(RUNS.c.id == run_id).values(waiting=value))
            _tell(connection, run_id, [NewEvent("waiting", {"waiting": value})])
            return True

    def tell(self, run_id: str, events: Iterable[NewEvent]) -> int:
        """Write events; return how many were new."""
        with self.writing() as connection:
            return _tell(connection, run_id, events)

    def offset(self, run_id: str, source: str) -> int:
        """How many bytes of the progress file ``source`` have become events."""
        query = sa.select(OFFSETS.c.offset).where(OFFSETS.c.run == run_id, OFFSETS.c.source == source)
        with self.reading() as connection:
            return int(connection.execute(query).scalar_one_or_none() or 0)

    def progress(self, run_id: str, source: str, offset: int, lines: Sequence[dict[str, Any]]) -> None:
        """Make ``lines`` progress events and move the file's offset, both or neither."""
        with self.writing() as connection:
            statement = insert(OFFSETS).values(run=run_id, source=source, offset=offset)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["run", "source"], set_={"offset": offset})
            )
            if lines:
                connection.execute(sa.update(RUNS).where(RUNS.c.id == run_id).values(progress=lines[-1]))
                _tell(connection, run_id, [NewEvent("progress", line) for line in lines])

    # --- below ---------------------------------------------------------------------------------------------------

    def _column(self, run_id: str, column: sa.Column[Any]) -> Any:
        with self.reading() as connection:
            row = connection.execute(sa.select(column).where(RUNS.c.id == run_id)).one_or_none()
        if row is None:
            raise Problem("run-not-found", run=run_id)
        return row[0]

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that may write: nobody else does until it ends.

        Raises
        ------
        Problem
            507 ``disk-full``: nothing of it was written.
        """
        try:
            with self._engine.connect().execution_options(simdeck_write=True) as connection, connection.begin():
                yield connection
        except sa.exc.OperationalError as error:
            if "disk is full" in str(error.orig):
                raise Problem("disk-full") from error
            raise


def new_run(workflow: str, app: str, app_version: str, title: str, retry_of: str | None = None) -> Run:
    """A fresh accepted run with an id of its own."""
    return Run(
        id=str(uuid.uuid4()),
        workflow=workflow,
        app=app,
        app_version=app_version,
        title=title,
        state=RunState.ACCEPTED,
        created=datetime.fromisoformat(datetime.now(UTC).isoformat(timespec="milliseconds")),
        retry_of=retry_of,
    )


def digest(body: dict[str, Any]) -> str:
    """A digest of a request's body that does not depend on the order of keys."""
    import hashlib

    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def run_columns() -> list[sa.ColumnElement[Any]]:
    """The columns that ``run_of`` makes a run of."""
    return list(_RUN_COLUMNS)


def run_of(row: sa.Row[Any]) -> Run:
    """The run in a row of ``run_columns``."""
    values = row._mapping
    return Run.model_validate({name: values[name] for name in Run.model_fields})


def _get(connection: sa.Connection, run_id: str) -> Run:
    row = connection.execute(sa.select(*_RUN_COLUMNS).where(RUNS.c.id == run_id)).one_or_none()
    if row is None:
        raise Problem("run-not-found", run=run_id)
    return run_of(row)


def add_run(connection: sa.Connection, run: Run, inputs: dict[str, Any], notify: Notify | None) -> None:
    """Write an accepted run, its first event, and who is told of its end."""
    values = run.model_dump(mode="json", exclude={"cancelling"})
    connection.execute(sa.insert(RUNS).values(**values, inputs=inputs))
    _tell(connection, run.id, [_state_event(run.state, run.paused)])
    targets: list[tuple[str, dict[str, Any]]] = []
    if notify is not None and notify.webhook:
        targets.append(("webhook", {"url": notify.webhook, "secret": notify.secret}))
    if notify is not None and notify.email:
        targets.append(("email", {}))
    for kind, target in targets:
        connection.execute(sa.insert(NOTICES).values(id=str(uuid.uuid4()), run=run.id, kind=kind, target=target))


def _unended(connection: sa.Connection, run_id: str) -> Run:
    run = _get(connection, run_id)
    if run.state.ended:
        raise Problem("run-ended", state=run.state.value)
    return run


def _state_event(state: RunState, paused: bool, problem: dict[str, Any] | None = None) -> NewEvent:
    data: dict[str, Any] = {"state": state.value, "paused": paused}
    if problem is not None:
        data["problem"] = problem
    return NewEvent("state", data)


def _tell(connection: sa.Connection, run_id: str, events: Iterable[NewEvent]) -> int:
    seq = connection.execute(sa.select(sa.func.max(EVENTS.c.seq)).where(EVENTS.c.run == run_id)).scalar() or 0
    told = 0
    for event in events:
        statement = insert(EVENTS).values(
            run=run_id, seq=seq + 1, time=now(), type=event.type, data=event.data, key=event.key
        )
        if connection.execute(statement.on_conflict_do_nothing(index_elements=["run", "key"])).rowcount:
            seq += 1
            told += 1
    return told
