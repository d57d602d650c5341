"""One release of an app: a wheel that carries all a registry must know of it, and the hashes that name it.

The wheel holds, beside the package, the project's ``pyproject.toml``, lock, changelog and pictures, so that a registry
needs nothing but this one file. The same project gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version
from simdeck_common.problems import Problem

from simdeck_appstore import changelog
from simdeck_appstore.aiidalab.metadata import AppFiles, read_metadata, written_version
from simdeck_appstore.aiidalab.tree import is_aiidalab, pack
from simdeck_appstore.developer.checks.record import aiidalab_id, app_id
from simdeck_appstore.hashing import IGNORED, sha256_of
from simdeck_appstore.manifest import LOCK_NAME, Project, load_project
from simdeck_appstore.wheels import CARRIED, WheelBuilder

EPOCH = (2020, 2, 2, 0, 0, 0)
"""The time of every file in the wheel, as hatchling writes it."""


@dataclass(frozen=True)
class MadeRelease:
    """What was made; ``wheel`` is the file to publish: for an AiiDAlab app an archive, and ``lock_sha256`` is empty."""

    app: str
    title: str
    version: str
    wheel: Path
    wheel_sha256: str
    lock_sha256: str
    name: str = ""
    """What the file is called in a registry, where it lies under another name."""

    @property
    def file_name(self) -> str:
        return self.name or self.wheel.name

    def to_json(self) -> str:
        """Return the release's own description: what to compare a download with."""
        size = self.wheel.stat().st_size
        lock = {"lock": {"name": LOCK_NAME, "sha256": self.lock_sha256}} if self.lock_sha256 else {}
        file = {"name": self.wheel.name, "sha256": self.wheel_sha256, "size": size}
        return json.dumps({"app": self.app, "version": self.version, "file": file, **lock}, indent=1)


def make_release(folder: Path, output: Path, python: Path, app: str | None = None) -> MadeRelease:
    """Build the release of the project in ``folder`` into ``output``: the wheel and ``<app>-<version>.json``.

    The release of an AiiDAlab app is the archive of its tree.

    Raises
    ------
    Problem
        ``manifest-invalid`` or ``source-invalid``.
    """
    if folder.is_dir() and is_aiidalab(folder):
        return _aiidalab_release(folder.resolve(), output.resolve(), app)
    project = load_project(folder)
    # The wheel is built by a process in another folder.
    output = output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".release-") as scratch:
        with WheelBuilder(python) as builder:
            plain = builder.build(project.folder, Path(scratch))
        carried = carry(plain, described(project), Path(scratch) / "carried.whl")
        wheel = output / plain.name
        os.replace(carried, wheel)
    made = MadeRelease(
        app=app or app_id(project),
        title=project.manifest.title,
        version=project.version,
        wheel=wheel,
        wheel_sha256=sha256_of(wheel),
        lock_sha256=sha256_of(project.lock),
    )
    return _noted(made)


def _aiidalab_release(folder: Path, output: Path, app: str | None) -> MadeRelease:
    """Pack the tree as it is, without what builds left in it; what it needs is locked where a registry builds it."""
    name = app or aiidalab_id(folder)
    try:
        metadata = read_metadata(AppFiles(folder))
        version = str(Version(written_version(folder, metadata.version)))
    except InvalidVersion:
        raise Problem("source-invalid", url=folder.name, reason="its setup.cfg says no version") from None
    except ValueError as error:
        raise Problem("source-invalid", url=folder.name, reason=str(error)) from None
    output.mkdir(parents=True, exist_ok=True)
    archive = output / f"{name}-{version}.tar.gz"
    with tempfile.TemporaryDirectory(dir=output, prefix=".release-") as scratch:
        tree = Path(scratch) / "tree"
        unwanted = IGNORED | {output.name if output.parent == folder else ""}
        shutil.copytree(folder, tree, symlinks=True, ignore=lambda _, names: unwanted.intersection(names))
        try:
            os.replace(pack(tree, Path(scratch) / archive.name, f"{name}-{version}"), archive)
        except ValueError as error:
            raise Problem("source-invalid", url=folder.name, reason=str(error)) from None
    return _noted(MadeRelease(name, metadata.title or name, version, archive, sha256_of(archive), ""))


def _noted(made: MadeRelease) -> MadeRelease:
    (made.wheel.parent / f"{made.app}-{made.version}.json").write_text(made.to_json() + "\n", "utf-8")
    return made


def described(project: Project) -> dict[str, bytes]:
    """Return the files that describe the project, by their path in it: those that its package does not hold."""
    names = ["pyproject.toml", LOCK_NAME]
    names += [name for name in changelog.NAMES if (project.folder / name).is_file()][:1]
    pictures = [project.manifest.logo, *project.manifest.screenshots]
    names += [name for name in pictures if name and not name.startswith(f"{project.package}/")]
    return {name: project.path(name).read_bytes() for name in dict.fromkeys(names)}


def carry(wheel: Path, files: dict[str, bytes], target: Path) -> Path:
    """Write ``wheel`` with ``files`` in its ``.dist-info`` to ``target`` and return it."""
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        record = next(name for name in source.namelist() if name.endswith(".dist-info/RECORD"))
        inside = f"{record.removesuffix('RECORD')}{CARRIED}"
        lines = source.read(record).decode("utf-8").splitlines()
        known = set(source.namelist())
        for item in source.infolist():
            if item.filename != record:
                out.writestr(item, source.read(item))
        for name, content in sorted(files.items()):
            if f"{inside}{name}" in known:  # the project's own build configuration has put it there
                continue
            out.writestr(_entry(f"{inside}{name}"), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.insert(-1, f"{inside}{name},sha256={digest},{len(content)}")
        out.writestr(_entry(record), "\n".join(lines) + "\n")
    return target


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
