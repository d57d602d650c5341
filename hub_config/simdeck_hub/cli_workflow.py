"""`simdeck workflow`: let others run one of the workflows."""

from __future__ import annotations

import asyncio

import click


@click.group()
def workflow() -> None:
    """Offer a workflow: tokens that can run it and do nothing else."""


@workflow.command()
@click.argument("name")
@click.option("--user", help="Hub user the token is for; else the first.")
@click.option("--days", type=click.IntRange(1, 3650), help="Days until it ends; else it ends when it is revoked.")
@click.option("--note", help="Shown on the hub's token page.")
def token(name: str, user: str | None, days: int | None, note: str | None) -> None:
    """Make a token that can run the workflow NAME, and read and cancel its runs, and print it, once."""
    from simdeck_hub import scopes
    from simdeck_hub.cli import known_user
    from simdeck_hub.hub_api import HubApi
    from simdeck_hub.instance import find_running
    from simdeck_hub.secrets_file import Secrets

    data, running = find_running()
    owner = known_user(user, running.users)
    wanted = scopes.for_workflow(owner, name)
    hub = HubApi(running.hub_api, Secrets.load(data.private).operator_token, str(data.logs / "hub.log"))
    seconds = days * 86400 if days else None
    click.echo(asyncio.run(hub.make_token(owner, note or f"runs {name} only", wanted, seconds)))


COMMANDS = [workflow]
