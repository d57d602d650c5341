"""What the store checks of an app, as one record: from its description to its pages in a browser and its packages.

Everything happens in a folder of its own: a registry of this one app is built, the app is installed from it as a user
would, its pages are opened by the same server that shows them to users. Nothing of the project is changed.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version as own_version
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import quote

import yaml
from simdeck_common.problems import Problem

from simdeck_appstore.aiidalab.metadata import AppFiles, read_metadata
from simdeck_appstore.aiidalab.tree import is_aiidalab
from simdeck_appstore.build import build_registry
from simdeck_appstore.developer.checks import kernel_page, licences, pages, pythons, smoke, vulnerabilities
from simdeck_appstore.developer.checks.record import CheckRecord, CheckSettings, Finding, State, aiidalab_id, app_id
from simdeck_appstore.developer.local_deck import LocalDeck
from simdeck_appstore.installer import Installer, InstallerSettings
from simdeck_appstore.manifest import LOCK_NAME, Project, Smoke, load_project
from simdeck_appstore.models import (
    AiidalabEntry,
    InstalledApp,
    NotebookEntry,
    Progress,
    Release,
    VersionRecord,
    WorkflowEntry,
)
from simdeck_appstore.registry import Registry
from simdeck_appstore.sources import read_source

__all__ = ["Check", "CheckRecord", "CheckSettings", "Finding", "State", "app_id"]

T = TypeVar("T")


@dataclass(frozen=True)
class Subject:
    """What is checked: the project's own description, for a Simdeck app whole, for an AiiDAlab app its title."""

    app: str
    title: str
    project: Project | None
    categories: list[str]


@dataclass
class Check:
    """One run of all checks of the project in ``folder``; with ``wheel``, of the release made of it."""

    folder: Path
    settings: CheckSettings
    wheel: Path | None = None
    report: Callable[[str], None] = lambda sentence: None
    findings: list[Finding] = field(default_factory=list)

    def run(self) -> CheckRecord:
        """Run the checks in order; one that fails ends those that stand on it."""
        self.folder = self.folder.resolve()
        record = CheckRecord(app=self.folder.name, version="", when=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        record.python, record.simdeck = platform.python_version(), own_version("simdeck")
        subject = self._step("description", lambda: describe(self.folder), _described)
        if subject is not None:
            record.app = subject.app
            record.version = subject.project.version if subject.project else ""
            deck = LocalDeck("check")
            try:
                self._in(deck, subject, record)
            finally:
                deck.close()
        record.findings = self.findings
        return record

    def _in(self, deck: LocalDeck, subject: Subject, record: CheckRecord) -> None:
        """Build, install and look, below the folder of ``deck``."""
        registry = self._step(
            "build", lambda: self._build(subject, deck.base), lambda _: ("a registry can build it", {})
        )
        if registry is None:
            return
        release = Registry(registry).app(subject.app).releases[0]
        content = release.wheel if release.tree is None else release.tree
        record.version, record.lock_sha256 = release.version, release.lock.sha256
        record.wheel_sha256 = content.sha256 if content else ""
        apps = deck.home.apps
        installer = self._installer(registry, apps)
        app = self._step("install", lambda: installer.install(subject.app, report=self._tell), _installed)
        if app is None:
            return
        version = apps / app.id / "versions" / app.current
        self._pythons(registry, release)
        self._pages(deck, app, version, subject)
        wanted = subject.project.manifest.smoke if subject.project else None
        self._smoke(deck, wanted, app)
        self._step("licences", lambda: licences.licences(version / "env"), licences.report)
        self._vulnerabilities(version)

    # --- each question ------------------------------------------------------------------------------------------------

    def _pythons(self, registry: Path, release: Release) -> None:
        """Try the other Pythons that the app says it runs on."""
        refs = [ref for ref in (release.wheel, release.simdeck.wheel if release.simdeck else None) if ref is not None]
        mine = ".".join(platform.python_version_tuple()[:2])
        notebook = release.entry.path if isinstance(release.entry, NotebookEntry) else ""
        self.report("Checking: pythons")
        began = time.monotonic()
        tried = pythons.try_each(
            self.settings.uv,
            release.python,
            registry / release.lock.path,
            [registry / ref.path for ref in refs],
            release.package,
            notebook,
            mine,
        )
        state, words = pythons.report(mine, tried)
        self._note("pythons", state, words, began, {one.version: one.outcome for one in tried})

    def _pages(self, deck: LocalDeck, app: InstalledApp, version: Path, subject: Subject) -> None:
        """Open the pages in a browser; where there is none, execute the page's notebook."""
        record = VersionRecord.model_validate_json((version / "app.json").read_bytes())
        if isinstance(record.entry, WorkflowEntry):
            self._note("page", "skipped", "It has no page.")
            return
        settings = self.settings
        if settings.chromium is None or not pages.available():
            missing = "Chromium" if settings.chromium is None else "Playwright"
            self._note("browser", "skipped", f"{missing} is not on this machine.")
            if isinstance(record.entry, NotebookEntry):
                work = lambda: kernel_page.run_page(version, deck.home.apps, app.id, settings.page_seconds)  # noqa: E731
                self._step("page", work, kernel_page.report)
            return
        self.report("Checking: pages")
        began = time.monotonic()
        if settings.backend_python is not None and record.workflows:
            deck.start_agent(settings.backend_python, settings.uv)
        try:
            deck.start_server({"app": app.id, "title": subject.title})
            found = pages.open_all(deck, addresses(app.id, record), settings.chromium, settings.page_seconds)
        except Problem as problem:
            self._note("page", "failed", f"{problem.detail} {problem.remedy}", began)
            return
        broken = next((one for one in found if one.failure), None)
        if broken is not None:
            words = Problem("page-fails", reason=broken.failure.rstrip("."))
            self._note("page", "failed", f"{broken.address}: {words.detail} {words.remedy}", began)
            return
        sentence, data = pages.report(found)
        self._note("page", "passed", sentence, began, data)
        noisy = [f"{one.address}: {line}" for one in found for line in one.console]
        said = noisy[0] if noisy else "nothing in the browser's console"
        self._note("console", "failed" if noisy else "passed", said, data={"console": noisy[:20]})
        unfit = [f"{one.address}: {fault}" for one in found for fault in one.unfit]
        said = "; ".join(unfit[:3]) if unfit else "axe finds no grave fault"
        self._note("accessibility", "warning" if unfit else "passed", said, data={"faults": unfit[:20]})

    def _smoke(self, deck: LocalDeck, wanted: Smoke | None, app: InstalledApp) -> None:
        if wanted is None:
            if app.workflows:
                self._note("smoke", "skipped", "The manifest declares no smoke workflow.")
            return
        if self.settings.backend_python is None:
            self._note("smoke", "skipped", "There is no workflow backend on this machine.")
            return
        if deck.agent is None:
            deck.start_agent(self.settings.backend_python, self.settings.uv)
        done = f"{wanted.workflow} finished in {{:.0f}} s"
        self._step("smoke", lambda: smoke.run(deck, wanted), lambda took: (done.format(took), {}))

    def _vulnerabilities(self, version: Path) -> None:
        settings = self.settings
        packages = vulnerabilities.pinned((version / LOCK_NAME).read_text("utf-8"))
        began = time.monotonic()
        try:
            if settings.advisories is not None:
                found = vulnerabilities.in_files(packages, settings.advisories)
                asked = settings.advisories.name
            elif settings.ask_osv:
                found, asked = vulnerabilities.at_osv(packages), "osv.dev"
            else:
                raise vulnerabilities.NotAskedError("no list of advisories was given and osv.dev was not to be asked")
        except vulnerabilities.NotAskedError as error:
            self._note("vulnerabilities", "skipped", f"Not known: {error}.", began)
            return
        words = f"{asked} knows of none in {len(packages)} packages"
        if found:
            named = ", ".join(f"{one.package} {one.version} ({one.id})" for one in found[:5])
            words = f"{asked} knows of {len(found)}: {named}; `simdeck app lock --upgrade` takes newer versions"
        data = {"advisories": [vars(one) for one in found]}
        self._note("vulnerabilities", "warning" if found else "passed", words, began, data)

    # --- what they stand on -------------------------------------------------------------------------------------------

    def _build(self, subject: Subject, base: Path) -> Path:
        source = base / "source"
        source.mkdir()
        entry = {subject.app: {"releases": [f"file:{quote(str(self.wheel or self.folder))}"]}}
        (source / "apps.yaml").write_text(yaml.safe_dump(entry), "utf-8")
        (source / "categories.yaml").write_text(yaml.safe_dump(self._categories(subject)), "utf-8")
        settings = self.settings
        report = build_registry(
            source, base / "registry", uv=settings.uv, python=settings.python, simdeck=settings.simdeck, site=False
        )
        for left_out in report.problems:
            raise Problem.from_json(left_out.problem)
        return base / "registry"

    def _categories(self, subject: Subject) -> dict[str, Any]:
        """Return the categories the site knows; without a registry at hand those that the app names."""
        if self.settings.categories is not None:
            known = read_source(self.settings.categories).categories
            return {name: category.model_dump() for name, category in known.items()}
        return {name: {"title": name, "description": ""} for name in subject.categories}

    def _installer(self, registry: Path, apps: Path) -> Installer:
        given: dict[str, Any] = {
            "registries": [str(registry)],
            "uv": self.settings.uv,
            "describe_argv": self.settings.describe_argv,
            "backend_python": self.settings.backend_python,
        }
        return Installer(apps, InstallerSettings(**given))

    def _tell(self, progress: Progress) -> None:
        if progress.kind == "step":
            self.report(progress.message)

    def _step(self, name: str, work: Callable[[], T], words: Callable[[T], tuple[str, dict[str, Any]]]) -> T | None:
        self.report(f"Checking: {name}")
        began = time.monotonic()
        try:
            found = work()
        except Problem as problem:
            self._note(name, "failed", f"{problem.detail} {problem.remedy}".strip(), began)
            return None
        self._note(name, "passed", words(found)[0], began, words(found)[1])
        return found

    def _note(
        self, name: str, state: State, message: str, began: float | None = None, data: dict[str, Any] | None = None
    ) -> None:
        seconds = round(time.monotonic() - began, 2) if began is not None else 0.0
        self.findings.append(Finding(name=name, state=state, message=message, seconds=seconds, data=data or {}))


def describe(folder: Path) -> Subject:
    """Read what the project says of itself.

    Raises
    ------
    Problem
        ``manifest-invalid``, or ``source-invalid`` for an AiiDAlab app whose files cannot be read.
    """
    if not folder.is_dir() or not is_aiidalab(folder):
        project = load_project(folder)
        return Subject(app_id(project), project.manifest.title, project, project.manifest.categories)
    try:
        metadata = read_metadata(AppFiles(folder))
    except ValueError as error:
        raise Problem("source-invalid", url=folder.name, reason=str(error)) from None
    return Subject(aiidalab_id(folder), metadata.title or folder.name, None, metadata.categories)


def addresses(app: str, record: VersionRecord) -> list[str]:
    """Return where the app's pages are, relative to the server's root."""
    if isinstance(record.entry, AiidalabEntry):
        front = f"apps/apps/{app}/"
        return [front, *(front + quote(page) for page in record.entry.pages)]
    front = f"deck/{app}/"
    if isinstance(record.entry, NotebookEntry) and len(record.entry.pages) > 1:
        names = [page_name(page.path) for page in record.entry.pages]
        return [front, *(front + name for page, name in zip(record.entry.pages, names, strict=True)
                         if page.path != record.entry.path)]  # fmt: skip
    return [front]


def page_name(path: str) -> str:
    """Return the last part of a page's address: its notebook's name."""
    return quote(PurePosixPath(path).stem)


def _described(subject: Subject) -> tuple[str, dict[str, Any]]:
    if subject.project is None:
        return f"{subject.title}; an AiiDAlab app", {}
    return f"{subject.title} {subject.project.version}; the manifest and {LOCK_NAME} can be used", {}


def _installed(app: InstalledApp) -> tuple[str, dict[str, Any]]:
    brought = f"; workflows: {', '.join(app.workflows)}" if app.workflows else ""
    return f"it installs into an environment of its own and its own checks pass{brought}", {"workflows": app.workflows}
