"""A private PostgreSQL cluster in a temporary folder, run by an unprivileged user."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

ADMIN = "keeper"


def missing() -> str | None:
    """Return in a line why there can be no PostgreSQL here, or ``None``."""
    if programs() is None:
        return "PostgreSQL's initdb and pg_ctl are not installed (Debian: postgresql-15)"
    if os.getuid() == 0 and not _account():
        return "PostgreSQL does not run as root, and there is no account postgres"
    return None


def programs() -> Path | None:
    """Return the folder of PostgreSQL's server programs."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(folders) if (folder / "pg_ctl").exists()), None)


def _account() -> str | None:
    try:
        return pwd.getpwnam("postgres").pw_name if os.getuid() == 0 else None
    except KeyError:
        return None


class PostgresServer:
    """A cluster whose socket is in ``folder``. ``ADMIN`` makes roles and databases and is no superuser."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sdpg-"))
        self.folder.chmod(0o755)
        self.data = self.folder / "cluster"
        self._user = _account()
        found = programs()
        assert found is not None
        self._programs = found
        if self._user is not None:
            os.chown(self.folder, pwd.getpwnam(self._user).pw_uid, -1)
        self.super_password, self.admin_password = secrets.token_hex(8), secrets.token_hex(8)
        first = self.folder / "first"
        first.write_text(self.super_password)
        first.chmod(0o644)
        self._run("initdb", "-D", str(self.data), "-U", "boss", "-A", "scram-sha-256", "--pwfile", str(first), "--no-sync",
                  "--locale", "C.UTF-8", "-E", "UTF8")  # fmt: skip
        self.start()
        self.super(
            f"CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB PASSWORD '{self.admin_password}';"
            "REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;"
            f"GRANT CONNECT ON DATABASE postgres TO {ADMIN};"
        )

    def start(self) -> None:
        options = (
            f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off "
            "-c unix_socket_permissions=0777 -c log_statement=all -c max_connections=60 -c shared_buffers=16MB"
        )
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.folder / "log"), "-w", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def super(self, sql: str, database: str = "postgres") -> str:
        """What the superuser is answered."""
        return self.ask(sql, "boss", self.super_password, database).stdout.strip()

    def ask(self, sql: str, role: str, password: str, database: str) -> subprocess.CompletedProcess[str]:
        argv = [
            str(self._programs / "psql"),
            "-X",
            "-q",
            "-A",
            "-t",
            "-w",
            "-h",
            str(self.folder),
            "-U",
            role,
            "-d",
            database,
        ]
        env = {"PATH": os.defpath, "PGPASSWORD": password}
        return subprocess.run(argv, input=sql, env=env, capture_output=True, text=True, check=False)

    def site(self, private: Path) -> str:
        """The site file's section; puts the admin role's password into ``private``."""
        path = private / "keeper.pgpass"
        path.write_text(f"*:*:*:{ADMIN}:{self.admin_password}\n")
        path.chmod(0o600)
        return (
            f'[storage]\nkind = "postgresql"\nhost = "{self.folder}"\nadmin_role = "{ADMIN}"\n'
            f'admin_password_file = "{path.name}"\n'
        )

    def trust_accounts(self, names: list[str]) -> None:
        """Let Unix accounts sign in as the roles of their names."""
        rules = self.data / "pg_hba.conf"
        rules.write_text(f"local all {','.join(names)} peer\n{rules.read_text()}")
        self._run("pg_ctl", "-D", str(self.data), "reload")

    def clear(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, cwd="/", **({"user": self._user} if self._user else {}),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
