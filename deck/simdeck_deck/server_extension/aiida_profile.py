"""The user's AiiDA profile as pages of AiiDAlab apps see it: whether an app's own AiiDA can read it, and making it.

The workflow backend owns the profile (``<home>/workflows/aiida``). An app brings an AiiDA of its own. One that is too
old cannot read the profile's files; one that is newer would rewrite them, and the backend could not read them any more.
Neither is let near them: such an app's pages get an empty folder instead, and a sentence that says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import socket
import sqlite3
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from simdeck_common.layout import private_dir
from simdeck_workflows import storage
from simdeck_workflows.storage import PROFILE, SCHEMA_FILE, StorageInUse

MAKER = Path(__file__).with_name("make_profile.py")
LOCK = "worker.lock"
_VERSION = re.compile(r"^CURRENT_CONFIG_VERSION\s*=\s*(\d+)", re.M)
_STORAGE = re.compile(r"main_(\d+)")


@dataclass(frozen=True)
class OwnAiida:
    """The AiiDA in an app's environment, as its files say.

    Attributes
    ----------
    version
        Its version.
    config
        The version of the configuration file it writes; 0 where its files do not say.
    storage
        The number of the newest schema of the profile's kind of storage; 0 where it does not know that kind.
    """

    version: str
    config: int
    storage: int


@dataclass(frozen=True)
class Profile:
    """The user's profile: ``folder`` is its ``AIIDA_PATH``; the numbers are None while it has not been made."""

    folder: Path
    config: tuple[int, int] | None = None
    """(version, oldest version of AiiDA's that reads it)."""
    storage: int | None = None

    @property
    def made(self) -> bool:
        return self.config is not None and self.storage is not None


def own_aiida(env: Path) -> OwnAiida | None:
    """Return the AiiDA of the environment ``env``; None where it has none."""
    for packages in sorted(env.glob("lib/python*/site-packages")):
        found = next(iter(sorted(packages.glob("aiida_core-*.dist-info"))), None)
        if found is None:
            continue
        config = 0
        with contextlib.suppress(OSError):
            text = (packages / "aiida/manage/configuration/migrations/migrations.py").read_text()
            config = int(match[1]) if (match := _VERSION.search(text)) else 0
        names = (packages / "aiida/storage/sqlite_dos/migrations/versions").glob("main_*.py")
        storage = max((int(match[1]) for path in names if (match := _STORAGE.match(path.name))), default=0)
        return OwnAiida(found.name.removeprefix("aiida_core-").removesuffix(".dist-info"), config, storage)
    return None


def profile_of(apps: Path) -> Profile:
    """Return the profile of the user whose installed apps lie in ``apps``."""
    folder = apps.parent / "workflows" / "aiida"
    try:
        config = json.loads((folder / ".aiida/config.json").read_text())
        versions = config["CONFIG_VERSION"]
        name = config.get("default_profile") or next(iter(config["profiles"]))
        used = StorageInUse.of(config["profiles"][name]["storage"])
        if used.postgresql is not None:
            # Nothing here speaks to PostgreSQL; the worker has left the number.
            rows = [(folder.parent / SCHEMA_FILE).read_text()]
        else:
            place = used.repository / "database.sqlite"
            with contextlib.closing(sqlite3.connect(f"{place.as_uri()}?mode=ro", uri=True, timeout=5)) as database:
                rows = [str(row[0]) for row in database.execute("SELECT version_num FROM alembic_version")]
        storage = max(int(match[1]) for row in rows if (match := _STORAGE.match(row)))
        return Profile(folder, (int(versions["CURRENT"]), int(versions["OLDEST_COMPATIBLE"])), storage)
    except (OSError, ValueError, KeyError, TypeError, StopIteration, sqlite3.Error):
        return Profile(folder)


def wanted() -> SpecifierSet:
    """Return the versions of AiiDA that the workflow backend may be; any, where that is not written down."""
    with contextlib.suppress(PackageNotFoundError):
        for line in requires("simdeck") or ():
            requirement = Requirement(line)
            if requirement.name.lower().replace("_", "-") == "aiida-core":
                return requirement.specifier
    return SpecifierSet()


def refusal(own: OwnAiida, profile: Profile) -> str:
    """Return why an app with this AiiDA cannot use the profile, in sentences; empty where it can."""
    if profile.config is None or profile.storage is None:
        fits = wanted().contains(own.version, prereleases=True)
    else:
        current, oldest = profile.config
        fits = oldest <= own.config <= current and own.storage == profile.storage
    if fits:
        return ""
    ours = str(wanted()) or "another version"
    return (
        f"This app brings AiiDA {own.version}, and your results are kept by AiiDA {ours}: the two cannot share "
        "their files. What the app does without AiiDA works; load_profile() in it finds no profile. "
        "Ask its developer for a version that works with this AiiDA."
    )


def elsewhere(apps: Path) -> str:
    """Return why the profile cannot be opened on this machine, in sentences; empty where it can.

    On a site the backend runs on another machine than the servers, and notes where (``run-<host>``). Its database is
    written by several processes at once, which only processes of one machine may do.
    """
    hosts = {path.name.removeprefix("run-") for path in apps.parent.glob("run-*") if path.is_symlink()}
    if not hosts or socket.gethostname() in hosts:
        return ""
    return (
        "Your AiiDA results are kept on another machine than the one this server runs on, and cannot be opened "
        "from here. What the app does without AiiDA works; load_profile() in it finds no profile."
    )


def make_folder(folder: Path) -> None:
    """Make a folder for AiiDA, and the one above it, for the user alone."""
    if not folder.parent.is_dir():
        private_dir(folder.parent)
    private_dir(folder)


async def make(python: Path, profile: Profile) -> bool:
    """Make the profile with an app's own AiiDA, if no worker of the backend lives that does; return if it is there.

    The worker makes it itself when it first starts; an AiiDAlab app may be opened before that.
    """
    if profile.made:
        return True
    make_folder(profile.folder)
    lock = os.open(profile.folder.parent / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            # Whoever holds this is the only one to make or change the profile.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return await _appears(profile)
        process = await asyncio.create_subprocess_exec(
            str(python),
            "-I",
            str(MAKER),
            *_database(profile.folder),
            stdin=asyncio.subprocess.DEVNULL,
            env={**os.environ, "AIIDA_PATH": str(profile.folder)},
        )
        return await process.wait() == 0
    finally:
        os.close(lock)


def _database(folder: Path) -> list[str]:
    """Return the storage's configuration (JSON) where the site wants new profiles in PostgreSQL."""
    wanted = storage.read_file(folder.parent)
    if wanted is None:
        return []
    return [json.dumps(wanted.storage_config(folder / ".aiida" / "repository" / PROFILE))]


async def _appears(profile: Profile, seconds: float = 30.0) -> bool:
    """Wait for the worker that is making the profile."""
    apps = profile.folder.parent.parent / "apps"
    for _ in range(int(seconds / 0.2)):
        if (await asyncio.to_thread(profile_of, apps)).made:
            return True
        await asyncio.sleep(0.2)
    return False
