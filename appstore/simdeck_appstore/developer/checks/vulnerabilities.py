"""Known vulnerabilities of the locked packages, in the format of OSV: from a file, or asked of osv.dev.

A file (or a folder of such files) holds OSV advisories: one JSON object, a list of them, or a zip of them as osv.dev
offers for PyPI. So a site without network can check all the same.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

OSV = "https://api.osv.dev/v1/querybatch"
_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Advisory:
    """One known vulnerability of one locked package."""

    package: str
    version: str
    id: str
    summary: str = ""


class NotAskedError(Exception):
    """Nobody could be asked; the text says why."""


def pinned(lock: str) -> dict[str, str]:
    """Return name → version of the packages that a lock names."""
    return {str(canonicalize_name(name)): version for name, version in _PINNED.findall(lock)}


def in_files(packages: dict[str, str], where: Path) -> list[Advisory]:
    """Return the advisories in the file or folder ``where`` that concern ``packages``.

    Raises
    ------
    NotAskedError
        It cannot be read.
    """
    found = []
    for advisory in _read(where):
        for affected in advisory.get("affected", []):
            package = affected.get("package", {})
            name = str(canonicalize_name(str(package.get("name", ""))))
            if package.get("ecosystem") == "PyPI" and name in packages and _hit(affected, packages[name]):
                found.append(Advisory(name, packages[name], str(advisory.get("id")), str(advisory.get("summary", ""))))
    return sorted(set(found), key=lambda one: (one.package, one.id))


def at_osv(packages: dict[str, str], client: httpx.Client | None = None) -> list[Advisory]:
    """Ask osv.dev about ``packages``.

    Raises
    ------
    NotAskedError
        It does not answer.
    """
    names = sorted(packages)
    queries = [{"package": {"name": name, "ecosystem": "PyPI"}, "version": packages[name]} for name in names]
    try:
        with client or httpx.Client(timeout=httpx.Timeout(20, connect=5)) as asking:
            answer = asking.post(OSV, json={"queries": queries})
            answer.raise_for_status()
            results = answer.json()["results"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise NotAskedError(f"osv.dev does not answer ({type(error).__name__})") from None
    return [
        Advisory(name, packages[name], str(one["id"]))
        for name, result in zip(names, results, strict=False)
        for one in (result or {}).get("vulns", [])
    ]


def _read(where: Path) -> Iterator[dict[str, Any]]:
    files = sorted(path for path in where.rglob("*") if path.is_file()) if where.is_dir() else [where]
    for path in files:
        try:
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as bundle:
                    for name in bundle.namelist():
                        yield from _advisories(bundle.read(name))
            elif path.suffix == ".json":
                yield from _advisories(path.read_bytes())
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise NotAskedError(f"{path.name} cannot be read ({type(error).__name__})") from None


def _advisories(content: bytes) -> list[dict[str, Any]]:
    data = json.loads(content)
    return [one for one in (data if isinstance(data, list) else [data]) if isinstance(one, dict)]


def _hit(affected: dict[str, Any], version: str) -> bool:
    """Tell whether ``version`` is affected: it is listed, or lies in a range."""
    if version in affected.get("versions", []):
        return True
    return any(
        _inside(reach.get("events", []), version)
        for reach in affected.get("ranges", [])
        if reach.get("type") == "ECOSYSTEM"
    )


def _inside(events: list[dict[str, str]], version: str) -> bool:
    try:
        wanted = Version(version)
        inside = False
        for event in events:
            if "introduced" in event and wanted >= Version(event["introduced"]):
                inside = True
            if "fixed" in event and wanted >= Version(event["fixed"]):
                inside = False
            if "last_affected" in event and wanted > Version(event["last_affected"]):
                inside = False
    except InvalidVersion:
        return False
    return inside
