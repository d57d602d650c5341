"""A profile whose database is in PostgreSQL: making it, waiting for the server, and what to do when it goes away.

A server that restarts takes the connection with it in the middle of whatever a process was doing. To the engine that
would be the process's own failure. So the worker ends at once instead, as if it had been killed: nothing is lost by
that at any line, and the next worker waits until the server is back.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from simdeck_workflows.storage import POSTGRESQL, Database, StorageError

LOG = logging.getLogger(__name__)

PATIENCE = 40.0
"""Seconds a starting worker waits for the server; less than the agent waits for the worker."""

_GONE = ("08", "53", "57")
"""Classes of SQLSTATE: connection lost, no resources (disk, memory, connections), operator (shutdown, restart)."""


def engine_of(database: Database) -> sa.Engine:
    """A plain engine for the database."""
    from aiida.storage.psql_dos.utils import create_sqlalchemy_engine

    found: sa.Engine = create_sqlalchemy_engine(database.storage_config(Path("/")))
    return found


def wait_for(database: Database, patience: float = PATIENCE) -> None:
    """Wait until the database answers. Raises ``StorageError`` with the server's own words after ``patience`` s."""
    deadline = time.monotonic() + patience
    engine = engine_of(database)
    try:
        while True:
            try:
                with engine.connect():
                    return
            except sa.exc.OperationalError as error:
                if time.monotonic() > deadline:
                    words = " ".join(str(error.orig).split())
                    raise StorageError(f"PostgreSQL at {database.host} cannot be used: {words}") from error
            time.sleep(0.25)
    finally:
        engine.dispose()


def tables(database: Database) -> dict[str, int]:
    """How many rows each of AiiDA's tables has; empty for an empty database."""
    engine = engine_of(database)
    try:
        with engine.connect() as connection:
            names = [name for name in sa.inspect(connection).get_table_names() if name.startswith("db_db")]
            return {
                name: connection.execute(sa.select(sa.func.count()).select_from(sa.table(name))).scalar_one()
                for name in names
            }
    finally:
        engine.dispose()


def make_profile(config: Any, name: str, database: Database, repository: Path, broker: dict[str, Any]) -> None:
    """Add a profile to AiiDA's configuration, making database and repository; one that was made half-way is finished.

    Raises
    ------
    StorageError
        The database cannot be reached, or holds another profile's nodes.
    """
    from aiida.manage.configuration.profile import Profile

    wait_for(database)
    if not (repository / "container" / "config.json").exists() and tables(database).get("db_dbnode"):
        raise StorageError(
            f"the database {database.name} holds the nodes of an earlier profile, whose repository is not here; "
            "restore a backup, or have the database dropped"
        )
    storage = {"backend": POSTGRESQL, "config": database.storage_config(repository)}
    profile = Profile(name, {"storage": storage, "process_control": broker, "test_profile": False})
    repository.mkdir(parents=True, exist_ok=True, mode=0o700)
    profile.storage_cls.initialise(profile)
    config.add_profile(profile)
    config.store()


def is_gone(context: Any) -> bool:
    """Whether an error says that the server has gone, or cannot go on; for SQLAlchemy's event ``handle_error``."""
    state = getattr(context.original_exception, "sqlstate", None) or ""
    no_connection = context.connection is None and isinstance(context.sqlalchemy_exception, sa.exc.OperationalError)
    return bool(context.is_disconnect or no_connection or state.startswith(_GONE))


def end_when_lost(engine: sa.Engine) -> None:
    """End this process at once when the server goes away."""

    def look(context: Any) -> None:
        if is_gone(context):
            words = " ".join(str(context.original_exception).split())
            LOG.error("PostgreSQL has gone away; ending, to be started afresh: %s", words)
            # Not an exception: between here and the top stands code that would write it down as the run's failure.
            os._exit(1)

    sa.event.listen(engine, "handle_error", look)
