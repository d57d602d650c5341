"""Sharing from the command line: make a link for a run or an app, list the links, end one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import click
import httpx

from simdeck_hub import cli_show
from simdeck_hub.cli_client import client, rest
from simdeck_hub.cli_finding import JSON, USER, find

WITH = click.option("--with", "people", multiple=True, metavar="PERSON", help="Somebody who may open it; repeatable.")
GROUP = click.option("--group", "groups", multiple=True, help="A group whose members may open it; repeatable.")
DAYS = click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="How long.")


@click.group()
def share() -> None:
    """Share a run or an app with people by a link."""


@share.command("run")
@click.argument("run_id", metavar="RUN")
@WITH
@GROUP
@DAYS
@JSON
@USER
def share_run(
    run_id: str, people: tuple[str, ...], groups: tuple[str, ...], days: int, as_json: bool, user: str
) -> None:
    """Share RUN, read-only: its results, inputs and files. Prints the link."""
    _create({"run": _whole_id(run_id)}, people, groups, days, as_json)


@share.command("app")
@click.argument("app")
@click.option("--version", help="An installed version; else the one in use.")
@click.option("--run", "run_id", metavar="RUN", help="Open it with this run's result, which is shared too.")
@click.option("--page", default="", help="Which of the app's pages opens.")
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="For the page; repeatable.")
@WITH
@GROUP
@DAYS
@JSON
@USER
def share_app(
    app: str,
    version: str | None,
    run_id: str | None,
    page: str,
    parameters: tuple[str, ...],
    people: tuple[str, ...],
    groups: tuple[str, ...],
    days: int,
    as_json: bool,
    user: str,
) -> None:
    """Share APP: whoever is named opens that version without installing it. Prints the link."""
    pairs = [one.partition("=") for one in parameters]
    for name, equals, _ in pairs:
        if not equals:
            raise click.BadParameter(f"write {name}=VALUE", param_hint="--parameter")
    body: dict[str, Any] = {"app": app, "page": page, "parameters": {name: value for name, _, value in pairs}}
    body |= {"version": version} if version else {}
    body |= {"run": _whole_id(run_id)} if run_id else {}
    _create(body, people, groups, days, as_json)


@share.command("list")
@JSON
@USER
def list_shares(as_json: bool, user: str) -> None:
    """List what you share: with whom, until when, who has opened it."""
    with rest() as api:
        items = api.get("shares").json()["items"]
    if as_json:
        cli_show.print_json(items)
        return
    rows = [
        (
            one["id"],
            f"{one['app']} {one['version']}" if one["app"] else one["title"],
            ", ".join([*one["people"], *(f"group {name}" for name in one["groups"])]),
            ("revoked" if one["revoked"] else "expired") if one["ended"] else one["expires"][:10],
            ", ".join(opening["person"] for opening in one["opened"]),
        )
        for one in items
    ]
    table = cli_show.table(("Share", "What", "With", "Until", "Opened by"), rows)
    cli_show.console().print(table if rows else "You share nothing.")


@share.command("revoke")
@click.argument("share_id", metavar="SHARE")
@USER
def revoke(share_id: str, user: str) -> None:
    """End SHARE now: its link opens nothing any more."""
    with rest() as api:
        api.delete(f"shares/{share_id}")
    click.echo(f"{share_id} is over.")


def _create(body: dict[str, Any], people: tuple[str, ...], groups: tuple[str, ...], days: int, as_json: bool) -> None:
    if not people and not groups:
        raise click.UsageError("Say with whom: --with PERSON or --group GROUP.")
    with rest() as api:
        made = api.post("shares", json=body | {"people": list(people), "groups": list(groups), "days": days}).json()
        link = _address(api, made["link"])
    if as_json:
        cli_show.print_json(made | {"link": link})
        return
    click.echo(link)


def _whole_id(run: str) -> str:
    with client() as api:
        return find(api, run).id


def _address(api: httpx.Client, path: str) -> str:
    """Return the whole address of a path of the site that the API is of."""
    parts = urlsplit(str(api.base_url))
    return f"{parts.scheme}://{parts.netloc}{path}"


COMMANDS = [share]
