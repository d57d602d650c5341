"""The run store's tables, and how an older file gets the columns that came later."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

META = sa.MetaData()

RUNS = sa.Table(
    "runs",
    META,
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("id", sa.String, nullable=False, unique=True),
    sa.Column("workflow", sa.String, nullable=False),
    sa.Column("app", sa.String, nullable=False),
    sa.Column("app_version", sa.String, nullable=False),
    sa.Column("title", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False, index=True),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("started", sa.String),
    sa.Column("ended", sa.String),
    sa.Column("progress", sa.JSON(none_as_null=True)),
    sa.Column("summary", sa.JSON(none_as_null=True)),
    sa.Column("problem", sa.JSON(none_as_null=True)),
    sa.Column("retry_of", sa.String),
    sa.Column("process", sa.String),
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
    # What the user wants and the worker has not yet done: "cancel", or nothing.
    sa.Column("wanted", sa.String),
    sa.Column("inputs", sa.JSON, nullable=False),
    sa.Column("outputs", sa.JSON(none_as_null=True)),
    sa.Column("waiting", sa.JSON(none_as_null=True)),
    sa.Column("priority", sa.String, nullable=False, server_default="normal"),
    sa.Column("reuse", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("reused", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sweep", sa.String),
    sqlite_autoincrement=True,
)
EVENTS = sa.Table(
    "events",
    META,
    sa.Column("run", sa.String, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("time", sa.String, nullable=False),
    sa.Column("type", sa.String, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    # Names a thing that can be seen twice but must be told once (a process entering a state); null otherwise.
    sa.Column("key", sa.String),
    sa.UniqueConstraint("run", "key"),
)
KEYS = sa.Table(
    "idempotency_keys",
    META,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("run", sa.String, nullable=False),
    sa.Column("digest", sa.String, nullable=False),
)
OFFSETS = sa.Table(
    "progress_offsets",
    META,
    sa.Column("run", sa.String, primary_key=True),
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("offset", sa.Integer, nullable=False),
)
NOTICES = sa.Table(
    "notices",
    META,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("run", sa.String, nullable=False, index=True),
    # "webhook" or "email", and what it takes to send it.
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("target", sa.JSON, nullable=False),
    sa.Column("state", sa.String, nullable=False, server_default="waiting"),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    # Seconds since the epoch.
    sa.Column("due", sa.Float, nullable=False, server_default="0"),
    sa.Column("said", sa.String),
)
SWEEPS = sa.Table(
    "sweeps",
    META,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("workflow", sa.String, nullable=False),
    sa.Column("title", sa.String, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    # [{"run": id, "values": {input: value}}] in the order of the table's rows.
    sa.Column("rows", sa.JSON, nullable=False),
    sa.Column("names", sa.JSON, nullable=False),
    sa.Column("key", sa.String, unique=True),
    sa.Column("digest", sa.String),
)


def make(connection: sa.Connection) -> None:
    """Make what is missing: tables, and columns that a file of an earlier version does not have."""
    META.create_all(connection)
    known = {row[1] for row in connection.exec_driver_sql("PRAGMA table_info(runs)")}
    for column in RUNS.columns:
        if column.name not in known:
            connection.exec_driver_sql(
                f"ALTER TABLE runs ADD COLUMN {sa.schema.CreateColumn(column).compile(connection)}"
            )
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS ix_runs_sweep ON runs (sweep)")


def on_connect(connection: Any, _record: Any) -> None:
    """Set up a connection that was opened."""
    # The driver must not open transactions by itself: it would do so deferred, and a deferred transaction that turns
    # into a writer fails at once when another process has written meanwhile.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def on_begin(connection: sa.Connection) -> None:
    """Begin a transaction; one that may write takes its turn at once."""
    writes = connection.get_execution_options().get("simdeck_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
