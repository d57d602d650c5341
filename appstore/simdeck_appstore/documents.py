"""The JSON documents of a registry, as pure functions of its records: ``api/v2`` (ours) and ``api/v1`` (AiiDAlab's)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

from simdeck_appstore.models import BuildProblem, Category, IndexEntry, RegistryApp, RegistryIndex, SimdeckWheel
from simdeck_appstore.records import ReleaseRecord
from simdeck_appstore.search import gist


def registry_app(app: str, records: list[ReleaseRecord], simdeck: SimdeckWheel | None) -> RegistryApp:
    """Return an app's document: releases newest first, everything else as its latest stable release says it."""
    ordered = sorted(records, key=lambda record: Version(record.release.version), reverse=True)
    stable = [record for record in ordered if not Version(record.release.version).is_prerelease]
    shown = (stable or ordered)[0]
    return RegistryApp(
        id=app,
        title=shown.title,
        summary=shown.summary,
        description=shown.description,
        categories=shown.categories,
        keywords=shown.keywords,
        methods=shown.methods,
        authors=shown.authors,
        license=shown.license,
        links=shown.links,
        logo=shown.logo,
        screenshots=shown.screenshots,
        citations=shown.citations,
        latest=shown.release.version,
        releases=[
            # An AiiDAlab app knows nothing of simdeck; its environment is its own.
            record.release.model_copy(update={"simdeck": simdeck if record.release.tree is None else None})
            for record in ordered
        ],
    )


def index_entry(app: RegistryApp) -> IndexEntry:
    latest = app.release()
    return IndexEntry(
        id=app.id,
        title=app.title,
        summary=app.summary,
        categories=app.categories,
        keywords=app.keywords,
        methods=app.methods,
        codes=latest.codes if latest else [],
        text=gist(app.description),
        authors=app.authors,
        healthy=latest.check.passed if latest and latest.check else None,
        logo=app.logo.path if app.logo else None,
        latest=app.latest,
        versions=[release.version for release in app.releases],
        groups={release.version: release.groups for release in app.releases if release.groups},
    )


def registry_index(
    apps: list[RegistryApp],
    categories: Mapping[str, Category],
    simdeck: SimdeckWheel | None,
    problems: list[BuildProblem],
) -> RegistryIndex:
    """Return the table of contents, with its ``revision`` computed over all documents."""
    draft = RegistryIndex(
        revision="",
        simdeck=simdeck,
        categories=dict(categories),
        apps=[index_entry(app) for app in sorted(apps, key=lambda app: app.title.lower())],
        problems=problems,
    )
    digest = hashlib.sha256(draft.model_dump_json().encode())
    for app in sorted(apps, key=lambda app: app.id):
        digest.update(app.model_dump_json().encode())
    return draft.model_copy(update={"revision": digest.hexdigest()})


def v1_index(apps: list[RegistryApp], categories: Mapping[str, Category]) -> dict[str, Any]:
    """Return AiiDAlab's ``apps_index.json``."""
    return {
        "apps": {app.id: {"name": app.id, "categories": app.categories} for app in apps},
        "categories": {
            name: {"title": item.title, "description": item.description} for name, item in categories.items()
        },
    }


@dataclass(frozen=True)
class Place:
    """Where the registry will be found: its address, when it is known, and its folder.

    Addresses of its files are ``base_url/files/…``, or, where it does not know its own address, relative to its root.
    """

    base_url: str | None
    folder: Path

    def address(self, path: str) -> str:
        return f"{self.base_url.rstrip('/')}/{path}" if self.base_url else path

    def client_address(self, path: str) -> str:
        """Return an address that AiiDAlab's client accepts for an archive: https, or else a file of this machine."""
        if self.base_url and self.base_url.startswith("https://"):
            return self.address(path)
        return (self.folder / path).as_uri()


def v1_app(app: str, records: list[ReleaseRecord], place: Place) -> dict[str, Any]:
    """Return AiiDAlab's ``apps/<id>.json``."""
    ordered = sorted(records, key=lambda record: Version(record.release.version), reverse=True)
    shown = next((record for record in ordered if not Version(record.release.version).is_prerelease), ordered[0])
    return {
        "name": app,
        "metadata": _v1_metadata(shown, place),
        "releases": {
            record.tag or record.release.version: {
                "url": _v1_url(record, place),
                "metadata": _v1_metadata(record, place),
                "environment": record.environment or {"python_requirements": record.requires},
            }
            for record in ordered
        },
    }


def _v1_url(record: ReleaseRecord, place: Place) -> str:
    release = record.release
    if release.source:
        return release.source
    if release.tree:
        return place.client_address(release.tree.path)
    return place.address(release.wheel.path) if release.wheel else ""


def _v1_metadata(record: ReleaseRecord, place: Place) -> dict[str, Any]:
    if record.metadata is not None:
        logo = record.metadata.get("logo")
        if logo and record.logo is not None and not str(logo).startswith("https://"):
            return {**record.metadata, "logo": place.address(record.logo.path)}
        return record.metadata
    metadata: dict[str, Any] = {
        "title": record.title,
        "description": record.summary,
        "version": record.release.version,
        "authors": record.authors,
        "external_url": record.links.homepage or record.links.source,
        "documentation_url": record.links.documentation,
        "logo": place.address(record.logo.path) if record.logo else None,
        "state": "development" if Version(record.release.version).is_prerelease else "stable",
        "categories": record.categories,
        "citations": [
            {
                "text": item.text,
                **({"link": f"https://doi.org/{item.doi}" if item.doi else item.url} if item.doi or item.url else {}),
            }
            for item in record.citations
        ],
    }
    return {key: value for key, value in metadata.items() if value not in (None, "")}


def to_json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"
