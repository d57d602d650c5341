"""From one release's source to its record in the registry: the wheel, its lock, its pictures and what they say."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version
from pydantic import BaseModel, ConfigDict
from simdeck_common.problems import Problem

from simdeck_appstore import changelog
from simdeck_appstore.hashing import file_ref
from simdeck_appstore.manifest import Manifest, Project, load_project
from simdeck_appstore.models import (
    Citation,
    CommandEntry,
    Entry,
    FileRef,
    Links,
    NotebookEntry,
    PageEntry,
    Release,
    Resources,
    StaticEntry,
    WorkflowEntry,
)
from simdeck_appstore.seen import Seen
from simdeck_appstore.sources import ReleaseSpec, locate
from simdeck_appstore.texts import fault_of_description
from simdeck_appstore.wheels import WheelBuilder, WheelInfo, inspect_wheel, unpack_description

RECORD_FORMAT = "3"


class ReleaseRecord(BaseModel):
    """One release with what it says of its app; kept between builds under ``key``, the hash of its source."""

    model_config = ConfigDict(frozen=True)
    key: str
    distribution: str
    tag: str | None = None
    release: Release
    title: str
    summary: str
    description: str
    categories: list[str]
    keywords: list[str]
    methods: list[str] = []
    authors: str
    license: str
    links: Links
    logo: FileRef | None
    screenshots: list[FileRef]
    citations: list[Citation]
    requires: list[str]
    environment: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    warnings: list[str] = []

    def files(self) -> list[FileRef]:
        """Return every file of the registry that this record needs."""
        logo = [self.logo] if self.logo else []
        return [*self.release.files(), *logo, *self.screenshots]


@dataclass
class FileStore:
    """The ``files/`` of the registry being built, and of the one before it."""

    root: Path
    earlier: Path | None

    def add(self, path: Path, name: str | None = None) -> FileRef:
        """Copy ``path`` to its content-addressed place."""
        ref = file_ref(path, name)
        target = self.root / ref.path
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        return ref

    def keep(self, refs: list[FileRef]) -> bool:
        """Take ``refs`` over from the earlier registry by hard link; False when one is not there whole."""
        for ref in refs:
            target = self.root / ref.path
            if target.exists():
                continue
            if self.earlier is None:
                return False
            source = self.earlier / ref.path
            if not source.is_file() or source.stat().st_size != ref.size:
                return False
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                target.hardlink_to(source)
            except OSError:
                shutil.copyfile(source, target)
        return True


def source_key(spec: ReleaseSpec, folder: Path, seen: Seen) -> str:
    """Return a hash that changes when the release's source does (``https:`` holds a SHA-256, pinned git a commit)."""
    where = locate(spec, folder, seen.file)
    if isinstance(where, str):
        content = where
    elif where.is_dir():
        content = seen.tree(where)
    else:
        content = seen.file(where)
    return f"{RECORD_FORMAT}:{content}:{spec.model_dump_json()}"


def make_record(
    spec: ReleaseSpec, source: Path, key: str, scratch: Path, builder: WheelBuilder, store: FileStore
) -> ReleaseRecord:
    """Build one release from the project folder or wheel ``source``.

    Raises
    ------
    Problem
        ``manifest-invalid``, ``source-invalid`` or ``source-unsupported``.
    """
    if source.is_dir():
        project = load_project(source)
        output = scratch / "wheel"
        output.mkdir()
        wheel = builder.build(source, output)
    else:
        wheel = source
        project = load_project(unpack_description(wheel, scratch / "description"))
    info = inspect_wheel(wheel)
    _check_wheel(spec, project, info)
    fault = fault_of_description(info.description)
    if fault:
        raise Problem("source-invalid", url=spec.url, reason=f"its description {fault}")
    manifest = project.manifest
    entry = entry_of(manifest)
    changes, day = changelog.read(project.folder, project.version)
    release = Release(
        version=project.version,
        wheel=store.add(wheel),
        lock=store.add(project.lock),
        package=project.package,
        python=project.requires_python,
        minimum_simdeck=manifest.minimum_simdeck,
        entry=entry,
        resources=Resources(**manifest.resources.model_dump()),
        workflows=manifest.workflows,
        commands=project.commands(),
        backend=manifest.backend,
        codes=manifest.codes,
        checks=manifest.checks,
        needs=manifest.needs,
        parameters=manifest.parameters,
        source=spec.url if spec.url.startswith(("https:", "git+https:")) else None,
        changelog=changes,
        released=day,
        groups=manifest.groups,
    )
    return ReleaseRecord(
        key=key,
        distribution=project.name,
        release=release,
        title=manifest.title,
        summary=manifest.summary,
        description=info.description,
        categories=manifest.categories,
        keywords=info.keywords,
        methods=manifest.methods,
        authors=info.authors,
        license=info.license,
        links=_links(info.urls),
        logo=store.add(project.path(manifest.logo)) if manifest.logo else None,
        screenshots=[store.add(project.path(path)) for path in manifest.screenshots],
        citations=[Citation(**citation.model_dump()) for citation in manifest.citations],
        requires=info.requires,
        environment=spec.environment,
        metadata=spec.metadata,
    )


def entry_of(manifest: Manifest) -> Entry:
    """Return what a release says of the manifest's entry and pages."""
    given = manifest.entry
    if given.kind == "notebook":
        pages = [PageEntry(path=page.path, title=page.title) for page in manifest.pages]
        return NotebookEntry(path=given.path, pages=pages)
    if given.kind == "workflow":
        return WorkflowEntry()
    return StaticEntry(path=given.path) if given.kind == "static" else CommandEntry(command=given.command)


def _check_wheel(spec: ReleaseSpec, project: Project, info: WheelInfo) -> None:
    def refuse(reason: str) -> Problem:
        return Problem("source-invalid", url=spec.url, reason=reason)

    if info.name != project.name or Version(info.version) != Version(project.version):
        raise refuse(f"the wheel is {info.name} {info.version}, the project {project.name} {project.version}")
    if spec.version is not None and Version(spec.version) != Version(project.version):
        raise refuse(f"apps.yaml says version {spec.version}, the project {project.version}")
    if f"{project.package}/__init__.py" not in info.names:
        raise refuse(f"the wheel does not contain the package {project.package}")
    entry = project.manifest.entry
    wanted = [page.path for page in project.manifest.pages]
    if entry.kind == "notebook":
        wanted.insert(0, entry.path)
    elif entry.kind == "static":
        wanted.append(f"{entry.path}/index.html")
    for name in wanted:
        if name not in info.names:
            raise refuse(f"the wheel does not contain {name}")


def _links(urls: dict[str, str]) -> Links:
    def pick(*labels: str) -> str | None:
        return next((urls[label] for label in labels if label in urls), None)

    return Links(
        homepage=pick("homepage", "home"),
        documentation=pick("documentation", "docs"),
        source=pick("source", "repository", "source code", "code"),
    )
