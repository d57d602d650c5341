"""`simdeck storage`: users' databases in PostgreSQL, and moving users there. On a site as root."""

from __future__ import annotations

from pathlib import Path

import click
from simdeck_common.layout import user_home
from simdeck_common.problems import Problem
from simdeck_workflows.storage import Database, StorageError, StorageInUse

from simdeck_hub.cli_keeping import DATA, SITE, places
from simdeck_hub.people import Person, backend_argv, need_root, people, person, start_as
from simdeck_hub.places import DataFolder

_UNFINISHED = 3


@click.group()
def storage() -> None:
    """Where people's provenance is kept: SQLite, or PostgreSQL with a role and a database for each."""


@storage.command()
@click.argument("users", nargs=-1)
@DATA
@SITE
def provision(users: tuple[str, ...], data: Path | None, site_path: Path | None) -> None:
    """Make the role and the database of USERS (none: of everybody known) where they are missing.

    Simdeck does it by itself before a user's first start, except on a site with passwords.
    """
    from simdeck_hub import postgres_admin

    place, site = places(data, site_path)
    wanted = [person(name, place, site) for name in users] or people(place, site)
    for one in wanted:
        database = postgres_admin.provision(place, site, one)
        click.echo(f"{one.name}: database {database.name}, role {database.role}")


@storage.command()
@DATA
@SITE
def status(data: Path | None, site_path: Path | None) -> None:
    """Say where each user's provenance is. On a site as root."""
    place, site = places(data, site_path)
    need_root(site)
    for one in people(place, site):
        try:
            used = StorageInUse.read(one.root / "workflows" / "aiida")
        except (StorageError, OSError) as error:
            click.echo(f"{one.name}: cannot be read: {error}")
            continue
        where = "no profile yet" if used is None else used.kind
        name = f" ({used.postgresql.name})" if used is not None and used.postgresql is not None else ""
        click.echo(f"{one.name}: {where}{name}")


@storage.command()
@click.option("--to", "kind", type=click.Choice(["postgresql"]), required=True, help="Where to.")
@click.option("--user", "users", multiple=True, help="A user; repeatable. Else everybody.")
@click.option("--discard-old", is_flag=True, help="Delete the old database file of users that were moved.")
@DATA
@SITE
def move(kind: str, users: tuple[str, ...], discard_old: bool, data: Path | None, site_path: Path | None) -> None:
    """Move profiles from SQLite to PostgreSQL. Simdeck may run; users with unfinished runs are left for later.

    Every row and every file is compared before the switch, and the old file is kept. Stopped half-way, the same
    command goes on.
    """
    from simdeck_hub import postgres_admin

    place, site = places(data, site_path)
    need_root(site)
    late = []
    for one in [person(name, place, site) for name in users] or people(place, site):
        click.echo(f"{one.name}:")
        if discard_old:
            _carry_out(place, one, None)
        elif not _carry_out(place, one, postgres_admin.provision(place, site, one)):
            late.append(one.name)
    if late:
        raise Problem("storage-unfinished", users=", ".join(late))


def _carry_out(place: DataFolder, one: Person, database: Database | None) -> bool:
    """Run the move of one user, telling its steps; return False where something of theirs is unfinished."""
    words = ["--discard-old"] if database is None else ["--database", database.model_dump_json()]
    if one.account is None:
        home = user_home(place.root, one.name)
        words += ["--root", str(home.root), "--runtime", str(home.runtime)]
    child = start_as(one.account, backend_argv("engine.move", *words))
    assert child.stdout is not None
    assert child.stderr is not None
    last = ""
    for line in child.stdout:
        last = line.decode(errors="replace").strip()
        click.echo(f"  {last}")
    wrong = child.stderr.read().decode(errors="replace").strip().splitlines()
    code = child.wait()
    if code == _UNFINISHED:
        return False
    if code:
        raise Problem("storage-move-failed", user=one.name, reason=last if code == 1 and last else (wrong or ["?"])[-1])
    return True


COMMANDS = [storage]
