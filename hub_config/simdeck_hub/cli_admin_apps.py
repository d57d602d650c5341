"""`simdeck admin`: apps for everybody, what apps take on disk, who changed what, and how the registries stand."""

from __future__ import annotations

import getpass
import grp
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from simdeck_agent.settings import AgentSettings
from simdeck_appstore.audit import NAME, Audit
from simdeck_appstore.registries import Registries
from simdeck_appstore.usage import AppUsage, Usage
from simdeck_common.layout import site_root
from simdeck_common.problems import Problem

from simdeck_hub import cli_show, site_file, site_install
from simdeck_hub.places import DataFolder

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
@click.option(
    "--data", type=click.Path(path_type=Path), envvar="SIMDECK_DATA", help="Data folder; also SIMDECK_DATA=…."
)
@click.pass_context
def admin(context: click.Context, data: Path | None) -> None:
    """Look after a site's apps. Works whether Simdeck runs or not; on a site run it as root."""
    context.obj = DataFolder(data.expanduser().resolve()) if data is not None else DataFolder.find()


@admin.group()
def apps() -> None:
    """Apps for everybody, disk use, audit log."""


@apps.command()
@click.argument("app")
@click.option("--version", help="A version; else the newest that the site offers.")
@click.pass_obj
def install(data: DataFolder, app: str, version: str | None) -> None:
    """Install or update APP for everybody: one copy that all can read."""
    change(data, "install", app, version)


@apps.command()
@click.argument("app")
@click.option("--version", help="One version; else all.")
@click.pass_obj
def remove(data: DataFolder, app: str, version: str | None) -> None:
    """Remove APP, or one version of it, for everybody. Runs of it that go on lose their program."""
    change(data, "remove", app, version)


def change(data: DataFolder, action: str, app: str, version: str | None) -> None:
    """Change what is installed for everybody, telling its steps and the audit log."""
    settings = read_settings(data)
    site_install.acting_account(settings)
    audit = Audit(data.root / NAME)
    entry = audit.ask(caller(), f"site-{action}", app, version)
    out = cli_show.console(error=True)
    try:
        for said in site_install.change(data.agent_settings, action, app, version):
            if said.get("step") and said["step"] != "ready":
                out.print(f"  {said['step']}: {said['message']}")
            if "problem" in said:
                raise Problem.from_json(said["problem"])
            if "app" in said:
                version = said["app"].get("current") or version
    except Problem as problem:
        audit.tell(entry, "failed", detail=problem.code)
        raise
    except BaseException:
        audit.tell(entry, "cancelled")
        raise
    audit.tell(entry, "done", version=version)
    done = "is installed for everybody" if action == "install" else "is removed for everybody"
    click.echo(f"{app} {version or ''} {done}.".replace("  ", " "))


@apps.command("list")
@JSON
@click.pass_obj
def list_(data: DataFolder, as_json: bool) -> None:
    """List the apps that are installed for everybody."""
    settings = read_settings(data)
    found = site_install.site_installer(settings).installed()
    if as_json:
        cli_show.print_json([one.model_dump() for one in found])
        return
    rows = [(one.id, one.current, ", ".join(one.versions), one.title) for one in found]
    cli_show.console().print(
        cli_show.table(("App", "Current", "Versions", "Title"), rows)
        if rows
        else "No app is installed for everybody. `simdeck admin apps install APP` does that."
    )


@apps.command()
@JSON
@click.pass_obj
def usage(data: DataFolder, as_json: bool) -> None:
    """Tell how much disk each app takes, for everybody and of each person."""
    settings = read_settings(data)
    measure = Usage()
    found: dict[str, list[AppUsage]] = {}
    if settings.site_apps is not None and settings.site_apps.is_dir():
        found["everybody"] = measure.of(settings.site_apps)
    for user, folder in people(data, settings):
        found[user] = measure.of(folder)
    if as_json:
        cli_show.print_json({who: [one.model_dump() for one in items] for who, items in found.items()})
        return
    rows = [
        (who, one.app, ", ".join(version.version for version in one.versions), in_words(one.size), in_words(one.own))
        for who, items in found.items()
        for one in items
    ]
    total = sum(one.own for items in found.values() for one in items)
    out = cli_show.console()
    out.print(cli_show.table(("Whose", "App", "Versions", "Size", "Own"), rows) if rows else "No app is installed.")
    if rows:
        out.print(f"All together {in_words(total)} that nothing else shares.")


@apps.command("audit")
@click.option("--user", help="Only what this person did.")
@click.option("--app", help="Only what was done with this app.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The newest so many.")
@JSON
@click.pass_obj
def audit_(data: DataFolder, user: str | None, app: str | None, limit: int, as_json: bool) -> None:
    """Tell who installed, updated and removed what, newest first."""
    found = Audit(data.root / NAME).read(who=user, app=app, limit=limit)
    if as_json:
        cli_show.print_json([entry.model_dump() for entry in found])
        return
    rows = [
        (entry.time, entry.who, entry.what, entry.app, entry.version or "–", entry.outcome, entry.detail or "")
        for entry in found
    ]
    cli_show.console().print(
        cli_show.table(("When (UTC)", "Who", "What", "App", "Version", "Outcome", "Code"), rows)
        if rows
        else "Nothing has been written down."
    )


@admin.command()
@JSON
@click.pass_obj
def registries(data: DataFolder, as_json: bool) -> None:
    """Tell how each registry stands: its key, what it offers, and why it is refused."""
    settings = read_settings(data)
    found = Registries(settings.registries, data.private / "trust", settings.apps).states()
    if as_json:
        cli_show.print_json([one.model_dump() for one in found])
    else:
        rows = [
            (one.name, one.key or "unsigned", str(one.apps), (one.problem or {}).get("detail") or "in order")
            for one in found
        ]
        cli_show.console().print(cli_show.table(("Registry", "Key", "Apps", "State"), rows))
    if any(one.problem is not None and not one.optional for one in found):
        sys.exit(1)


def read_settings(data: DataFolder) -> AgentSettings:
    """Return what the last start has written.

    Raises
    ------
    Problem
        ``not-running``: Simdeck was never started with this data folder.
    """
    try:
        return AgentSettings.read(data.agent_settings)
    except FileNotFoundError:
        raise Problem("not-running", looked=f"{data.agent_settings} is not there") from None


def caller() -> str:
    """Return who runs this, also behind sudo."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def people(data: DataFolder, settings: AgentSettings) -> Iterator[tuple[str, Path]]:
    """Yield each person with the folder of their apps; on a site the members of the service's Unix group."""
    if settings.site is None:
        for home in sorted(data.users.glob("*")):
            yield home.name, home / "apps"
        return
    chosen = data.site_file if data.site_file.is_file() else None
    group = site_file.load(chosen).service.group
    try:
        members = grp.getgrnam(group).gr_mem
    except KeyError:
        members = []
    for name in sorted(members):
        try:
            root = site_root(Path(pwd.getpwnam(name).pw_dir))
        except KeyError:
            continue
        # A link there could lead anywhere.
        if not root.is_symlink() and not (root / "apps").is_symlink():
            yield name, root / "apps"


def in_words(size: int) -> str:
    """Return a number of bytes as people read it."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"


COMMANDS = [admin]
