"""A role and a database in PostgreSQL for each user, made by the site's own role with PostgreSQL's own `psql`.

Whatever is made is made only where it is missing, so it can be repeated after a kill at any line. Nothing secret is in
a command line or in PostgreSQL's log: the server gets a SCRAM verifier, and the password goes into the user's own file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from simdeck_common.files import write_atomically
from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem
from simdeck_workflows.copies import postgresql
from simdeck_workflows.storage import Database, StorageError

from simdeck_hub.people import Person, backend_argv, service_account, start_as
from simdeck_hub.places import DataFolder
from simdeck_hub.site_file import Site, unix_user

_ITERATIONS = 4096

_POWERS = """
SELECT rolname FROM pg_roles WHERE rolname = :'role'
AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls);
"""
_OPEN = """
SELECT datname FROM pg_database WHERE datallowconn AND datname <> :'base'
AND has_database_privilege('public', datname, 'CONNECT') ORDER BY datname;
"""
_MAKE = r"""
SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT 20', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
GRANT :"role" TO CURRENT_USER;
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8''
LC_COLLATE ''C.UTF-8'' LC_CTYPE ''C.UTF-8''', :'base', :'role')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'base') \gexec
REVOKE ALL ON DATABASE :"base" FROM PUBLIC;
REVOKE :"role" FROM CURRENT_USER;
"""
_OWNER = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = :'base';"


def provision(data: DataFolder, site: Site, person: Person) -> Database:
    """Make the person's role and database where they are missing; return how the person's worker reaches them.

    Raises
    ------
    Problem
        ``storage-not-postgresql``, ``storage-databases-open``, ``storage-role-powerful``, ``storage-owner``,
        ``storage-server`` (with PostgreSQL's words), ``storage-needs-root``.
    """
    server = site.storage.server(on_site=site.on_site)
    if server is None:
        raise Problem("storage-not-postgresql")
    if not server.peer and site.on_site and os.getuid() != 0:
        raise Problem("storage-needs-root")
    database = server.database(person.name, person.root)
    admin = _Admin(data, site, database)
    if found := admin.ask(_OPEN):
        raise Problem("storage-databases-open", databases=", ".join(found.split()))
    if admin.ask(_POWERS):
        raise Problem("storage-role-powerful", role=database.role)
    admin.ask(_MAKE)
    owner = admin.ask(_OWNER)
    if owner != database.role:
        raise Problem("storage-owner", database=database.name, owner=owner)
    if database.passfile is not None and not reaches(person, database):
        password = secrets.token_urlsafe(32)
        _keep(person, database.passfile, f"*:*:*:{database.role}:{password}\n")
        admin.ask(f"ALTER ROLE :\"role\" PASSWORD '{verifier(password)}';")
    return database


def verifier(password: str, salt: bytes | None = None) -> str:
    """Return what PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 5803); the password cannot be had from it."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"


def reaches(person: Person, database: Database) -> bool:
    """Return whether the person can sign in to their database."""
    argv = [_program("psql"), "-X", "-q", "-c", "SELECT 1", *database.arguments()]
    child = start_as(person.account, argv, extra=database.environment())
    child.communicate()
    return child.returncode == 0


class _Admin:
    """The admin role's way in, for the role and database of one user."""

    def __init__(self, data: DataFolder, site: Site, database: Database) -> None:
        section = site.storage
        self._account = service_account(data)
        file = section.admin_password_file
        self._environment = {"PGPASSFILE": str(data.private / file.expanduser())} if file is not None else {}
        role = section.admin_role or (self._account.pw_name if self._account is not None else unix_user())
        self._argv = [
            _program("psql"), "-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-v", f"role={database.role}",
            "-v", f"base={database.name}", "-h", section.host, "-p", str(section.port), "-U", role, "-d",
            section.admin_database,
        ]  # fmt: skip
        self._host = section.host

    def ask(self, sql: str) -> str:
        child = start_as(self._account, self._argv, stdin=-1, extra=self._environment)
        out, wrong = child.communicate(sql.encode())
        if child.returncode:
            words = (wrong.decode(errors="replace").strip().splitlines() or ["it says nothing"])[0]
            raise Problem("storage-server", host=self._host, reason=words)
        return out.decode().strip()


def _program(name: str) -> str:
    try:
        return postgresql.program(name)
    except StorageError as error:
        raise Problem("storage-server", host="this machine", reason=str(error)) from error


def _keep(person: Person, path: Path, content: str) -> None:
    """Write the password's file with the rights of whose it is: root writes nothing into people's homes."""
    if person.account is None:
        private_dir(path.parent)
        write_atomically(path, content)
        return
    child = start_as(person.account, backend_argv("copies.password", str(path)), stdin=-1)
    _, wrong = child.communicate(content.encode())
    if child.returncode:
        raise Problem("storage-server", host=str(path), reason=wrong.decode(errors="replace").strip()[-300:])
