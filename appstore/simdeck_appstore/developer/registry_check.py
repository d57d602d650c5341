"""Checking what a registry offers: each release without a record that fits, one after the other, beside the build."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from simdeck_common.files import write_atomically
from simdeck_common.problems import Problem

from simdeck_appstore.developer.check import Check, CheckRecord, CheckSettings
from simdeck_appstore.git import Mirrors
from simdeck_appstore.records_of_checks import place_of
from simdeck_appstore.registry import Registry
from simdeck_appstore.sources import ReleaseSpec, expand, fetch, read_source
from simdeck_appstore.wheels import unpack_description


@dataclass(frozen=True)
class Checked:
    """One release: its record, or (``problem``) why it could not even be fetched."""

    app: str
    record: CheckRecord | None
    problem: Problem | None = None


def check_registry(
    folder: Path,
    built: Path,
    settings: CheckSettings,
    *,
    only: str | None = None,
    again: bool = False,
    tell: Callable[[str], None] = lambda words: None,
) -> Iterator[Checked]:
    """Check the releases in ``folder`` that ``built`` offers without a record; write each record where a build looks.

    ``only`` names one app; ``again`` checks those that have a record too.
    """
    source = read_source(folder)
    with tempfile.TemporaryDirectory(prefix="simdeck-git-") as git:
        mirrors = Mirrors(Path(git))
        for app, specs in source.apps.items():
            if only is not None and app != only:
                continue
            done = frozenset() if again else _with_record(built, app)
            for spec in specs:
                yield from _each(folder, app, spec, mirrors, settings, done, tell)


def _each(
    folder: Path,
    app: str,
    spec: ReleaseSpec,
    mirrors: Mirrors,
    settings: CheckSettings,
    done: frozenset[str],
    tell: Callable[[str], None],
) -> Iterator[Checked]:
    try:
        single = expand(spec, folder, mirrors)
    except Problem as problem:
        yield Checked(app, None, problem)
        return
    for one in single:
        with tempfile.TemporaryDirectory(prefix="simdeck-release-") as scratch:
            try:
                path = fetch(one, folder, Path(scratch), mirrors=mirrors)
                wheel = None if path.is_dir() else path
                project = path if wheel is None else unpack_description(path, Path(scratch) / "project")
                version = one.version or _version(project)
                if version in done:
                    continue
                tell(f"{app} {version}")
                record = Check(project, settings, wheel, report=tell).run()
            except Problem as problem:
                yield Checked(app, None, problem)
                continue
        record.app = app
        if record.version:
            place = place_of(folder, app, record.version)
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, record.model_dump_json(indent=1) + "\n", mode=0o644)
        yield Checked(app, record)


def _with_record(built: Path, app: str) -> frozenset[str]:
    """Return the versions of ``app`` whose record fits what is built; of a registry that cannot be read none."""
    try:
        releases = Registry(built).app(app).releases
    except Problem:
        return frozenset()
    return frozenset(release.version for release in releases if release.check is not None)


def _version(project: Path) -> str:
    from simdeck_appstore.aiidalab.metadata import AppFiles, read_metadata, written_version
    from simdeck_appstore.aiidalab.tree import is_aiidalab
    from simdeck_appstore.manifest import load_project

    if not is_aiidalab(project):
        return load_project(project).version
    try:
        return written_version(project, read_metadata(AppFiles(project)).version)
    except ValueError:
        return ""
