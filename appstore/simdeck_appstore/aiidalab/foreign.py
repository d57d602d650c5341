"""A registry that ``aiidalab registry build`` made, as a source: its ``api/v1`` JSON instead of the YAML files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from simdeck_common.problems import Problem

from simdeck_appstore.models import Category
from simdeck_appstore.refs import References
from simdeck_appstore.sources import APP_ID, RegistrySource, ReleaseSpec

INDEX = "apps_index.json"


def find_api(location: str | Path) -> str | Path | None:
    """Return where the ``api/v1`` of a built registry lies: below an https address or in a folder; else None."""
    if str(location).startswith("https://"):
        root = str(location).rstrip("/")
        return root if root.endswith("/api/v1") else f"{root}/api/v1"
    folder = Path(location)
    if (folder / "apps.yaml").exists():
        return None
    return next((api for api in (folder, folder / "api" / "v1") if (api / INDEX).is_file()), None)


def read_foreign(api: str | Path, references: References | None = None) -> RegistrySource:
    """Read the releases of the ``api/v1`` at ``api``. What it says of a release replaces what the app says.

    Raises
    ------
    Problem
        ``registry-invalid`` when its index cannot be read; an app that cannot only counts as broken.
    """
    references = references or References()
    source = RegistrySource(Path(api).resolve() if isinstance(api, Path) else Path("/"))
    index = _read(api, INDEX, references)
    try:
        source.categories = {str(name): Category.model_validate(item) for name, item in index["categories"].items()}
        names = [str(name) for name in index["apps"]]
    except (KeyError, TypeError, AttributeError, ValidationError):
        raise Problem("registry-invalid", file=INDEX, reason="it is no index of an AiiDAlab registry") from None
    for app in names:
        try:
            if not APP_ID.match(app):
                raise Problem("registry-invalid", file=INDEX, reason=f"{app!r} is not an app id")
            source.apps[app] = _releases(app, _read(api, f"apps/{app}.json", references))
        except Problem as problem:
            source.broken[app] = problem
    return source


def _releases(app: str, document: Any) -> list[ReleaseSpec]:
    try:
        return [
            ReleaseSpec(
                url=item["url"],
                version=str(version),
                # None: its parser found nothing, which is not the same as that there is nothing.
                environment=item["environment"] if item["environment"].get("python_requirements") else None,
                metadata={key: value for key, value in (item["metadata"] or {}).items() if value not in (None, "")}
                or None,
            )
            for version, item in document["releases"].items()
        ]
    except (KeyError, TypeError, AttributeError, ValidationError):
        raise Problem(
            "registry-invalid", file=f"apps/{app}.json", reason="it is no app's document of an AiiDAlab registry"
        ) from None


def _read(api: str | Path, name: str, references: References) -> Any:
    try:
        if isinstance(api, str):
            return references.document(f"{api}/{name}")
        return json.loads((api / name).read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        raise Problem("registry-invalid", file=name, reason=f"it cannot be read ({reason})") from None
