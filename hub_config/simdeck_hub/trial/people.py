"""The trial's Unix accounts: people with real home folders, and the service that runs the site."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Sequence
from pathlib import Path

from simdeck_hub.trial.ledger import Ledger
from simdeck_hub.trial.machine import free_group_number, run


def make_group(name: str, ledger: Ledger) -> int:
    """Make the group of the people Simdeck may act for; return its number."""
    number = free_group_number()
    ledger.note("group", name=name, gid=number)
    run(["groupadd", "--gid", str(number), name])
    return number


def make_person(name: str, homes: Path, group: str, ledger: Ledger, mark: str) -> None:
    """Make a person's account with a home folder only they can enter."""
    _make(name, homes / name, ["--shell", "/bin/bash", "--groups", group], ledger, mark)


def make_service(name: str, home: Path, ledger: Ledger, mark: str) -> None:
    """Make the account that runs proxy, hub and deck: no shell, no rights but the one sudo rule."""
    _make(name, home, ["--system", "--user-group", "--shell", "/usr/sbin/nologin"], ledger, mark)


def _make(name: str, home: Path, options: Sequence[str], ledger: Ledger, mark: str) -> None:
    comment = f"Simdeck trial {mark}"
    ledger.note("account", name=name, comment=comment)
    run(["useradd", "--no-create-home", "--home-dir", str(home), "--comment", comment, *options, name])
    account = pwd.getpwnam(name)
    home.mkdir(mode=0o700)
    os.chown(home, account.pw_uid, account.pw_gid)


def groups_of(name: str) -> list[int]:
    account = pwd.getpwnam(name)
    return sorted({account.pw_gid, *(group.gr_gid for group in grp.getgrall() if name in group.gr_mem)})
