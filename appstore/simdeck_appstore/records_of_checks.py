"""Check records in a registry's source, ``checks/<app>/<version>.json``: read at a build, signed with the release.

A record counts only for the very wheel (or tree) and lock it was made of: after a change the release is unchecked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from simdeck_appstore.models import CheckItem, CheckRecord, Release

FOLDER = "checks"
LONGEST = 400
"""Characters of one item's detail that go into the registry's document."""


class _Finding(BaseModel):
    name: str
    state: str
    message: str = ""


class _Found(BaseModel):
    """What `simdeck app check` writes, as far as the registry tells it."""

    version: str
    wheel_sha256: str = ""
    lock_sha256: str = ""
    python: str = ""
    simdeck: str = ""
    when: str
    findings: list[_Finding] = []


def place_of(registry: Path, app: str, version: str) -> Path:
    """Return where the record of one release lies."""
    return registry / FOLDER / app / f"{version}.json"


def record_of(registry: Path, app: str, release: Release) -> CheckRecord | None:
    """Return the record of ``release``, or None: there is none, or it was made of something else."""
    try:
        found = _Found.model_validate_json(place_of(registry, app, release.version).read_bytes())
    except (OSError, ValidationError):
        return None
    content = release.wheel or release.tree
    if content is None or found.wheel_sha256 != content.sha256 or found.lock_sha256 != release.lock.sha256:
        return None
    given: dict[str, Any] = {
        "passed": all(one.state != "failed" for one in found.findings),
        "when": found.when,
        "python": found.python,
        "simdeck": found.simdeck,
        "items": [CheckItem(name=one.name, state=one.state, detail=one.message[:LONGEST]) for one in found.findings],
    }
    return CheckRecord.model_validate(given)
