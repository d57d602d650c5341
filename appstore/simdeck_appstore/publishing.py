"""Publishing for somebody who has no access to a registry's files: what a service does with a release it was sent.

What was sent lies in quarantine until it is looked into: a registry of this one release is built of it, which reads it
as the real build will and runs none of it. Only then it goes into the registry's source, which is built and signed with
the keys of the service. Whoever sent it never comes near them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml
from packaging.utils import canonicalize_version, parse_wheel_filename
from pydantic import BaseModel, ConfigDict, Field
from simdeck_common.problems import Problem

from simdeck_appstore.build import build_registry
from simdeck_appstore.developer import apps_yaml
from simdeck_appstore.developer.publish import build_source, push
from simdeck_appstore.developer.release import MadeRelease
from simdeck_appstore.hashing import sha256_of
from simdeck_appstore.registry import Registry
from simdeck_appstore.sources import read_source

Tell = Callable[[str, str], None]
"""Hears of each step: its name and a sentence."""


class Receiver(BaseModel):
    """A registry that people may publish into: its source, and the groups whose members may."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    source: Path
    publishers: list[str] = Field(default_factory=list, description="Groups of hub users.")

    def takes_from(self, groups: frozenset[str]) -> bool:
        """Say whether somebody in ``groups`` may publish here."""
        return not groups.isdisjoint(self.publishers)


class Receivers(BaseModel):
    """``publishing.json``: all of them, and the simdeck checkout or wheel that their builds offer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: list[Receiver] = []
    simdeck: Path | None = None


class ReleasedFile(BaseModel):
    """The file of a release."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+!-]{0,199}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=1)


class ReleaseManifest(BaseModel):
    """What `simdeck app publish` writes beside a release, ``dist/<app>-<version>.json``: what was sent must be this."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    app: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,99}$")
    version: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+!-]{0,99}$")
    file: ReleasedFile


@dataclass(frozen=True)
class Incoming:
    """A release in quarantine: the file that was sent, and what it says it is."""

    file: Path
    manifest: ReleaseManifest


def check_sent(incoming: Incoming) -> None:
    """Refuse what cannot be taken, by a look from outside.

    Raises
    ------
    Problem
        ``publish-only-wheels``: an archive would have to be built here, which runs its author's code beside the keys;
        ``publish-unlike``: it is not the file that the manifest names.
    """
    wanted = incoming.manifest.file
    if not wanted.name.endswith(".whl"):
        raise Problem("publish-only-wheels", field="file.name", name=wanted.name)
    try:
        _, version, _, _ = parse_wheel_filename(wanted.name)
    except ValueError:
        raise Problem("publish-unlike", field="file.name", name=wanted.name) from None
    if str(version) != canonicalize_version(incoming.manifest.version, strip_trailing_zero=False):
        raise Problem("publish-unlike", field="version", name=wanted.name)
    if incoming.file.stat().st_size != wanted.size or sha256_of(incoming.file) != wanted.sha256:
        raise Problem("publish-unlike", field="file.sha256", name=wanted.name)


def examine(incoming: Incoming, receiver: Receiver) -> MadeRelease:
    """Look into a release as the build of the registry will, and return it.

    Raises
    ------
    Problem
        Why the registry would leave it out; ``publish-unlike``: it is another app or version than it says.
    """
    check_sent(incoming)
    manifest = incoming.manifest
    with tempfile.TemporaryDirectory(dir=incoming.file.parent, prefix="looked-into-") as scratch:
        source = Path(scratch) / "source"
        source.mkdir()
        wheel = source / manifest.file.name
        wheel.hardlink_to(incoming.file)
        entry = {manifest.app: {"releases": [f"file:{wheel.name}#sha256={manifest.file.sha256}"]}}
        (source / apps_yaml.FILE).write_text(yaml.safe_dump(entry), "utf-8")
        known = read_source(receiver.source).categories
        categories = {name: category.model_dump() for name, category in known.items()}
        (source / "categories.yaml").write_text(yaml.safe_dump(categories), "utf-8")
        built = Path(scratch) / "built"
        report = build_registry(source, built, simdeck=None, site=False, own=False)
        for left_out in report.problems:
            raise Problem.from_json(left_out.problem)
        app = Registry(built).app(manifest.app)
    if app.latest != manifest.version:
        raise Problem("publish-unlike", field="version", name=manifest.file.name)
    return MadeRelease(
        app=manifest.app,
        title=app.title,
        version=manifest.version,
        wheel=incoming.file,
        wheel_sha256=manifest.file.sha256,
        lock_sha256=app.releases[0].lock.sha256,
        name=manifest.file.name,
    )


def take(incoming: Incoming, receiver: Receiver, simdeck: Path | None, tell: Tell, *, again: bool = False) -> str:
    """Look into a release, put it into the registry's source, build and sign; return the app's title.

    With ``again`` it goes on after a crash, in which the release may have come into the source.

    Raises
    ------
    Problem
        Why it is refused; nothing has changed then. ``publish-unwritable``: the service cannot write there.
    """
    tell("check", "Looking into what was sent")
    release = examine(incoming, receiver)
    tell("build", f"Building and signing the registry {receiver.name}")
    try:
        if again and listed(incoming, receiver):
            build_source(receiver.source, simdeck)
        else:
            push(release, receiver.source, None, simdeck=simdeck)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Problem("publish-unwritable", registry=receiver.name, reason=reason) from None
    return release.title


def listed(incoming: Incoming, receiver: Receiver) -> bool:
    """Say whether the registry's source names this very release already."""
    manifest = incoming.manifest
    try:
        text = (receiver.source / apps_yaml.FILE).read_text("utf-8")
    except OSError:
        return False
    return any(one.endswith(f"#sha256={manifest.file.sha256}") for one in apps_yaml.releases(text, manifest.app))
