"""AiiDA's tables from an SQLite file into an empty PostgreSQL database, every row with the number (pk) it has.

Checkpoints and other databases name nodes by number and by UUID, so an export and import, which numbers anew, would not
do. The repository is not touched: both kinds of storage keep it in the same format, and the new one uses it where it
is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from aiida.storage.psql_dos.migrator import PsqlDosMigrator
from aiida.storage.psql_dos.models.base import get_orm_metadata
from aiida.storage.sqlite_dos.backend import SqliteDosMigrator
from aiida.storage.sqlite_zip.utils import create_sqla_engine

from simdeck_workflows.copies import plans
from simdeck_workflows.storage import StorageError

_ROWS = 500


def check_version(old: Any) -> None:
    """Raise ``StorageError`` unless the old profile's schema is the one that this AiiDA writes."""
    with SqliteDosMigrator(old) as migrator:
        found, wanted = migrator.get_schema_version_profile(), PsqlDosMigrator.get_schema_version_head()
    if found != wanted:
        raise StorageError(f"the profile's schema is {found} and this AiiDA writes {wanted}; start a run first")


def copy(source: Path, new: Any, tell: Callable[[str], None]) -> None:
    """Fill the database of the profile ``new`` from the file ``source``, in one transaction: all of it or nothing.

    What the database held before is dropped. Raises ``StorageError``.
    """
    origin = create_sqla_engine(source)
    with PsqlDosMigrator(new) as migrator:
        connection = migrator.connection
        before = sa.MetaData()
        before.reflect(connection)
        before.drop_all(connection)
        metadata = get_orm_metadata()
        metadata.create_all(connection)
        with origin.connect() as reader:
            for table in metadata.sorted_tables:
                tell(f"table {table.name}")
                try:
                    for rows in _batches(reader, table.name):
                        connection.execute(table.insert(), rows)
                except sa.exc.DBAPIError as error:
                    words = " ".join(str(error.orig).split())
                    raise StorageError(f"{table.name} cannot be copied: {words}") from error
                if "id" in table.columns:
                    _go_on_counting(connection, table)
        with migrator._migration_context() as context:
            context.stamp(context.script, "main@head")
        connection.commit()
    origin.dispose()


def compare(source: Path, new: Any, tell: Callable[[str], None]) -> dict[str, int]:
    """Compare every row of both databases; return how many there are by table. Raises ``StorageError``."""
    counts = {}
    origin = create_sqla_engine(source)
    with PsqlDosMigrator(new) as migrator, origin.connect() as reader:
        for table in get_orm_metadata().sorted_tables:
            number = 0
            ours = (row for rows in _batches(reader, table.name) for row in rows)
            for wanted, found in itertools.zip_longest(ours, _rows(migrator.connection, table)):
                if wanted != found:
                    which = (wanted or found or {}).get("id")
                    raise StorageError(f"{table.name} differs after the copy, first at number {which}")
                number += 1
            counts[table.name] = number
            tell(f"table {table.name}: {number}")
        migrator.validate_storage()
    origin.dispose()
    return counts


def check_repository(source: Path, new: Any, tell: Callable[[str], None]) -> int:
    """Check the hash of every object, and that nodes refer to no other; return how many. Raises ``StorageError``."""
    tell("repository")
    with PsqlDosMigrator(new) as migrator:
        container = migrator.get_container()
    issues = container.validate()
    if not issues.is_valid():
        raise StorageError("the repository has damaged objects; `verdi storage maintain` and a backup tell more")
    held = set(container.list_all_objects())
    origin = create_sqla_engine(source)
    with origin.connect() as reader:
        for (metadata,) in reader.execute(sa.text("SELECT repository_metadata FROM db_dbnode")):
            if missing := next((key for key in plans.referred(metadata) if key not in held), None):
                raise StorageError(f"the repository lacks the object {missing}, which a node refers to")
    origin.dispose()
    return len(held)


def _batches(reader: sa.Connection, name: str) -> Iterator[list[dict[str, Any]]]:
    from aiida.storage.sqlite_zip.models import SqliteBase

    table = SqliteBase.metadata.tables[name]
    found = reader.execution_options(yield_per=_ROWS).execute(sa.select(table).order_by(table.c.id))
    for rows in found.mappings().partitions(_ROWS):
        yield [dict(row) for row in rows]


def _rows(connection: sa.Connection, table: sa.Table) -> Iterator[dict[str, Any]]:
    found = connection.execution_options(yield_per=_ROWS).execute(sa.select(table).order_by(table.c.id))
    for row in found.mappings():
        # SQLite has no type for these and holds them as text.
        yield {name: str(value) if isinstance(value, UUID) else value for name, value in row.items()}


def _go_on_counting(connection: sa.Connection, table: sa.Table) -> None:
    sequence = connection.execute(sa.select(sa.func.pg_get_serial_sequence(table.name, "id"))).scalar_one()
    most = connection.execute(sa.select(sa.func.max(table.c.id))).scalar_one()
    if sequence is not None and most is not None:
        connection.execute(sa.select(sa.func.setval(sequence, most)))
