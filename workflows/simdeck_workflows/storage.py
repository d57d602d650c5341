"""Where a user's provenance is kept: SQLite files of their own (the default), or a database of their own in PostgreSQL.

Three things are told apart. The **server** is the site's (in ``agent.json``). A user's **database** on it follows from
the user's name alone; the agent leaves it for the worker in ``workflows/storage.json``. Which storage a profile **is
using** stands in AiiDA's own configuration and nowhere else: what is made new uses the database, what exists stays
where it is until it is moved.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from simdeck_common.files import write_atomically
from simdeck_common.layout import UserHome, private_dir

PROFILE = "simdeck"
POSTGRESQL = "core.psql_dos"
PASSWORD_FILE = "database.pgpass"  # noqa: S105 - a file's name
SCHEMA_FILE = "storage-schema"
"""In the workflow folder: the schema of a profile in PostgreSQL, for those who cannot ask the database."""
_FILE = "storage.json"


class StorageError(Exception):
    """A storage that cannot be reached or does not hold what it should; the text is for a person."""


class Database(BaseModel):
    """One user's database. It has no secret in it: the password, where there is one, is in the user's own file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(description="Name or address, or the absolute path of the folder of the server's Unix socket.")
    port: int
    role: str
    name: str
    passfile: Path | None = Field(default=None, description="File of the password in PostgreSQL's own format (600).")

    def arguments(self) -> list[str]:
        """What PostgreSQL's programs need to reach it; they never ask for a password."""
        return ["-w", "-h", self.host, "-p", str(self.port), "-U", self.role, "-d", self.name]

    def environment(self) -> dict[str, str]:
        return {"PGPASSFILE": str(self.passfile)} if self.passfile is not None else {}

    def storage_config(self, repository: Path) -> dict[str, Any]:
        """AiiDA's configuration of the storage, with the repository's folder ``repository / "container"``."""
        wanted: dict[str, Any] = {"host": self.host, "port": self.port, "connect_timeout": 10}
        if self.passfile is not None:
            wanted["passfile"] = str(self.passfile)
        return {
            "database_engine": "postgresql_psycopg",
            # AiiDA makes an address of these, which cannot hold a socket's folder; the arguments below win over it.
            "database_hostname": None if self.host.startswith("/") else self.host,
            "database_port": self.port,
            "database_username": self.role,
            "database_password": "",
            "database_name": self.name,
            "repository_uri": repository.absolute().as_uri(),
            "engine_kwargs": {"connect_args": wanted},
        }


class Server(BaseModel):
    """The site's PostgreSQL as users' agents need to know it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int = 5432
    peer: bool = Field(description="Whether the role is the Unix account, known by its socket, without a password.")
    prefix: str = Field(description="What users' databases, and roles with a password, begin with.")

    def database(self, user: str, home: Path) -> Database:
        """The database of ``user``, whose folder is ``home``."""
        return Database(
            host=self.host,
            port=self.port,
            role=user if self.peer else f"{self.prefix}{user}",
            name=f"{self.prefix}{user}",
            passfile=None if self.peer else home / PASSWORD_FILE,
        )


def write(home: UserHome, user: str, server: Server | None) -> bool:
    """Leave the user's database for the worker, or that there is none; return whether it is another than before."""
    database = server.database(user, home.root) if server is not None and user else None
    if database == read(home):
        return False
    private_dir(home.workflows)
    if database is None:
        (home.workflows / _FILE).unlink(missing_ok=True)
    else:
        write_atomically(home.workflows / _FILE, database.model_dump_json(indent=1) + "\n")
    return True


def read(home: UserHome) -> Database | None:
    """The database that the agent left for new profiles; None where they are to be SQLite's."""
    return read_file(home.workflows)


def read_file(workflows: Path) -> Database | None:
    """As ``read``, of the user's workflow folder."""
    try:
        return Database.model_validate_json((workflows / _FILE).read_bytes())
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class StorageInUse:
    """The storage of a profile that exists: ``kind`` is ``sqlite`` or ``postgresql``."""

    kind: str
    repository: Path
    """The folder that holds ``container``, and with SQLite ``database.sqlite``."""
    postgresql: Database | None = None

    @classmethod
    def read(cls, aiida_path: Path) -> StorageInUse | None:
        """Read it from AiiDA's configuration; None while there is no profile.

        Raises
        ------
        StorageError
            The configuration cannot be read.
        """
        try:
            profiles = json.loads((aiida_path / ".aiida" / "config.json").read_bytes())["profiles"]
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{aiida_path}/.aiida/config.json cannot be read: {error!r}") from error
        return cls.of(profiles[PROFILE]["storage"]) if PROFILE in profiles else None

    @classmethod
    def of(cls, storage: dict[str, Any]) -> StorageInUse:
        """What a profile's ``storage`` says."""
        config = storage["config"]
        if storage["backend"] != POSTGRESQL:
            return cls("sqlite", Path(config["filepath"]))
        extra = config.get("engine_kwargs", {}).get("connect_args", {})
        database = Database(
            host=extra.get("host") or config["database_hostname"] or "localhost",
            port=extra.get("port") or config["database_port"],
            role=config["database_username"],
            name=config["database_name"],
            passfile=extra.get("passfile"),
        )
        return cls("postgresql", Path(config["repository_uri"].removeprefix("file://")), database)
