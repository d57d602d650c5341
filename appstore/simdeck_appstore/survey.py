"""What a build begins with: every release with the hash of its source, and whether anything changed since the last one.

Where nothing is, the registry built last is right as it is: no release is read, hashed, rendered or signed again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import simdeck_common
from pydantic import ValidationError
from simdeck_common.problems import Problem

from simdeck_appstore import signing
from simdeck_appstore.git import Mirrors
from simdeck_appstore.models import RegistryIndex
from simdeck_appstore.own_wheel import own_key
from simdeck_appstore.records import source_key
from simdeck_appstore.records_of_checks import FOLDER as CHECKS
from simdeck_appstore.registry_settings import NAME as SETTINGS
from simdeck_appstore.seen import Seen, shape
from simdeck_appstore.sources import RegistrySource, ReleaseSpec, expand

LASTING = frozenset({"manifest-invalid", "registry-invalid"})
"""What is wrong until its source changes. Anything else may be another time, and is tried again at each build."""
INDEX = "api/v2/index.json"


@dataclass(frozen=True)
class Surveyed:
    """One release: the hash of its source, or why there is none."""

    spec: ReleaseSpec
    key: str = ""
    problem: Problem | None = None


@dataclass
class Survey:
    """All releases of a source, by app."""

    releases: dict[str, list[Surveyed]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Circumstances:
    """What a build depends on beside its source."""

    output: Path
    simdeck: Path | None
    base_url: str | None
    keys: Path | None
    site: bool


def survey(registry: RegistrySource, mirrors: Mirrors, seen: Seen) -> Survey:
    """Look at every release's source; one that cannot be found is noted with its reason."""
    found = Survey()
    for app, specs in registry.apps.items():
        found.releases[app] = [one for spec in specs for one in _of_entry(spec, registry.folder, mirrors, seen)]
        found.warnings += mirrors.warnings
        mirrors.warnings.clear()
    return found


def _of_entry(spec: ReleaseSpec, folder: Path, mirrors: Mirrors, seen: Seen) -> list[Surveyed]:
    try:
        return [_of_release(one, folder, seen) for one in expand(spec, folder, mirrors)]
    except Problem as problem:
        return [Surveyed(spec, problem=problem)]


def _of_release(spec: ReleaseSpec, folder: Path, seen: Seen) -> Surveyed:
    try:
        return Surveyed(spec, source_key(spec, folder, seen))
    except Problem as problem:
        return Surveyed(spec, problem=problem)
    except OSError as error:
        return Surveyed(spec, problem=unreadable(spec, error))


def unreadable(spec: ReleaseSpec, error: OSError) -> Problem:
    """Return why a release's source cannot be read."""
    reason = f"{error.filename or 'a file'}: {error.strerror}"
    return Problem("source-invalid", url=spec.url, reason=reason)


def digest_of(registry: RegistrySource, found: Survey, given: Circumstances, seen: Seen) -> str:
    """Return a hash of all that the built registry is made of, the programs that make it included."""
    settings = registry.folder / SETTINGS
    parts = [
        seen.tree(Path(__file__).parent),
        seen.tree(Path(simdeck_common.__file__).parent),
        [
            [app, [[one.key, one.problem.to_json() if one.problem else one.spec.model_dump()] for one in releases]]
            for app, releases in found.releases.items()
        ],
        [[app, problem.to_json()] for app, problem in registry.broken.items()],
        [[name, category.model_dump()] for name, category in registry.categories.items()],
        seen.file(settings) if settings.is_file() else None,
        shape(registry.folder / CHECKS),
        own_key(given.simdeck.absolute(), seen) if given.simdeck else None,
        [str(given.output), given.base_url, given.site],
        [str(given.keys), shape(given.keys)] if given.keys else None,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Unchanged:
    """The registry built last, which is right as it is."""

    index: RegistryIndex
    releases: list[str]
    warnings: list[str]


def unchanged(digest: str, output: Path, seen: Seen) -> Unchanged | None:
    """Return the registry in ``output`` where it is what a build would make, with signatures that are still good."""
    state = seen.state
    if state.get("digest") != digest or not output.is_dir() or state.get("shape") != shape(output):
        return None
    try:
        due = state["renewal"]
        if due is not None and datetime.fromisoformat(due) <= signing.now():
            return None
        index = RegistryIndex.model_validate_json((output / INDEX).read_bytes())
        return Unchanged(index, list(state["releases"]), list(state["warnings"]))
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def note(digest: str, output: Path, seen: Seen, releases: list[str], warnings: list[str]) -> None:
    """Keep what the next build compares with; an empty ``digest`` has it look at everything."""
    signatures = output / signing.METADATA
    due = signing.renewal_due(signatures) if signatures.is_dir() else None
    seen.state = {
        "digest": digest,
        "shape": shape(output),
        "renewal": due.isoformat() if due else None,
        "releases": releases,
        "warnings": warnings,
    }
