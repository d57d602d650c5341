"""`simdeck backup` and `simdeck restore`: everybody's provenance, and what opens it, in one folder and back."""

from __future__ import annotations

import contextlib
import tarfile
import tempfile
from pathlib import Path

import click

from simdeck_hub import site_file
from simdeck_hub.people import Person
from simdeck_hub.places import DataFolder
from simdeck_hub.site_file import Site

DATA = click.option(
    "--data", type=click.Path(path_type=Path), envvar="SIMDECK_DATA", help="Data folder; also SIMDECK_DATA=…."
)
SITE = click.option(
    "--site", "site_path", type=click.Path(path_type=Path), envvar="SIMDECK_SITE",
    help="Site file; else <data>/site.toml.",
)  # fmt: skip


def places(data: Path | None, site_path: Path | None) -> tuple[DataFolder, Site]:
    """Return the data folder and its site file's content."""
    folder = DataFolder(data.expanduser().resolve()) if data is not None else DataFolder.find()
    return folder, site_file.load(site_path or (folder.site_file if folder.site_file.is_file() else None))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Compare a backup with its hashes; write nothing.")
@DATA
@SITE
def backup(folder: Path, check: bool, data: Path | None, site_path: Path | None) -> None:
    """Copy everybody's runs, results and provenance, and the site's databases and keys, into FOLDER.

    Works while people work. Stopped half-way, the same command goes on. On a site, as root.
    """
    from simdeck_hub import backups

    if check:
        backups.check(folder, click.echo)
        click.echo(f"{folder} is whole.")
        return
    manifest = backups.back_up(*places(data, site_path), folder.absolute(), click.echo)
    click.echo(f"Backed up {len(manifest.users)} users into {folder}. It opens everything: keep it as you keep keys.")


def site_in(backup: Path) -> Site:
    """Return the site file that is in a backup; the defaults where there is none."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(OSError, KeyError, tarfile.TarError):
        with tarfile.open(backup / "site.tar") as tar:
            content = tar.extractfile("site.toml")
            copy = Path(folder) / "site.toml"
            copy.write_bytes(content.read() if content is not None else b"")
        return site_file.load(copy)
    return site_file.load(None)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@DATA
@SITE
def restore(folder: Path, data: Path | None, site_path: Path | None) -> None:
    """Restore the backup in FOLDER into an empty data folder, while Simdeck does not run.

    Stopped half-way, the same command goes on. On a site, as root. Apps are installed again from the store.
    """
    from simdeck_hub.postgres_admin import provision
    from simdeck_hub.restores import restore as bring_back

    place, site = places(data, site_path)
    if site_path is None and not place.site_file.is_file():
        site = site_in(folder)

    def database_of(person: Person) -> str:
        return provision(place, site, person).model_dump_json()

    missing = bring_back(place, site, folder.absolute(), click.echo, database_of)
    if missing:
        click.echo(f"Not restored, because they have no account here: {', '.join(missing)}.", err=True)
    click.echo("Restored. Start Simdeck, and install apps again from the store.")
    raise SystemExit(1 if missing else 0)


COMMANDS = [backup, restore]
