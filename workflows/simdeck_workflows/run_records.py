"""Records of runs beyond one run's life: sweeps, and what is left when a run is deleted. On the run store's tables."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from simdeck_common.problems import Problem

from simdeck_workflows.models import Run
from simdeck_workflows.store import Store, add_run, run_columns, run_of
from simdeck_workflows.store_tables import EVENTS, KEYS, NOTICES, OFFSETS, RUNS, SWEEPS
from simdeck_workflows.sweeps import Sweep, SweepRequest, SweepTable, columns_of, row_of


class Records:
    """Sweeps and deletions in a run store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def delete(self, run_id: str) -> None:
        """Forget an ended run. Raises ``run-not-found``, ``run-not-ended``."""
        with self._store.writing() as connection:
            row = connection.execute(sa.select(RUNS.c.state, RUNS.c.ended).where(RUNS.c.id == run_id)).one_or_none()
            if row is None:
                raise Problem("run-not-found", run=run_id)
            if row.ended is None:
                raise Problem("run-not-ended")
            for table in (EVENTS, KEYS, OFFSETS, NOTICES):
                connection.execute(sa.delete(table).where(table.c.run == run_id))
            connection.execute(sa.delete(RUNS).where(RUNS.c.id == run_id))

    def note_imported(self, record: dict[str, Any]) -> Run:
        """Write the record of an ended run that was made elsewhere; one whose process is known stays as it is."""
        with self._store.writing() as connection:
            query = sa.select(*run_columns()).where(RUNS.c.process == record["process"])
            if (known := connection.execute(query).one_or_none()) is not None:
                return run_of(known)
            number = str(uuid.uuid4())
            values = {"id": number, "app": "", "app_version": "", "started": record["created"], "paused": False}
            connection.execute(sa.insert(RUNS).values(**values, **record))
            return run_of(connection.execute(sa.select(*run_columns()).where(RUNS.c.id == number)).one())

    def accept_sweep(
        self,
        request: SweepRequest,
        title: str,
        runs: list[tuple[Run, dict[str, Any], dict[str, Any]]],
        *,
        key: str | None = None,
        digest: str = "",
    ) -> Sweep:
        """Write a sweep and all its runs ``(run, inputs, values)``, or nothing.

        Raises
        ------
        Problem
            ``idempotency-conflict``: the key was used for another request.
        """
        number = str(uuid.uuid4())
        with self._store.writing() as connection:
            if key is not None:
                known = connection.execute(sa.select(SWEEPS).where(SWEEPS.c.key == key)).one_or_none()
                if known is not None:
                    if known.digest != digest:
                        raise Problem("idempotency-conflict")
                    return self._sweep(connection, known)
            for run, inputs, _ in runs:
                add_run(connection, run.model_copy(update={"sweep": number}), inputs, request.notify)
            connection.execute(
                sa.insert(SWEEPS).values(
                    id=number,
                    workflow=request.workflow,
                    title=title,
                    created=datetime.now(UTC).isoformat(timespec="milliseconds"),
                    rows=[{"run": run.id, "values": values} for run, _, values in runs],
                    names=list(request.vary),
                    key=key,
                    digest=digest,
                )
            )
            return self._sweep(connection, connection.execute(sa.select(SWEEPS).where(SWEEPS.c.id == number)).one())

    def sweeps(self, limit: int = 50) -> list[Sweep]:
        """The newest sweeps."""
        query = sa.select(SWEEPS).order_by(SWEEPS.c.created.desc()).limit(limit)
        with self._store.reading() as connection:
            return [self._sweep(connection, row) for row in connection.execute(query).all()]

    def sweep(self, number: str) -> SweepTable:
        """A sweep with its results. Runs that were deleted are no rows. Raises ``sweep-not-found``."""
        with self._store.reading() as connection:
            row = connection.execute(sa.select(SWEEPS).where(SWEEPS.c.id == number)).one_or_none()
            if row is None:
                raise Problem("sweep-not-found", sweep=number)
            found = connection.execute(sa.select(*run_columns()).where(RUNS.c.sweep == number))
            runs = {run.id: run for run in map(run_of, found)}
            rows = [(runs[one["run"]], one["values"]) for one in row.rows if one["run"] in runs]
            return SweepTable(
                **self._sweep(connection, row).model_dump(),
                varied=row.names,
                columns=columns_of([run for run, _ in rows]),
                rows=[row_of(run, values) for run, values in rows],
            )

    def unfinished_in(self, number: str) -> list[str]:
        """The runs of a sweep that have not ended. Raises ``sweep-not-found``."""
        return [row.run for row in self.sweep(number).rows if not row.state.ended]

    def forget_sweep(self, number: str) -> None:
        """Forget a sweep; its runs stay. Raises ``sweep-not-found``."""
        with self._store.writing() as connection:
            if not connection.execute(sa.delete(SWEEPS).where(SWEEPS.c.id == number)).rowcount:
                raise Problem("sweep-not-found", sweep=number)
            connection.execute(sa.update(RUNS).where(RUNS.c.sweep == number).values(sweep=None))

    @staticmethod
    def _sweep(connection: sa.Connection, row: sa.Row[Any]) -> Sweep:
        query = sa.select(RUNS.c.state, RUNS.c.ended).where(RUNS.c.sweep == row.id)
        found = connection.execute(query).all()
        return Sweep(
            id=row.id,
            workflow=row.workflow,
            title=row.title,
            created=row.created,
            runs=len(found),
            states=dict(Counter(one.state for one in found)),
            ended=all(one.ended is not None for one in found),
        )
