"""Restoring a backup into a data folder that holds nothing yet.

Every part is compared with the manifest before anything is written, and every file with its part's list before it is
put in place. Killed at any moment, the same command goes on: parts that are in place are left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from simdeck_common.layout import user_home
from simdeck_common.problems import Problem

from simdeck_hub import backups
from simdeck_hub.backups import Manifest
from simdeck_hub.instance import is_locked
from simdeck_hub.people import Person, account_of, backend_argv, need_root, service_account, start_as
from simdeck_hub.places import DataFolder
from simdeck_hub.site_file import Site

_IN_THE_WAY = 3


def restore(
    data: DataFolder, site: Site, folder: Path, tell: Callable[[str], None],
    database_of: Callable[[Person], str],
) -> list[str]:  # fmt: skip
    """Restore the backup in ``folder``; return the users whose accounts are missing here.

    ``database_of`` makes a user's database where theirs was in PostgreSQL, and returns it as JSON.

    Raises
    ------
    Problem
        ``restore-running``, ``backup-unreadable``, ``backup-unfinished``, ``restore-kind``, ``restore-in-the-way``,
        ``restore-failed``, ``storage-needs-root``.
    """
    need_root(site)
    if is_locked(data):
        raise Problem("restore-running", folder=data.root)
    manifest = backups.check(folder, lambda _line: None)
    if manifest.on_site != site.on_site:
        raise Problem("restore-kind")
    account = service_account(data)
    if account is None and not data.root.exists():
        data.make(on_site=site.on_site)
    assert manifest.site is not None
    _part(folder, manifest, backups.SITE, data.root, account, None, tell)
    missing = []
    for name, part in sorted(manifest.users.items()):
        person = account_of(name) if site.on_site else Person(name, user_home(data.root, name).root)
        if person is None:
            missing.append(name)
            continue
        database = database_of(person) if part.storage == "postgresql" else None
        _part(folder, manifest, name, person.root, person.account, database, tell)
    return missing


def _part(
    folder: Path, manifest: Manifest, name: str, root: Path, account: Any, database: str | None,
    tell: Callable[[str], None],
) -> None:  # fmt: skip
    arguments = ["--root", str(root), "--backup", manifest.id, *(["--database", database] if database else [])]
    with (folder / manifest.parts()[name].file).open("rb") as stream:
        child = start_as(account, backend_argv("copies.unpack", *arguments), stdin=stream)
        said, wrong = child.communicate()
    words = (wrong.decode(errors="replace").strip().splitlines() or [f"exit status {child.returncode}"])[-1]
    if child.returncode == _IN_THE_WAY:
        raise Problem("restore-in-the-way", what=name, reason=words)
    if child.returncode:
        raise Problem("restore-failed", what=name, reason=words)
    tell(f"{name}: {'restored' if said.strip() == b'restored' else 'was restored before'}")
