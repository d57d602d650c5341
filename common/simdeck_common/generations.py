"""Generations of the workflow backend's environment: what apps' workflows need beside what every backend has.

The installer of apps makes them (``simdeck_appstore.generations``), the workflow backend chooses one for its worker.
Between the two stand these files, and nothing else::

    <apps>/<app>/current/app.json        ``backend``: the requirements of that version's workflows
    <apps>/.backend/<name>/              a generation: an environment that stands on the backend's own
        generation.json                  what is in it and why; a worker that uses it holds a shared lock on this file
        requirements.lock                its packages, with hashes
        bin/python

A generation is never changed after it has got its name. The folder of the site-wide installs has its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = ".backend"
RECORD = "generation.json"
LOCK = "requirements.lock"
_OWN = re.compile(r"^simdeck-", re.IGNORECASE)


@dataclass(frozen=True)
class Need:
    """What one installed app's workflows need of the backend."""

    app: str
    title: str
    version: str
    requirements: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "app": self.app,
            "title": self.title,
            "version": self.version,
            "requirements": list(self.requirements),
        }


@dataclass(frozen=True)
class Generation:
    """One that is there. ``base`` says which backend it stands on, ``made`` when (ISO 8601 UTC)."""

    folder: Path
    base: str
    needs: tuple[Need, ...]
    made: str

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def covers(self, need: Need) -> bool:
        """Say whether this holds what an app needs."""
        return {word for known in self.needs for word in known.requirements}.issuperset(need.requirements)


@dataclass(frozen=True)
class Chosen:
    """The Python that a worker is started with, and the apps whose needs it does not hold."""

    python: Path
    lacking: tuple[Need, ...] = ()


def site_packages(python: Path) -> Path:
    """Return where the packages of an environment lie, by its Python.

    Raises
    ------
    FileNotFoundError
        There is no such environment.
    """
    found = next(iter(sorted(python.parents[1].glob("lib/python*/site-packages"))), None)
    if found is None:
        raise FileNotFoundError(f"{python} is not the Python of an environment")
    return found


def packages_of(site: Path) -> dict[str, str]:
    """Return names and versions of what is installed in a folder of packages, without Simdeck itself."""
    names = (path.name.removesuffix(".dist-info") for path in site.glob("*.dist-info"))
    split = (name.rpartition("-") for name in names if not _OWN.match(name))
    return {name.replace("_", "-").lower(): version for name, _, version in sorted(split)}


def base_of(python: Path) -> str:
    """Return a short word for the backend that ``python`` is the Python of; another lock gives another word."""
    try:
        site = site_packages(python)
    except FileNotFoundError:
        return ""
    told = [str(site), *(f"{name}=={version}" for name, version in packages_of(site).items())]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def needs_below(apps: Path) -> list[Need]:
    """Return what the current versions of the apps below ``apps`` need, by the apps' names."""
    found = (need_of(path) for path in sorted(apps.glob("*/current/app.json")))
    return [need for need in found if need is not None]


def need_of(record: Path) -> Need | None:
    """Return what an installed version needs, from its ``app.json``; None for nothing, or for a broken file."""
    try:
        data = json.loads(record.read_bytes())
        wanted = tuple(str(word) for word in data.get("backend") or ())
        app = str(data["id"])
        return Need(app, str(data.get("title") or app), str(data["version"]), wanted) if wanted else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def all_in(apps: Path) -> list[Generation]:
    """Return the generations that were made for the apps below ``apps``, newest first."""
    found = (_read(path.parent) for path in (apps / FOLDER).glob(f"*/{RECORD}") if not path.parent.name.startswith("."))
    return sorted((one for one in found if one is not None), key=lambda one: one.made, reverse=True)


def choose(needs: Sequence[Need], places: Iterable[Path], backend_python: Path) -> Chosen:
    """Return the environment for a worker whose apps have these needs.

    Parameters
    ----------
    places
        Folders of apps whose generations may be used, the nearest first.
    backend_python
        The Python of the backend's own environment, which is enough where nothing is needed.
    """
    if not needs:
        return Chosen(backend_python)
    base = base_of(backend_python)
    best = Chosen(backend_python, tuple(needs))
    rank = (len(needs), True)
    for generation in (one for place in places for one in all_in(place)):
        lacking = tuple(need for need in needs if not generation.covers(need))
        # One that stands on a backend of before still does for runs that need it, until the next is made.
        if (len(lacking), generation.base != base) < rank and generation.python.exists():
            best, rank = Chosen(generation.python, lacking), (len(lacking), generation.base != base)
    return best


def covering(needs: Sequence[Need], places: Iterable[Path], backend_python: Path) -> Generation | None:
    """Return a generation on the present backend that holds all of it, or None: one must be made."""
    base = base_of(backend_python)
    for generation in (one for place in places for one in all_in(place)):
        fits = all(generation.covers(need) for need in needs)
        if fits and generation.base == base and generation.python.exists():
            return generation
    return None


def _read(folder: Path) -> Generation | None:
    try:
        data = json.loads((folder / RECORD).read_bytes())
        needs = tuple(
            Need(str(one["app"]), str(one["title"]), str(one["version"]), tuple(map(str, one["requirements"])))
            for one in data["apps"]
        )
        return Generation(folder, str(data["base"]), needs, str(data["made"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
