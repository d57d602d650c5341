"""A backup: everybody's provenance and the site's own databases and keys in one folder, made while people work.

::

    DIR/manifest.json        what is in it, with the SHA-256 of each part; `ended` is null until it is whole
    DIR/site.tar             the hub's and the deck's databases, tokens, keys, the site file
    DIR/users/<name>.tar     one user's runs, AiiDA database and repository; a list of its files with hashes at its end

A part is written under another name and renamed when it is whole, then noted. A backup that was killed goes on with the
parts that are not noted yet. Each part is read by a process with the rights of whoever owns the files.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ConfigDict
from simdeck_common.files import write_atomically
from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem

from simdeck_hub.people import Person, backend_argv, need_root, people, service_account, start_as
from simdeck_hub.places import DataFolder
from simdeck_hub.site_file import Site

FORMAT = 1
SITE = "site"
_PIECE = 1 << 20


class Part(BaseModel):
    """One tar file of a backup."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    size: int
    sha256: str
    ended: str
    storage: str | None = None
    counts: dict[str, int] = {}
    missing: int = 0
    """Objects that a user's database refers to and their repository does not have, and did not have before."""


class Manifest(BaseModel):
    """``manifest.json``."""

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    id: str
    simdeck: str
    data: str
    on_site: bool
    started: str
    ended: str | None = None
    site: Part | None = None
    users: dict[str, Part] = {}

    def write(self, folder: Path) -> None:
        write_atomically(folder / "manifest.json", self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read it. Raises ``backup-unreadable``."""
        try:
            found = cls.model_validate_json((folder / "manifest.json").read_bytes())
        except FileNotFoundError:
            raise Problem("backup-unreadable", folder=folder, reason="it has no manifest.json") from None
        except (OSError, ValueError) as error:
            raise Problem("backup-unreadable", folder=folder, reason=str(error).splitlines()[0]) from error
        if found.format != FORMAT:
            raise Problem("backup-unreadable", folder=folder, reason=f"its format is {found.format}, not {FORMAT}")
        return found

    def parts(self) -> dict[str, Part]:
        """All parts by the name people are told."""
        return ({SITE: self.site} if self.site is not None else {}) | self.users


def back_up(data: DataFolder, site: Site, folder: Path, tell: Callable[[str], None]) -> Manifest:
    """Make or finish the backup in ``folder``; ``tell`` gets a line for each part.

    Raises
    ------
    Problem
        ``storage-needs-root``, ``backup-folder``, ``backup-exists``, ``backup-failed`` (names the part).
    """
    need_root(site)
    if folder.resolve().is_relative_to(data.root.resolve()):
        raise Problem("backup-folder", folder=folder, reason="it lies in the data folder")
    with _held(folder):
        manifest = _begun(data, site, folder)
        if manifest.site is None:
            account = service_account(data)
            manifest.site = _part(folder, "site.tar", data.root, "site", account, SITE)
            manifest.write(folder)
        tell(f"site: {_words(manifest.site)}")
        failed = []
        for person in people(data, site):
            if person.name not in manifest.users:
                try:
                    made = _user_part(folder, person)
                except Problem as problem:
                    # One user's full disk must not cost the others their backup.
                    tell(f"{person.name}: {problem.detail}")
                    failed.append(person.name)
                    continue
                if made is None:
                    continue
                manifest.users[person.name] = made
                manifest.write(folder)
            tell(f"{person.name}: {_words(manifest.users[person.name])}")
        if failed:
            raise Problem("backup-failed", what=", ".join(failed), reason="the lines above say why")
        manifest.ended = _now()
        manifest.write(folder)
    return manifest


def check(folder: Path, tell: Callable[[str], None]) -> Manifest:
    """Compare every part's hash. Raises ``backup-unreadable`` or ``backup-unfinished``."""
    manifest = Manifest.read(folder)
    if manifest.ended is None:
        raise Problem("backup-unfinished", folder=folder)
    for name, part in manifest.parts().items():
        try:
            with (folder / part.file).open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise Problem("backup-unreadable", folder=folder, reason=f"{part.file}: {error.strerror}") from error
        if found != part.sha256:
            raise Problem("backup-unreadable", folder=folder, reason=f"{part.file} is not what was written")
        tell(f"{name}: {_words(part)}")
    return manifest


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the backup's folder: one that is made, or finished, by one process alone."""
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        private_dir(folder)
        if not (folder / "manifest.json").exists() and any(path.name != ".lock" for path in folder.iterdir()):
            raise Problem("backup-folder", folder=folder, reason="it is not empty, and what is in it is no backup")
        private_dir(folder / "users")
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Problem("backup-folder", folder=folder, reason=error.strerror or str(error)) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem("backup-folder", folder=folder, reason="another backup is writing into it") from None
        yield
    finally:
        os.close(handle)


def _begun(data: DataFolder, site: Site, folder: Path) -> Manifest:
    if (folder / "manifest.json").exists():
        manifest = Manifest.read(folder)
        if manifest.ended is not None:
            raise Problem("backup-exists", folder=folder, ended=manifest.ended)
        if manifest.data != str(data.root):
            raise Problem("backup-folder", folder=folder, reason=f"it is an unfinished backup of {manifest.data}")
        return manifest
    manifest = Manifest(
        id=uuid4().hex, simdeck=version("simdeck"), data=str(data.root), on_site=site.on_site, started=_now()
    )
    manifest.write(folder)
    return manifest


def _user_part(folder: Path, person: Person) -> Part | None:
    if person.account is None and not any((person.root / name).is_dir() for name in ("workflows", "agent")):
        return None
    return _part(folder, f"users/{person.name}.tar", person.root, "user", person.account, person.name)


def _part(folder: Path, file: str, root: Path, plan: str, account: Any, name: str) -> Part:
    half = folder / f"{file}.part"
    digest, size = hashlib.sha256(), 0
    child = start_as(account, backend_argv("copies.pack", "--root", str(root), "--plan", plan))
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            while piece := child.stdout.read(_PIECE):
                digest.update(piece)
                size += len(piece)
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise Problem("backup-failed", what=name, reason=error.strerror or str(error)) from error
    finally:
        child.stdout.close()
        said = child.stderr.read().decode(errors="replace").strip().splitlines()
        code = child.wait()
    if code:
        raise Problem("backup-failed", what=name, reason=said[-1] if said else f"exit status {code}")
    told = json.loads(said[-1])
    half.replace(folder / file)
    return Part(
        file=file, size=size, sha256=digest.hexdigest(), ended=_now(), storage=told["storage"],
        counts=told["counts"], missing=told["missing"],
    )  # fmt: skip


def _words(part: Part) -> str:
    counts = "".join(f", {number} {what}" for what, number in part.counts.items())
    missing = f"; {part.missing} files of its repository were missing before" if part.missing else ""
    return f"{part.size / 1e6:.1f} MB{counts}{missing}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
