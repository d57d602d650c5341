"""The people of a data folder and where each one's things lie; running a program as one of them."""

from __future__ import annotations

import contextlib
import os
import pwd
import sqlite3
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from simdeck_common.layout import site_root
from simdeck_common.problems import Problem

from simdeck_hub.places import Checkout, DataFolder
from simdeck_hub.site_file import Site

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Person:
    """A hub user: where their things lie, and on a site their account."""

    name: str
    root: Path
    account: pwd.struct_passwd | None = None


def people(data: DataFolder, site: Site) -> list[Person]:
    """Return everybody who may have something kept, by name."""
    if not site.on_site:
        found = data.users.iterdir() if data.users.is_dir() else ()
        return [Person(path.name, path) for path in sorted(found) if path.is_dir() and not path.name.startswith(".")]
    accounts = [account_of(name) for name in sorted({*site.users.names, *known_to_the_hub(data)})]
    return [person for person in accounts if person is not None]


def person(name: str, data: DataFolder, site: Site) -> Person:
    """Return one hub user, known or new. Raises ``unknown-user`` where a site has no such account."""
    if not site.on_site:
        if not name or name.startswith(".") or "/" in name:
            raise Problem("unknown-user", user=name, known=", ".join(one.name for one in people(data, site)))
        return Person(name, data.users / name)
    found = account_of(name)
    if found is None:
        raise Problem("unknown-user", user=name, known=", ".join(one.name for one in people(data, site)))
    return found


def account_of(name: str) -> Person | None:
    """Return the Unix account as a person, or None where there is none."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        return None
    return Person(name, site_root(Path(account.pw_dir)), account)


def known_to_the_hub(data: DataFolder) -> list[str]:
    """Return the names in the hub's database."""
    path = data.hub / "jupyterhub.sqlite"
    if not path.is_file():
        return []
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as database:
        return [row[0] for row in database.execute("SELECT name FROM users")]


def service_account(data: DataFolder) -> pwd.struct_passwd | None:
    """Return the account that a site's data folder belongs to, for who is root; None for everybody else."""
    if os.getuid() != 0 or not data.root.exists() or data.root.stat().st_uid == 0:
        return None
    return pwd.getpwuid(data.root.stat().st_uid)


def need_root(site: Site) -> None:
    """Raise ``storage-needs-root`` where people's files belong to their own accounts and this is not root."""
    if site.on_site and os.getuid() != 0:
        raise Problem("storage-needs-root")


def start_as(
    account: pwd.struct_passwd | None, argv: list[str], *, stdin: int | IO[bytes] = subprocess.DEVNULL,
    extra: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:  # fmt: skip
    """Start a program with the rights of ``account`` (None: as this user).

    Of this process's environment it gets next to nothing; ``extra`` is what else it needs.
    """
    environment = {"PATH": _PATH, "LANG": "C.UTF-8", **(extra or {})}
    if account is None or account.pw_uid == os.getuid():
        kept = {name: os.environ[name] for name in ("HOME", "PYTHONPATH") if name in os.environ}
        return subprocess.Popen(
            argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment | kept, cwd="/"
        )
    return subprocess.Popen(
        argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
        env=environment | {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name},
        user=account.pw_uid, group=account.pw_gid, extra_groups=os.getgrouplist(account.pw_name, account.pw_gid),
    )  # fmt: skip


def backend_argv(module: str, *arguments: str) -> list[str]:
    """Return the command line of one of the backend's programs, in the backend's environment."""
    return [str(Checkout.find().backend_python), "-m", f"simdeck_workflows.{module}", *arguments]
