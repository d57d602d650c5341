"""Builds a registry: ``python -m simdeck_appstore.build --source registry/ --output DIR``.

Reads the two YAML files, builds the wheel of each app and of simdeck itself, and writes static JSON and
content-addressed files that any web server, or a plain folder, can offer. Unchanged sources are taken over from the
registry before, and where nothing at all changed it stays as it is (:mod:`.survey`); an app that cannot be built is
reported and left out. The new registry replaces the old in one step.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from simdeck_common.problems import Problem
from uv import find_uv_bin

from simdeck_appstore.aiidalab.foreign import find_api, read_foreign
from simdeck_appstore.aiidalab.record import make_aiidalab_record
from simdeck_appstore.aiidalab.tree import is_aiidalab
from simdeck_appstore.documents import Place, registry_app, registry_index, to_json, v1_app, v1_index
from simdeck_appstore.git import Mirrors
from simdeck_appstore.models import BuildProblem, RegistryIndex, SimdeckWheel
from simdeck_appstore.own_wheel import OwnRecord, own_checkout, own_wheel
from simdeck_appstore.records import FileStore, ReleaseRecord, make_record
from simdeck_appstore.records_of_checks import record_of
from simdeck_appstore.registry_settings import RegistrySettings, read_settings
from simdeck_appstore.seen import Seen
from simdeck_appstore.signing import sign_registry
from simdeck_appstore.sources import RegistrySource, ReleaseSpec, fetch, read_source
from simdeck_appstore.survey import (
    LASTING,
    Circumstances,
    Survey,
    Surveyed,
    digest_of,
    note,
    survey,
    unchanged,
    unreadable,
)
from simdeck_appstore.swap import recover_swap, swap
from simdeck_appstore.wheels import WheelBuilder

CACHE = ".records.json"


@dataclass
class BuildReport:
    """What a build did. ``problems`` names each app left out; ``warnings`` concern the whole."""

    index: RegistryIndex
    built: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    problems: list[BuildProblem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    changed: bool = True


def build_registry(
    source: Path | str,
    output: Path,
    *,
    uv: Path | None = None,
    python: Path | None = None,
    simdeck: Path | None = None,
    base_url: str | None = None,
    keys: Path | None = None,
    site: bool = True,
    own: bool = True,
) -> BuildReport:
    """Build the registry whose YAML lies in ``source`` into the folder ``output``.

    ``source`` may also be a built registry of AiiDAlab's, a folder or an https address: its ``api/v1`` is read.

    Parameters
    ----------
    uv
        The uv program, which locks AiiDAlab apps; default: that of this Python's ``uv`` package.
    python
        A Python that has hatchling; default: this one.
    simdeck
        The simdeck checkout or wheel; default: the checkout this module lies in, where there is one.
    base_url
        The address under which ``output`` will be served, for absolute addresses in ``api/v1``.
    keys
        The folder of the keys that sign it (:mod:`simdeck_appstore.signing`); without it the registry is not signed.
    site
        Write the registry's own web site too (:mod:`simdeck_appstore.site`).
    own
        Offer the simdeck wheel beside the apps.

    Raises
    ------
    Problem
        ``registry-invalid`` when a YAML file cannot be read at all; ``keys-unusable``.
    """
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    with _lock(output):
        recover_swap(output)
        api = find_api(source)
        registry = read_foreign(api) if api is not None else read_source(Path(source))
        seen = Seen(output.parent / f".{output.name}.seen.json")
        mirrors = Mirrors(output.parent / f".{output.name}.git")
        given = Circumstances(output, (simdeck or own_checkout()) if own else None, base_url, keys, site)
        found = survey(registry, mirrors, seen)
        digest = digest_of(registry, found, given, seen)
        same = unchanged(digest, output, seen)
        if same is not None:
            seen.save()
            problems, warnings = same.index.problems, same.warnings
            return BuildReport(same.index, [], same.releases, problems, warnings, changed=False)
        stage = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}.building-"))
        stage.chmod(0o755)
        try:
            with WheelBuilder(python or Path(sys.executable)) as builder:
                work = _Build(registry, stage, given, builder, uv or Path(find_uv_bin()), mirrors, seen)
                report = work.run(found)
            if report.changed:
                swap(stage, output)
            note(digest if work.lasting else "", output, seen, [*report.built, *report.reused], report.warnings)
            seen.save()
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return report


class _Build:
    """One build into ``stage``, taking over what it can from ``output``."""

    def __init__(
        self,
        registry: RegistrySource,
        stage: Path,
        given: Circumstances,
        builder: WheelBuilder,
        uv: Path,
        mirrors: Mirrors,
        seen: Seen,
    ) -> None:
        self.registry = registry
        self.given = given
        self.uv = uv
        self.mirrors = mirrors
        self.seen = seen
        self.lasting = True
        """Whether whatever was left out will be again, as long as no source changes."""
        self.stage = stage
        self.output = output = given.output
        self.builder = builder
        self.store = FileStore(stage, output if output.is_dir() else None)
        self.cache, self.own = _read_cache(output)
        self.report = BuildReport(RegistryIndex(revision=""))

    def run(self, survey: Survey) -> BuildReport:
        simdeck, base_url, keys = self.given.simdeck, self.given.base_url, self.given.keys
        self.report.warnings += survey.warnings
        own = self._own_wheel(simdeck) if simdeck else None
        self.own = self.own if simdeck else None
        records: dict[str, list[ReleaseRecord]] = {}
        for app, problem in self.registry.broken.items():
            self._leave_out(app, None, problem)
        for app, releases in survey.releases.items():
            found = self._app(app, releases)
            if found:
                records[app] = found
        apps = [registry_app(app, found, own) for app, found in records.items()]
        index = registry_index(apps, self.registry.categories, own, self.report.problems)
        self.report.index = index
        self._write("api/v2/index.json", index.model_dump_json(indent=1))
        place = Place(base_url, self.output)
        for document in apps:
            self._write(f"api/v2/apps/{document.id}.json", document.model_dump_json(indent=1))
            self._write(f"api/v1/apps/{document.id}.json", to_json(v1_app(document.id, records[document.id], place)))
        self._write("api/v1/apps_index.json", to_json(v1_index(apps, self.registry.categories)))
        kept = {
            "own": self.own.model_dump(mode="json") if self.own else None,
            "records": [record.model_dump(mode="json") for found in records.values() for record in found],
        }
        self._write(CACHE, json.dumps(kept))
        if self.given.site:
            # Imported here: who builds without a site need not wait for its templates.
            from simdeck_appstore.site.write import SiteWriter

            SiteWriter(self.stage, self.store.earlier, self._settings()).write(index, apps)
        if keys is not None:
            sign_registry(self.stage, keys, self.output if self.output.is_dir() else None)
        self.report.changed = not _same(self.stage, self.output)
        return self.report

    def _settings(self) -> RegistrySettings:
        try:
            return read_settings(self.registry.folder)
        except Problem as problem:
            # The catalogue can do without: its releases matter more than its title.
            self.report.warnings.append(f"{problem.detail} {problem.remedy}")
            return RegistrySettings.model_validate({})

    def _app(self, app: str, releases: list[Surveyed]) -> list[ReleaseRecord]:
        """Return the app's releases that can be built. One that cannot is reported and left out."""
        found: list[ReleaseRecord] = []
        for one in releases:
            if one.problem is not None:
                self._leave_out(app, one.spec.url, one.problem)
                continue
            try:
                record = self._release(app, one)
                self._check(app, record, found)
            except Problem as problem:
                self.lasting = self.lasting and problem.code in LASTING
                self._leave_out(app, one.spec.url, problem)
            except OSError as error:
                self.lasting = False
                self._leave_out(app, one.spec.url, unreadable(one.spec, error))
            else:
                found.append(self._with_check(app, record))
        return found

    def _with_check(self, app: str, record: ReleaseRecord) -> ReleaseRecord:
        check = record_of(self.registry.folder, app, record.release)
        return record.model_copy(update={"release": record.release.model_copy(update={"check": check})})

    def _release(self, app: str, one: Surveyed) -> ReleaseRecord:
        spec, key = one.spec, one.key
        earlier = self.cache.get(key)
        if earlier is not None and self.store.keep(earlier.files()):
            self.report.reused.append(f"{app} {earlier.release.version}")
            return earlier
        with tempfile.TemporaryDirectory(prefix="simdeck-build-") as scratch:
            record = self._make(app, spec, key, Path(scratch))
        self.report.warnings.extend(f"{app} {record.release.version}: {warning}" for warning in record.warnings)
        self.report.built.append(f"{app} {record.release.version}")
        return record

    def _make(self, app: str, spec: ReleaseSpec, key: str, scratch: Path) -> ReleaseRecord:
        source = fetch(spec, self.registry.folder, scratch, mirrors=self.mirrors)
        if not source.is_dir() or not is_aiidalab(source):
            return make_record(spec, source, key, scratch, self.builder, self.store)
        record = make_aiidalab_record(
            app, spec, self.registry.folder, source, key, scratch, self.store, self.uv, self.builder.python
        )
        # Its author does not know this registry's categories, and a category may go: that is no reason to lose the app.
        known = [name for name in record.categories if name in self.registry.categories]
        unknown = sorted(set(record.categories) - set(known))
        return record.model_copy(
            update={
                "categories": known,
                "metadata": {**(record.metadata or {}), "categories": known},
                "warnings": [*record.warnings, *(f"categories.yaml has no category {name}" for name in unknown)],
            }
        )

    def _check(self, app: str, record: ReleaseRecord, others: list[ReleaseRecord]) -> None:
        unknown = [name for name in record.categories if name not in self.registry.categories]
        if unknown:
            raise Problem("registry-invalid", field=app, file="categories.yaml", reason=f"has no category {unknown[0]}")
        if any(other.release.version == record.release.version for other in others):
            reason = f"app {app} has version {record.release.version} twice"
            raise Problem("registry-invalid", field=app, file="apps.yaml", reason=reason)

    def _leave_out(self, app: str, url: str | None, problem: Problem) -> None:
        self.report.problems.append(BuildProblem(app=app, source=url, problem=problem.to_json()))

    def _own_wheel(self, simdeck: Path) -> SimdeckWheel:
        own = own_wheel(simdeck.absolute(), self.own, self.builder, self.store, self.seen)
        self.report.warnings.extend(own.warnings)
        self.own = own.record
        return own.record.simdeck

    def _write(self, name: str, text: str) -> None:
        path = self.stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _read_cache(output: Path) -> tuple[dict[str, ReleaseRecord], OwnRecord | None]:
    """Return the records of the build before, by key. One that cannot be read is built anew."""
    try:
        kept = json.loads((output / CACHE).read_text("utf-8"))
        records = [ReleaseRecord.model_validate(record) for record in kept["records"]]
        own = OwnRecord.model_validate(kept["own"]) if kept["own"] else None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return {}, None
    return {record.key: record for record in records}, own


def _same(stage: Path, output: Path) -> bool:
    """Tell whether two registries have the same files; contents below ``files/`` follow from their names."""
    if not output.is_dir():
        return False
    ours, theirs = ({path.relative_to(root) for path in root.rglob("*") if path.is_file()} for root in (stage, output))
    return ours == theirs and all(
        (stage / name).samefile(output / name) or (stage / name).read_bytes() == (output / name).read_bytes()
        for name in ours
        if name.parts[0] != "files"
    )


@contextmanager
def _lock(output: Path) -> Iterator[None]:
    """Let one build at a time write ``output``; a second waits."""
    with (output.parent / f".{output.name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def say_report(report: BuildReport) -> None:
    """Print what was built; what was left out, and why, goes to standard error."""
    for warning in report.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    for left_out in report.problems:
        print(f"Left out {left_out.app}: {left_out.problem['detail']} {left_out.problem['remedy']}", file=sys.stderr)
    state = "new" if report.changed else "unchanged"
    counts = f"{len(report.built)} releases built, {len(report.reused)} taken over"
    print(f"{len(report.index.apps)} apps, {counts}; registry {state}")


def main(argv: list[str] | None = None) -> int:
    """Build a registry and say what was built. Exit code 2: nothing was; 1 (with ``--strict``): an app is left out."""
    parser = argparse.ArgumentParser(
        prog="simdeck_appstore.build", description="Build a registry of apps as static files."
    )
    parser.add_argument(
        "--source", required=True, help="folder with apps.yaml and categories.yaml, or AiiDAlab's built registry"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the built registry, replaced as a whole")
    parser.add_argument("--python", type=Path, help="a Python with hatchling (default: this one)")
    parser.add_argument("--simdeck", type=Path, help="simdeck checkout or wheel (default: the checkout this runs from)")
    parser.add_argument("--base-url", help="address under which the output will be served")
    parser.add_argument("--keys", type=Path, help="folder of the keys that sign it (default: it is not signed)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when an app was left out")
    arguments = parser.parse_args(argv)
    try:
        report = build_registry(
            arguments.source,
            arguments.output,
            python=arguments.python,
            simdeck=arguments.simdeck,
            base_url=arguments.base_url,
            keys=arguments.keys,
        )
    except Problem as problem:
        print(f"{problem.title}: {problem.detail} {problem.remedy}", file=sys.stderr)
        return 2
    say_report(report)
    return 1 if report.problems and arguments.strict else 0


if __name__ == "__main__":
    sys.exit(main())
