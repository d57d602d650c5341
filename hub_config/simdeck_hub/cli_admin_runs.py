"""`simdeck admin runs`: hold everybody's new calculations back for maintenance, and see the groups' limits in use."""

from __future__ import annotations

import fcntl
from pathlib import Path

import click

from simdeck_hub.agent_settings import pause_file
from simdeck_hub.cli_admin_apps import admin
from simdeck_hub.places import DataFolder


@admin.group()
def runs() -> None:
    """Everybody's runs: pause them for maintenance, let them go on."""


@runs.command()
@click.option("--reason", default="", help="What those who wait are told: 'maintenance until 17:00'.")
@click.pass_obj
def pause(data: DataFolder, reason: str) -> None:
    """Let nothing new begin. What runs goes on; what is submitted is kept and waits."""
    from simdeck_workflows.policy import write_pause

    data.public.mkdir(parents=True, exist_ok=True)
    write_pause(pause_file(data), reason)
    click.echo("Nothing new begins now; what runs goes on. Afterwards: simdeck admin runs resume")


@runs.command()
@click.pass_obj
def resume(data: DataFolder) -> None:
    """Let everything that waits begin."""
    file = pause_file(data)
    was = file.exists()
    file.unlink(missing_ok=True)
    click.echo("What waits begins now." if was else "Runs were not paused.")


@runs.command()
@click.pass_obj
def status(data: DataFolder) -> None:
    """Say whether runs are paused, and how much of each group's limit is in use."""
    from simdeck_workflows.policy import read_pause

    found = read_pause(pause_file(data))
    if found is None:
        click.echo("Runs are not paused.")
    else:
        click.echo(f"Runs are paused since {found.since}" + (f": {found.reason}" if found.reason else "."))
    for folder in sorted((data.public / "slots").glob("*/")):
        places = [path for path in folder.iterdir() if path.name.isdigit()]
        used = sum(map(_in_use, places))
        click.echo(f"{folder.name}: {used} of {len(places)} calculations running")


def _in_use(path: Path) -> bool:
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


COMMANDS = [admin]
