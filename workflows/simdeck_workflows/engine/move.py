"""Moves a user's profile from SQLite to PostgreSQL: ``… engine.move --root HOME --runtime DIR --database JSON``.

The steps, each of which may be the last before a kill; the next call finishes, or starts again with nothing lost:

========== ===========================================================================================================
locked     no run is unfinished, the idle worker has been told to end, its lock is held: nobody writes the profile
noted      ``workflows/move.json`` says which database is being filled, so that what a killed move left in it is known
copied     all tables are in PostgreSQL, committed in one transaction
verified   every row has been compared, and every object of the repository with its hash
switched   AiiDA's configuration names PostgreSQL; the file is replaced whole, so this is the moment of the move
done       ``move.json`` says where the old database file is; ``--discard-old`` deletes it
========== ===========================================================================================================

Exit status: 0 done, 3 refused because something is unfinished, 1 anything else; the last line says it in words.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from simdeck_common.files import write_atomically
from simdeck_common.layout import UserHome, account_home

from simdeck_workflows.engine import profile, worker
from simdeck_workflows.rpc import Connection, DisconnectedError
from simdeck_workflows.storage import POSTGRESQL, PROFILE, Database, StorageError, StorageInUse
from simdeck_workflows.store import Store

UNFINISHED = 3
LOCK_PATIENCE = 30.0


class UnfinishedError(Exception):
    """Runs or other processes of the user have not ended."""


class Journal(BaseModel):
    """``workflows/move.json``."""

    state: str
    """``copying``, ``moved`` or ``discarded``."""
    database: Database
    old: Path
    """The folder of the old database file (and of the repository, which stays)."""

    @classmethod
    def read(cls, home: UserHome) -> Journal | None:
        with contextlib.suppress(FileNotFoundError):
            return cls.model_validate_json(_journal(home).read_bytes())
        return None

    def write(self, home: UserHome) -> None:
        write_atomically(_journal(home), self.model_dump_json(indent=1) + "\n")


def reached(step: str) -> None:
    """Tell where the move is."""
    print(step, flush=True)


def move(home: UserHome, database: Database) -> str:
    """Move, or finish moving; return a sentence. Raises ``UnfinishedError`` and ``StorageError``."""
    used = _used(home)
    if used.postgresql is not None:
        _finish(home, used.postgresql)
        return "The profile is in PostgreSQL."
    lock = asyncio.run(_lock(home))
    try:
        reached("locked")
        return _copy_and_switch(home, used, database)
    finally:
        os.close(lock)


def discard(home: UserHome) -> str:
    """Delete the old database file of a finished move. Raises ``StorageError``."""
    found, used = Journal.read(home), _used(home)
    if found is None or used.postgresql is None:
        raise StorageError("the profile was not moved, so there is no old file to delete")
    _finish(home, used.postgresql)
    for name in ("database.sqlite", "database.sqlite-wal", "database.sqlite-shm"):
        (found.old / name).unlink(missing_ok=True)
    found.model_copy(update={"state": "discarded"}).write(home)
    return "The old database file is deleted."


def _copy_and_switch(home: UserHome, used: StorageInUse, database: Database) -> str:
    from aiida.manage.configuration.profile import Profile

    from simdeck_workflows.engine import postgres, transfer

    config_path = profile.aiida_path(home) / ".aiida" / "config.json"
    config = json.loads(config_path.read_bytes())
    before = config["profiles"][PROFILE]
    after = {**before, "storage": {"backend": POSTGRESQL, "config": database.storage_config(used.repository)}}
    old, new = Profile(PROFILE, before), Profile(PROFILE, after)
    source = used.repository / "database.sqlite"

    postgres.wait_for(database)
    known = Journal.read(home)
    if postgres.tables(database).get("db_dbnode") and (known is None or known.database != database):
        raise StorageError(f"the database {database.name} holds nodes already; have it dropped first")
    transfer.check_version(old)
    _refuse_active(old)
    Journal(state="copying", database=database, old=used.repository).write(home)
    reached("noted")
    transfer.copy(source, new, reached)
    reached("copied")
    counts = transfer.compare(source, new, reached)
    objects = transfer.check_repository(source, new, reached)
    reached("verified")
    config["profiles"][PROFILE] = after
    write_atomically(config_path, json.dumps(config, indent=4))
    reached("switched")
    _finish(home, database)
    links, groups = counts["db_dblink"], counts["db_dbgroup"]
    return (
        f"Moved {counts['db_dbnode']} nodes, {links} links, {groups} groups, {counts['db_dblog']} log lines and "
        f"{counts['db_dbcomment']} comments; {objects} objects of the repository are whole. "
        "The old file is kept until --discard-old."
    )


def _finish(home: UserHome, database: Database) -> None:
    found = Journal.read(home)
    if found is not None and found.state == "copying" and found.database == database:
        found.model_copy(update={"state": "moved"}).write(home)
    reached("done")


def _used(home: UserHome) -> StorageInUse:
    used = StorageInUse.read(profile.aiida_path(home))
    if used is None:
        raise StorageError("there is no profile yet; the next run makes it in PostgreSQL")
    return used


async def _lock(home: UserHome) -> int:
    """Hold the worker's lock; an idle worker is told to end. Raises ``UnfinishedError``."""
    store = Store(home.workflows / "runs.sqlite")
    try:
        if store.any_unfinished():
            raise UnfinishedError("runs are unfinished")
    finally:
        store.close()
    deadline = time.monotonic() + LOCK_PATIENCE
    while (lock := worker.take_lock(home)) is None:
        if time.monotonic() > deadline:
            raise UnfinishedError("the worker goes on; another run or command needs it")
        with contextlib.suppress(OSError, DisconnectedError, TimeoutError):
            async with asyncio.timeout(5):
                connection = Connection(lambda _method, _params: None)
                await connection.open(home.worker_socket)
                await connection.call("stop")
                await connection.closed.wait()
        await asyncio.sleep(0.1)
    return lock


def _refuse_active(old: Any) -> None:
    """Refuse where somebody has processes that are no runs of ours; the worker's lock is held."""
    import sqlite3

    source = Path(old.storage_config["filepath"]) / "database.sqlite"
    query = (
        "SELECT count(*) FROM db_dbnode WHERE node_type LIKE 'process.%' "
        "AND json_extract(attributes, '$.sealed') IS NULL "
        "AND coalesce(json_extract(attributes, '$.process_state'), '') NOT IN ('finished', 'excepted', 'killed')"
    )
    with contextlib.closing(sqlite3.connect(source, timeout=60)) as connection:
        if number := connection.execute(query).fetchone()[0]:
            raise UnfinishedError(f"{number} processes of AiiDA are unfinished")


def _journal(home: UserHome) -> Path:
    return home.workflows / "move.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="Move a profile from SQLite to PostgreSQL.")
    parser.add_argument("--root", type=Path, help="Not given: the home of this Unix account.")
    parser.add_argument("--runtime", type=Path)
    parser.add_argument("--database", type=Database.model_validate_json)
    parser.add_argument("--discard-old", action="store_true")
    options = parser.parse_args()
    home = account_home() if options.root is None else UserHome(root=options.root, runtime=options.runtime)
    os.umask(0o077)
    profile.set_environment(home)
    try:
        print(discard(home) if options.discard_old else move(home, options.database))
    except UnfinishedError as error:
        print(error)
        sys.exit(UNFINISHED)
    except StorageError as error:
        print(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
