"""`simdeck workflow`: look at workflows, publish one alone, let others run it."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import click


@click.group()
def workflow() -> None:
    """Offer a workflow: publish it without an app's page, restrict it to groups, make tokens that run it alone."""


@workflow.command()
@click.argument("source", metavar="FILE_OR_FOLDER", type=click.Path(path_type=Path, exists=True))
@click.option("--to", "registry", required=True, help="The registry: its name at this site, its folder, or its git.")
@click.option("--groups", default="", help="Who may have and run it, separated by commas; default: everybody.")
@click.option("--version", default="", help="Version of the release; default: what the source says.")
@click.option("--output", type=click.Path(path_type=Path), help="Where the release goes; default: dist beside it.")
@click.option("--branch", is_flag=True, help="Push the commit as a branch too, for a pull request.")
@click.option("--checks/--no-checks", default=True, help="Check the release first; what fails is not published.")
def publish(
    source: Path, registry: str, groups: str, version: str, output: Path | None, branch: bool, checks: bool
) -> None:
    """Publish the workflow functions of a Python file, or a project's workflows, as an app without a page."""
    from simdeck_appstore.developer.alone import project_of
    from simdeck_appstore.developer.checks.record import app_id
    from simdeck_appstore.developer.lock import make_lock
    from simdeck_appstore.manifest import LOCK_NAME, load_project

    from simdeck_hub.agent_settings import uv_program
    from simdeck_hub.cli_developer import offer

    named = [name for name in (one.strip() for one in groups.split(",")) if name]
    folder = output or (source if source.is_dir() else source.parent) / "dist"
    with tempfile.TemporaryDirectory(prefix="simdeck-workflow-") as scratch:
        project = project_of(source.resolve(), Path(scratch) / "project", groups=named, version=version)
        if not (project / LOCK_NAME).is_file():
            click.echo("Locking its packages …")
            make_lock(project, uv_program())
        offer(project, registry, folder, branch=branch, checks=checks)
        found = load_project(project)
    who = f"members of {', '.join(found.manifest.groups)}" if found.manifest.groups else "everybody"
    click.echo(f"For {who}: simdeck install {app_id(found)}, then simdeck run {found.manifest.workflows[0]}")


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
