"""What is being developed, as a session sees it: something that becomes a new version of an installed app at a save."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import yaml
from simdeck_common.generations import Need
from simdeck_common.problems import Problem

from simdeck_appstore.aiidalab.tree import is_aiidalab, pages_of, start_of
from simdeck_appstore.build import build_registry
from simdeck_appstore.developer.checks.record import aiidalab_id, app_id
from simdeck_appstore.developer.dev import watch
from simdeck_appstore.developer.dev.environment import cache_folder, environment_for
from simdeck_appstore.developer.dev.generations import Generations
from simdeck_appstore.generations import Generations as BackendGenerations
from simdeck_appstore.hashing import IGNORED
from simdeck_appstore.installer import Installer, InstallerSettings
from simdeck_appstore.kernelspec import write_kernel
from simdeck_appstore.manifest import Project, load_project
from simdeck_appstore.models import AiidalabEntry, VersionRecord
from simdeck_appstore.rubbish import remove_tree
from simdeck_appstore.versions import RECORD, AppFolder

ASKED = frozenset({"setup.cfg", "setup.py", "pyproject.toml", "requirements.txt"})
"""Files of an AiiDAlab app that say what it needs: after a change of one the environment is made anew."""


@dataclass
class DevSettings:
    """What a session needs to know of the machine.

    ``backend_python`` runs workflows (None: the page opens, runs cannot be started); ``simdeck`` is the checkout or
    wheel; ``app_python`` is what the app's environment is made of.
    """

    uv: Path
    app_python: Path
    simdeck: Path | None = None
    backend_python: Path | None = None
    port: int = 0
    cache: Path = field(default_factory=cache_folder)

    @property
    def describe_argv(self) -> list[str] | None:
        return [str(self.backend_python), "-m", "simdeck_workflows.engine.describe"] if self.backend_python else None


class Source(Protocol):
    """A project under development; ``take`` makes what it says now the current version and returns that version."""

    app: str
    title: str
    workflows: bool

    def take(self, changed: set[str]) -> str:
        """Raise ``Problem`` with what is wrong; what was current stays so."""


def source_of(folder: Path, apps: Path, settings: DevSettings, tell: Callable[[str], None]) -> Source:
    """Return the project in ``folder``, which will be installed below ``apps``."""
    if folder.is_dir() and is_aiidalab(folder):
        return AiidalabSource(folder, apps, settings, tell)
    return SimdeckSource(folder, apps, settings, tell)


class SimdeckSource:
    """A Simdeck app: its environment is cached, the project is in it by path."""

    def __init__(self, folder: Path, apps: Path, settings: DevSettings, tell: Callable[[str], None]) -> None:
        self.folder, self.settings, self.tell = folder, settings, tell
        self.apps = apps
        self.generations = Generations(apps, settings.describe_argv)
        project = load_project(folder)
        self.app, self.title, self.workflows = app_id(project), project.manifest.title, bool(project.manifest.workflows)

    def take(self, changed: set[str]) -> str:
        project, settings = load_project(self.folder), self.settings
        environment = environment_for(
            project, uv=settings.uv, python=settings.app_python, simdeck=settings.simdeck, cache=settings.cache,
            tell=self.tell,
        )  # fmt: skip
        same = bool(changed) and not watch.touches_workflows(changed)
        self._fit_backend(project)
        version = self.generations.add(project, environment, same_workflows=same)
        self.title = project.manifest.title
        return version

    def _fit_backend(self, project: Project) -> None:
        """Have what the workflows need in a generation of the backend: it describes them, and runs them."""
        base, wanted = self.settings.backend_python, tuple(project.manifest.backend)
        if base is None or not wanted:
            return
        known = InstallerSettings(
            registries=[], uv=self.settings.uv, describe_argv=self.settings.describe_argv, backend_python=base
        )
        backend, never = BackendGenerations(self.apps, known), threading.Event()
        with backend.lock(never):
            need = Need(self.app, project.manifest.title, project.version, wanted)
            try:
                python = backend.ensure([need], say=self.tell, cancelled=never)
            except Problem as problem:
                if problem.code not in ("backend-contradiction", "backend-unresolved"):
                    raise
                raise Problem("dev-backend", reason=problem.detail) from None
        self.generations.describe_argv = known.describe(python)


class AiidalabSource:
    """An AiiDAlab app: installed once as the store does it, then only its tree follows."""

    workflows = False

    def __init__(self, folder: Path, apps: Path, settings: DevSettings, tell: Callable[[str], None]) -> None:
        self.folder, self.settings, self.tell = folder, settings, tell
        self.apps = apps
        self.app = self.title = aiidalab_id(folder)
        self.number = 0
        self.installed: Path | None = None

    def take(self, changed: set[str]) -> str:
        if self.installed is None or changed & ASKED:
            self.installed = self._install()
        record = VersionRecord.model_validate_json((self.installed / RECORD).read_bytes())
        assert isinstance(record.entry, AiidalabEntry)
        self.title = record.title
        version = f"{record.version.partition('+')[0]}+dev.{self.number + 1}"
        self.apps.mkdir(mode=0o700, exist_ok=True)
        tree = Path(tempfile.mkdtemp(dir=self.apps, prefix=".next-"))
        folder = AppFolder(self.apps, self.app)
        try:
            (tree / "env").symlink_to(self.installed / "env")
            place = tree / record.entry.tree
            shutil.copytree(self.folder, place, symlinks=True, ignore=lambda _, names: IGNORED.intersection(names))
            entry = record.entry.model_copy(update={"start": start_of(place), "pages": pages_of(place)})
            made = record.model_copy(update={"version": version, "entry": entry, "logo": None, "logo_file": None})
            write_kernel(made, tree, folder.home(version))
            (tree / RECORD).write_text(made.model_dump_json(indent=1) + "\n", "utf-8")
            folder.adopt(tree, version)
        finally:
            remove_tree(tree)
        self.number += 1
        return version

    def _install(self) -> Path:
        """Build a registry of this one app and install from it; return the version's folder."""
        self.tell("Resolving what the app asks for and making its environment …")
        base = Path(tempfile.mkdtemp(dir=self.apps.parent, prefix="aiidalab-"))
        source = base / "source"
        source.mkdir()
        (source / "apps.yaml").write_text(yaml.safe_dump({self.app: {"releases": [self.folder.as_uri()]}}), "utf-8")
        (source / "categories.yaml").write_text("", "utf-8")
        settings = self.settings
        report = build_registry(source, base / "built", uv=settings.uv, simdeck=settings.simdeck, site=False)
        for left_out in report.problems:
            raise Problem.from_json(left_out.problem)
        installer = Installer(
            base / "apps", InstallerSettings(registries=[base / "built"], uv=settings.uv, python=settings.app_python)
        )
        made = installer.install(self.app)
        return base / "apps" / self.app / "versions" / made.current
