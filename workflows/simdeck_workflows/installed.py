"""The workflows of the installed apps, read from what the app store wrote when it installed them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from pydantic import ValidationError
from simdeck_common.problems import Problem

from simdeck_workflows.models import Workflow

LOG = logging.getLogger(__name__)


class InstalledWorkflows:
    """The workflows of the current versions of all apps below ``apps``; files are read again when they change."""

    def __init__(self, apps: Path) -> None:
        self._apps = apps
        self._known: dict[Path, tuple[tuple[int, int], list[Workflow]]] = {}

    def all(self) -> list[Workflow]:
        """All workflows, by name."""
        found = []
        for current in sorted(self._apps.glob("*/current")):
            try:
                version = current.resolve(strict=True)
                found += self._of(current.parent.name, version)
            except OSError:
                # Removed or replaced this moment: it is there, or not, at the next look.
                continue
        return sorted(found, key=lambda workflow: workflow.name)

    def get(self, name: str) -> Workflow:
        """The workflow ``name``. Raises ``workflow-not-found``."""
        for workflow in self.all():
            if workflow.name == name:
                return workflow
        raise Problem("workflow-not-found", workflow=name)

    def _of(self, app: str, version: Path) -> list[Workflow]:
        path = version / "workflows.json"
        try:
            info = path.stat()
        except FileNotFoundError:
            return []
        stamp = (info.st_mtime_ns, info.st_size)
        if path not in self._known or self._known[path][0] != stamp:
            self._known[path] = (stamp, _read(path, app, version.name))
        return self._known[path][1]


def _read(path: Path, app: str, version: str) -> list[Workflow]:
    try:
        items = json.loads(path.read_text())["workflows"]
        return [Workflow.model_validate({**item, "app": app, "app_version": version}) for item in items]
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        LOG.error("the workflows of %s %s cannot be read: %s", app, version, error)
        return []
