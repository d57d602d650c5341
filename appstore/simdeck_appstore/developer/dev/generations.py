"""What an install would have written, made anew for each save: a version folder that pages, kernels and runs use.

Every save becomes a version of its own (``0.1.0+dev.3``) around the same environment, so the switch is the one an
update makes, and a kernel or a run that is still going stays with what it was started from.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem

from simdeck_appstore import command_package
from simdeck_appstore.developer.checks.record import app_id
from simdeck_appstore.hashing import sha256_of
from simdeck_appstore.kernelspec import kernel_name, write_kernel
from simdeck_appstore.manifest import LOCK_NAME, Project
from simdeck_appstore.models import NotebookEntry, Resources, VersionRecord
from simdeck_appstore.process import passed_environment
from simdeck_appstore.records import entry_of
from simdeck_appstore.rubbish import remove_tree
from simdeck_appstore.versions import RECORD, AppFolder
from simdeck_appstore.wheels import WheelBuilder

DESCRIBE_SECONDS = 120


class Generations:
    """The folder ``apps`` with one app in it, whose versions are the saves of one session."""

    def __init__(self, apps: Path, describe_argv: list[str] | None) -> None:
        self.apps = private_dir(apps)
        self.describe_argv = describe_argv
        self.number = 0

    def add(self, project: Project, environment: Path, *, same_workflows: bool = False) -> str:
        """Make what the project says now the current version, and return the version's name.

        With ``same_workflows`` (no module changed) what the backend said of the version before holds for this one.

        Raises
        ------
        Problem
            ``source-invalid``: its wheel cannot be built; ``dev-workflows``: its workflows cannot be read.
        """
        version = f"{project.version}+dev.{self.number + 1}"
        tree = Path(tempfile.mkdtemp(dir=self.apps, prefix=".next-"))
        folder = AppFolder(self.apps, app_id(project))
        try:
            (tree / "env").symlink_to(environment)
            shutil.copyfile(project.lock, tree / LOCK_NAME)
            earlier = folder.home(folder.current() or "none")
            if same_workflows and (earlier / "workflows.json").is_file():
                shutil.copytree(earlier / "workflows", tree / "workflows")
                shutil.copyfile(earlier / "workflows.json", tree / "workflows.json")
            else:
                self._workflows(project, tree)
            self._record(project, version, environment, tree, folder.home(version))
            folder.adopt(tree, version)
        finally:
            remove_tree(tree)
        self.number += 1
        return version

    def _workflows(self, project: Project, tree: Path) -> None:
        """Unpack the app's wheel where the backend looks, and keep what the backend says of it."""
        if not project.manifest.workflows:
            return
        with (
            tempfile.TemporaryDirectory(prefix="simdeck-dev-") as scratch,
            WheelBuilder(Path(sys.executable)) as builder,
            zipfile.ZipFile(builder.build(project.folder, Path(scratch))) as wheel,
        ):
            wheel.extractall(tree / "workflows")
        manifest = project.manifest
        command_package.write(tree / "workflows", project.version, manifest.workflows, project.commands())
        if self.describe_argv is None:
            return
        done = subprocess.run(
            [*self.describe_argv, "--path", str(tree / "workflows")],
            env=passed_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=DESCRIBE_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
            raise Problem("dev-workflows", reason=last[:400].rstrip("."))
        names = {workflow["name"] for workflow in json.loads(done.stdout)["workflows"]}
        missing = sorted(set(project.manifest.workflows) - names)
        if missing:
            raise Problem("dev-workflows", reason=f"{missing[0]} is not among the workflows found")
        (tree / "workflows.json").write_text(done.stdout, "utf-8")

    def _record(self, project: Project, version: str, environment: Path, tree: Path, home: Path) -> None:
        manifest = project.manifest
        entry = entry_of(manifest)
        if isinstance(entry, NotebookEntry):
            site = next(environment.glob("lib/python*/site-packages")).relative_to(environment)
            entry = entry.model_copy(update={"file": f"env/{site.as_posix()}/{entry.path}"})
        logo = None
        if manifest.logo:
            logo = "logo" + Path(manifest.logo).suffix
            shutil.copyfile(project.path(manifest.logo), tree / logo)
        record = VersionRecord(
            id=app_id(project),
            title=manifest.title,
            summary=manifest.summary,
            version=version,
            package=project.package,
            entry=entry,
            resources=Resources(**manifest.resources.model_dump()),
            workflows=manifest.workflows,
            backend=manifest.backend,
            codes=manifest.codes,
            kernel=kernel_name(app_id(project)),
            logo_file=logo,
            lock_sha256=sha256_of(project.lock),
            installed=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if next(environment.glob("lib/python*/site-packages/ipykernel"), None) is not None:
            write_kernel(record, tree, home)
        (tree / RECORD).write_text(record.model_dump_json(indent=1) + "\n", "utf-8")
