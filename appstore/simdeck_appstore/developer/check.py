"""What the store checks of an app, as one record: description, wheel, lock, install, workflows, page, licences.

Everything happens in a folder of its own: a registry of this one app is built, the app is installed from it as a user
would, and its page is executed in its own kernel. Nothing of the project is changed.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import yaml
from pydantic import BaseModel, Field
from simdeck_common.problems import Problem

from simdeck_appstore.build import build_registry
from simdeck_appstore.hashing import sha256_of
from simdeck_appstore.installer import Installer, InstallerSettings
from simdeck_appstore.manifest import LOCK_NAME, Project, load_project
from simdeck_appstore.models import InstalledApp, Progress
from simdeck_appstore.sources import read_source

T = TypeVar("T")
State = Literal["passed", "failed", "skipped"]
PAGE_SECONDS = 120


class Finding(BaseModel):
    """One check's result."""

    name: str
    state: State
    message: str = Field(description="One sentence; of a failure with what to do.")
    seconds: float = 0.0
    data: dict[str, Any] = {}


class CheckRecord(BaseModel):
    """What was found, of which content."""

    app: str
    version: str
    wheel_sha256: str = ""
    lock_sha256: str = ""
    python: str = ""
    simdeck: str = ""
    when: str
    findings: list[Finding] = []

    @property
    def passed(self) -> bool:
        return all(finding.state != "failed" for finding in self.findings)


@dataclass
class CheckSettings:
    """How to check.

    ``simdeck`` is the simdeck checkout or wheel, ``describe_argv`` lists a folder's workflows, ``python`` has hatchling
    (default: this one), ``categories`` is the source folder of the registry whose categories the app may name.
    """

    uv: Path
    describe_argv: list[str]
    python: Path | None = None
    simdeck: Path | None = None
    categories: Path | None = None
    page_seconds: int = PAGE_SECONDS


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
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        project = self._step("description", lambda: load_project(self.folder), _described)
        if project is None:
            return CheckRecord(app=self.folder.name, version="", when=when, findings=self.findings)
        record = CheckRecord(app=app_id(project), version=project.version, when=when)
        record.lock_sha256 = sha256_of(project.lock)
        record.python = platform.python_version()
        with tempfile.TemporaryDirectory(prefix="simdeck-check-") as scratch:
            base = Path(scratch)
            registry = self._step("build", lambda: self._build(project, base), lambda found: ("it becomes a wheel", {}))
            if registry is not None:
                installer = self._installer(registry, base / "apps")
                app = self._step("install", lambda: installer.install(app_id(project), report=self._tell), _installed)
                if app is not None:
                    self._look_at(record, app, project, base / "apps")
        record.findings = self.findings
        return record

    def _look_at(self, record: CheckRecord, app: InstalledApp, project: Project, apps: Path) -> None:
        version = apps / app.id / "versions" / app.current
        kept = json.loads((version / "app.json").read_text("utf-8"))
        record.wheel_sha256 = kept["wheel_sha256"]
        record.simdeck = kept.get("simdeck_version") or ""
        if project.manifest.entry.kind == "notebook":
            self._step("page", lambda: run_page(version, apps, app.id, self.settings.page_seconds), _page)
        else:
            self.findings.append(
                Finding(name="page", state="skipped", message="A web program's page is not executed here.")
            )
        self._step("licences", lambda: licences(version / "env"), _licences)

    def _build(self, project: Project, base: Path) -> Path:
        source = base / "source"
        source.mkdir()
        entry = {app_id(project): {"releases": [f"file:{quote(str(self.wheel or project.folder))}"]}}
        (source / "apps.yaml").write_text(yaml.safe_dump(entry), "utf-8")
        (source / "categories.yaml").write_text(yaml.safe_dump(self._categories(project)), "utf-8")
        report = build_registry(source, base / "registry", python=self.settings.python, simdeck=self.settings.simdeck)
        for left_out in report.problems:
            raise Problem.from_json(left_out.problem)
        return base / "registry"

    def _categories(self, project: Project) -> dict[str, Any]:
        """Return the categories the site knows; without a registry at hand those that the app names."""
        if self.settings.categories is not None:
            known = read_source(self.settings.categories).categories
            return {name: category.model_dump() for name, category in known.items()}
        return {name: {"title": name, "description": ""} for name in project.manifest.categories}

    def _installer(self, registry: Path, apps: Path) -> Installer:
        given: dict[str, Any] = {
            "registries": [str(registry)],
            "uv": self.settings.uv,
            "describe_argv": self.settings.describe_argv,
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
            seconds = round(time.monotonic() - began, 2)
            sentence = f"{problem.detail} {problem.remedy}".strip()
            self.findings.append(Finding(name=name, state="failed", message=sentence, seconds=seconds))
            return None
        message, data = words(found)
        seconds = round(time.monotonic() - began, 2)
        self.findings.append(Finding(name=name, state="passed", message=message, seconds=seconds, data=data))
        return found


def app_id(project: Project) -> str:
    """Return the id under which the app is checked: the project's name without our prefix."""
    return project.name.removeprefix("simdeck-app-")


def _described(project: Project) -> tuple[str, dict[str, Any]]:
    return f"{project.manifest.title} {project.version}; the manifest and {LOCK_NAME} can be used", {}


def _installed(app: InstalledApp) -> tuple[str, dict[str, Any]]:
    brought = f"; workflows: {', '.join(app.workflows)}" if app.workflows else ""
    return f"it installs into an environment of its own and its own checks pass{brought}", {"workflows": app.workflows}


# --- the page -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PageRun:
    """What executing a page once showed: seconds from kernel start to the last cell, resident memory in MiB."""

    seconds: float
    memory: float


def run_page(version: Path, apps: Path, app: str, seconds: int) -> PageRun:
    """Execute the page's notebook in the app's own kernel, away from any service.

    Raises
    ------
    Problem
        ``page-fails`` with the error's name and text.
    """
    result: list[PageRun | BaseException] = []

    def work() -> None:
        try:
            result.append(asyncio.run(_execute(version, apps, app, seconds)))
        except BaseException as error:  # handed to the caller's thread
            result.append(error)

    # A loop of its own: the caller may have one running.
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


async def _execute(version: Path, apps: Path, app: str, seconds: int) -> PageRun:
    import nbformat
    import psutil
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    entry = json.loads((version / "app.json").read_text("utf-8"))["entry"]
    notebook = nbformat.read(str(version / entry["file"]), as_version=4)
    manager = AsyncKernelManager(
        kernel_name=f"simdeck-{app}",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(apps / ".jupyter" / "kernels")]),
    )
    client = NotebookClient(notebook, km=manager, timeout=seconds, resources={"metadata": {"path": str(version)}})
    began = time.monotonic()
    try:
        async with client.async_setup_kernel(env=_page_environment(app)):
            for index, cell in enumerate(notebook.cells):
                await client.async_execute_cell(cell, index)
            pid = getattr(manager.provisioner, "pid", None)
            memory = psutil.Process(pid).memory_info().rss / 2**20 if pid else 0.0
            return PageRun(time.monotonic() - began, memory)
    except CellExecutionError as error:
        raise Problem("page-fails", reason=f"{error.ename}: {error.evalue}".rstrip(".")[:400]) from None
    except (CellTimeoutError, DeadKernelError) as error:
        what = f"it did not end within {seconds} s" if isinstance(error, CellTimeoutError) else "its kernel died"
        raise Problem("page-fails", reason=what) from None


def _page_environment(app: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTERHUB_", "SIMDECK_"))}
    # An address where nobody listens: the page must come up all the same and say that the service does not answer.
    return kept | {"SIMDECK_API": "http://127.0.0.1:9/api/v1", "JUPYTERHUB_API_TOKEN": "none", "SIMDECK_APP": app}


def _page(found: PageRun) -> tuple[str, dict[str, Any]]:
    data = {"seconds": round(found.seconds, 2), "memory_mib": round(found.memory)}
    return f"its page runs without an error ({found.memory:.0f} MiB in its kernel)", data


# --- licences -----------------------------------------------------------------------------------------------------


def licences(env: Path) -> dict[str, str]:
    """Return the licence of every distribution in the environment, by name; an unknown one is empty."""
    found: dict[str, str] = {}
    for site in env.glob("lib/python*/site-packages"):
        for one in distributions(path=[str(site)]):
            found[one.metadata["Name"]] = licence_of(one)
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


def licence_of(one: Distribution) -> str:
    """Return what the distribution says of its licence: an SPDX expression, else classifiers, else a short text."""
    head: Any = one.metadata
    expression = head.get("License-Expression")
    if expression:
        return str(expression)
    trove = [line.rpartition(" :: ")[2] for line in head.get_all("Classifier", []) if line.startswith("License ::")]
    trove = [name for name in trove if name != "OSI Approved"]
    if trove:
        return ", ".join(trove)
    lines = str(head.get("License") or "").strip().splitlines()
    return lines[0][:80] if lines else ""


def _licences(found: dict[str, str]) -> tuple[str, dict[str, Any]]:
    silent = [name for name, licence in found.items() if not licence]
    sentence = f"{len(found)} packages"
    if silent:
        sentence += f"; {len(silent)} do not say their licence: {', '.join(silent[:5])}"
    return sentence, {"licences": found}
