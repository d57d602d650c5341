"""The workflows of the installed apps, read from what the app store wrote when it installed them."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from pathlib import Path

from pydantic import ValidationError
from simdeck_common.problems import Problem

from simdeck_workflows.models import Workflow

LOG = logging.getLogger(__name__)

CALLER_GROUPS: ContextVar[frozenset[str] | None] = ContextVar("simdeck_caller_groups", default=None)
"""The groups of whoever asks now; None: nobody in particular, who sees all."""


class InstalledWorkflows:
    """The workflows of the current versions of all apps below ``apps``; files are read again when they change."""

    def __init__(self, apps: Path) -> None:
        self._apps = apps
        self._known: dict[Path, tuple[tuple[int, int], list[Workflow]]] = {}

    def all(self) -> list[Workflow]:
        """All workflows that are for whoever asks, by name."""
        groups = CALLER_GROUPS.get()
        if groups is None:
            return self._all()
        return [one for one in self._all() if not one.groups or not groups.isdisjoint(one.groups)]

    def _all(self) -> list[Workflow]:
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
        given = {"app": app, "app_version": version, "groups": _groups(path.with_name("app.json"))}
        return [Workflow.model_validate({**item, **given}) for item in items]
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        LOG.error("the workflows of %s %s cannot be read: %s", app, version, error)
        return []


def _groups(record: Path) -> list[str]:
    """The groups that an installed version is restricted to. Raises ``ValueError`` where that cannot be read."""
    try:
        found = json.loads(record.read_text("utf-8")).get("groups") or []
    except FileNotFoundError:
        return []
    except (OSError, AttributeError) as error:
        raise ValueError(f"{record}: {error}") from error
    if not isinstance(found, list):
        raise ValueError(f"{record}: groups is no list")
    return [str(group) for group in found]
