"""PostgreSQL's own programs, called as the user whose database it is. A password is never in their arguments."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from simdeck_workflows.storage import Database, StorageError

_DEBIAN = "/usr/lib/postgresql"


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs. Raises ``StorageError`` where it is not installed."""
    found = shutil.which(name) or next((str(path) for path in sorted(Path(_DEBIAN).glob(f"*/bin/{name}"))), None)
    if found is None:
        raise StorageError(f"{name} is not installed here; Debian has it in postgresql-client")
    return found


def call(argv: list[str], database: Database, stdin: str = "") -> str:
    """Run a program and return what it says. Raises ``StorageError`` with its last words."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(
        argv, env=environment | database.environment(), input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise StorageError(f"{Path(argv[0]).name}: {words}")
    return done.stdout


def ask(database: Database, sql: str) -> str:
    """What one statement answers, as plain text. Raises ``StorageError``."""
    argv = [program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *database.arguments()]
    return call(argv, database, sql).strip()


def dump(database: Database, target: Path) -> int:
    """Write a dump; return how many nodes the database has. Raises ``StorageError``."""
    nodes = int(ask(database, "SELECT count(*) FROM db_dbnode;"))
    argv = [program("pg_dump"), "--format=custom", "--no-owner", "--no-acl", "--file", str(target)]
    call([*argv, *database.arguments()], database)
    return nodes


def restore(database: Database, source: Path) -> None:
    """Make the database what the dump says, all or nothing. Raises ``StorageError``."""
    argv = [program("pg_restore"), "--clean", "--if-exists", "--no-owner", "--no-acl", "--single-transaction"]
    call([*argv, "--exit-on-error", *database.arguments(), str(source)], database)


def tables(database: Database) -> int:
    """How many tables the database has. Raises ``StorageError``."""
    return int(ask(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public';"))
