"""The `simdeck` command."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click
from simdeck_common.problems import Problem

from simdeck_hub import (
    cli_admin_runs,
    cli_apps,
    cli_developer,
    cli_keeping,
    cli_runs,
    cli_shares,
    cli_storage,
    doctor,
    site_file,
)
from simdeck_hub.cli_show import say_refusal
from simdeck_hub.places import Checkout, DataFolder


class Commands(click.Group):
    """Commands whose refusals are two lines on standard error (what was wrong, what to do) and exit code 1."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except Problem as problem:
            say_refusal(problem)
            context.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="simdeck")
def main() -> None:
    """Simdeck: simulation apps in the browser, runs that outlive it."""


@main.command()
@click.option("--port", type=click.IntRange(1, 65535), envvar="PORT", help="Port of the address; also PORT=….")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder; also SIMDECK_DATA=….")
@click.option(
    "--site",
    "site_path",
    type=click.Path(path_type=Path),
    envvar="SIMDECK_SITE",
    help="Site file; else <data>/site.toml.",
)
def up(port: int | None, data: Path | None, site_path: Path | None) -> None:
    """Start everything in the foreground; Ctrl-C stops all of it."""
    from simdeck_hub import parts
    from simdeck_hub.progress import Progress
    from simdeck_hub.supervisor import Supervisor

    if data is not None:
        os.environ["SIMDECK_DATA"] = str(data)
    checkout = Checkout.find()
    folder = DataFolder.find(checkout=checkout)
    chosen = site_path or (folder.site_file if folder.site_file.is_file() else None)
    site = site_file.load(chosen)
    for warning in site.auth.warnings():
        click.echo(f"{click.style('!', fg='yellow')} {warning}", err=True)
    parts.check_sign_in(site, folder)
    parts.allow_many_files()
    supervisor = Supervisor(
        data=folder,
        checkout=checkout,
        site=site,
        site_file=chosen.resolve() if chosen else None,
        port=port or site.hub.port,
        progress=Progress(),
    )
    sys.exit(asyncio.run(supervisor.run()))


@main.command()
@click.argument("user", required=False)
def password(user: str | None) -> None:
    """Make a new one-time password while Simdeck runs; an unused older one no longer works."""
    from simdeck_hub.instance import find_running
    from simdeck_hub.passwords import PasswordStore

    data, running = find_running()
    name = known_user(user, running.users)
    click.echo(
        f"{running.address} – sign in as {name} with the one-time password {PasswordStore(data.private).make(name)}"
    )


@main.command()
@click.option("--user", help="Hub user the token is for; else the first.")
@click.option(
    "--scope",
    "scopes_",
    multiple=True,
    help="What it may do, for example runs:read; repeatable. Else all the user may.",
)
@click.option("--note", default="made with `simdeck token`", help="Shown on the hub's token page.")
@click.option("--days", type=click.IntRange(1, 3650), help="Days until it ends; else it ends when it is revoked.")
def token(user: str | None, scopes_: tuple[str, ...], note: str, days: int | None) -> None:
    """Make a hub token for the REST API and print it, once."""
    from simdeck_hub import scopes
    from simdeck_hub.hub_api import HubApi
    from simdeck_hub.instance import find_running
    from simdeck_hub.secrets_file import Secrets

    data, running = find_running()
    name = known_user(user, running.users)
    wanted = [full for one in scopes_ for full in scopes.for_token(one)]
    if wanted:
        wanted.append(scopes.ACCESS_DECK)
    hub = HubApi(running.hub_api, Secrets.load(data.private).operator_token, str(data.logs / "hub.log"))
    click.echo(asyncio.run(hub.make_token(name, note, wanted or None, days * 86400 if days else None)))


def known_user(user: str | None, users: list[str]) -> str:
    """Return ``user``, or the first of ``users``; ``unknown-user`` when it is none of them."""
    if user is None:
        return users[0]
    if user not in users:
        raise Problem("unknown-user", user=user, known=", ".join(users))
    return user


for _command in [
    *cli_runs.COMMANDS,
    *cli_apps.COMMANDS,
    *cli_admin_runs.COMMANDS,
    *cli_developer.COMMANDS,
    *cli_keeping.COMMANDS,
    *cli_shares.COMMANDS,
    *cli_storage.COMMANDS,
    *doctor.COMMANDS,
]:
    main.add_command(_command)
