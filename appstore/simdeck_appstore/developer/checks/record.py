"""What a check found, and what it needs to know of the machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from simdeck_appstore.manifest import Project

State = Literal["passed", "failed", "warning", "skipped"]
PAGE_SECONDS = 120


class Finding(BaseModel):
    """One check's result."""

    name: str
    state: State
    message: str = Field(description="One sentence; of a failure with what to do.")
    seconds: float = 0.0
    data: dict[str, Any] = {}


class CheckRecord(BaseModel):
    """What was found, of which content. For an AiiDAlab app ``wheel_sha256`` is that of its tree's archive."""

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

    Parameters
    ----------
    uv
        The uv program.
    describe_argv
        The command that lists a folder's workflows.
    python
        A Python that has hatchling; default: this one.
    simdeck
        The simdeck checkout or wheel.
    categories
        The source folder of the registry whose categories the app may name.
    page_seconds
        How long a page may take until it can be used.
    backend_python
        Runs the smoke workflow; None: it is not run.
    chromium
        The browser; None: pages are executed without one.
    pythons
        Further Pythons the app is to be installed with, beside the one that runs apps.
    advisories
        A file or folder of known vulnerabilities in OSV's format; None: the service at osv.dev is asked.
    ask_osv
        Whether that service may be asked at all.
    """

    uv: Path
    describe_argv: list[str]
    python: Path | None = None
    simdeck: Path | None = None
    categories: Path | None = None
    page_seconds: int = PAGE_SECONDS
    backend_python: Path | None = None
    chromium: Path | None = None
    pythons: tuple[Path, ...] = ()
    advisories: Path | None = None
    ask_osv: bool = False


def app_id(project: Project) -> str:
    """Return the id under which the app is checked: the project's name without our prefix."""
    return project.name.removeprefix("simdeck-app-")


def aiidalab_id(folder: Path) -> str:
    """Return the id of an AiiDAlab app whose id nobody says: its folder's name without ``aiidalab-``."""
    name = re.sub(r"[^a-z0-9-]+", "-", folder.name.lower().removeprefix("aiidalab-")).strip("-")
    return name if name[:1].isalpha() else f"app-{name}"
