"""Voilà's front end as the app page loads it: which scripts, which federated extensions, under which addresses.

Every address carries a hash of what it serves, so the browser may keep it for a year without asking again.

Nothing of Voilà is imported: nbconvert and JupyterLab's server would come along, as much as all the rest of a server.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from functools import cached_property
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_path
from jupyter_server.utils import url_path_join

from simdeck_deck.server_extension.apps import AppPage

OWN = Path(__file__).with_name("static")

# What a page of widgets needs; everything else that is installed for JupyterLab stays out.
MANAGER = "@jupyter-widgets/jupyterlab-manager"
VOILA_MANAGER = "@voila-dashboards/widgets-manager"
"""Voilà's part for ipywidgets 8 or 7, whichever the app brings: the number stands at its end."""
WANTED = (f"{VOILA_MANAGER}7", f"{VOILA_MANAGER}8", MANAGER, "anywidget")
NEVER = re.compile(r"@jupyterlab/|@jupyterhub/|@jupyter-notebook/|@voila-dashboards/|jupyterlab[_-]|@jupyter-widgets/")


def digest(paths: list[Path]) -> str:
    """Return a short hash over names, sizes and times of the files below ``paths``."""
    total = hashlib.sha256()
    for root in paths:
        files = sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else []
        for path in files:
            info = path.stat()
            total.update(f"{path.relative_to(root)}:{info.st_size}:{info.st_mtime_ns}\n".encode())
    return total.hexdigest()[:16]


class Frontend:
    """The folders served below ``deck/static/<hash>/``; looked at when first asked for, which takes a moment."""

    def __init__(self) -> None:
        self.preload: list[str] = []
        self._extensions: dict[str, tuple[str, list[dict[str, Any]]]] = {}

    @cached_property
    def folders(self) -> dict[str, list[Path]]:
        """By the first part of the address: Voilà's scripts, our own, and those widgets load (3Dmol, plotly)."""
        return {"voila": static_folders("lab"), "own": [OWN], "vendor": vendor_folders()}

    @cached_property
    def hash(self) -> str:
        """Over all that is served."""
        return digest([path for paths in self.folders.values() for path in paths])

    def url(self, base_url: str, *parts: str) -> str:
        """Address of a static file."""
        return str(url_path_join(base_url, "deck/static", self.hash, *parts))

    def page_config(self, app: AppPage, base_url: str) -> dict[str, Any]:
        """Voilà's page configuration for ``app``."""
        version, extensions = self.extensions(app)
        return {
            "appVersion": version_of("voila"),
            "appUrl": "voila/",
            "themesUrl": "/voila/api/themes",
            "baseUrl": base_url,
            "terminalsAvailable": False,
            "fullStaticUrl": self.url(base_url, "voila"),
            "fullLabextensionsUrl": url_path_join(base_url, "deck/labextensions", app.address, version),
            "extensionConfig": {},
            "progressiveRendering": False,
            "mathjaxConfig": "TeX-AMS_CHTML-full,Safe",
            # Voilà loads MathJax on every page, from another site; ours stays here and typesets nothing.
            "fullMathjaxUrl": self.url(base_url, "own", "math.js"),
            "federated_extensions": extensions,
            "jupyterLabTheme": "light",
        }

    def extensions(self, app: AppPage) -> tuple[str, list[dict[str, Any]]]:
        """Return (hash, federated extensions) for ``app``: the wanted ones, and those its own environment brings."""
        key = str(app.env)
        if key not in self._extensions:
            found: dict[str, dict[str, Any]] = {}
            older = False
            roots = labextension_folders(app)
            for root in roots:
                for name, package in packages(root).items():
                    if name in found or not (name in WANTED or (root == app.labextensions and not NEVER.match(name))):
                        continue
                    build = package.get("jupyterlab", {}).get("_build")
                    if build:
                        found[name] = {"name": name, **build}
                        older |= name == MANAGER and str(package.get("version", "")).split(".")[0] in {"2", "3", "4"}
            found.pop(f"{VOILA_MANAGER}{8 if older else 7}", None)
            mark = hashlib.sha256(json.dumps([key, *found.values()], sort_keys=True).encode()).hexdigest()[:16]
            self._extensions[key] = (mark, list(found.values()))
        return self._extensions[key]


def static_folders(template: str) -> list[Path]:
    """Folders with the static files of one of Voilà's templates and of those it stands on, in the order they count."""
    roots = [Path(root, app, "templates") for root in jupyter_path() for app in ("voila", "nbconvert")]
    found: list[Path] = []
    name: str | None = template
    while name is not None:
        found += [folder for root in roots if (folder := root / name / "static").is_dir()]
        bases = [base for root in roots if (base := _base_of(root / name / "conf.json"))]
        name = bases[0] if bases else None if name == "base" else "base"
    return found


def _base_of(conf: Path) -> str | None:
    try:
        found = json.loads(conf.read_bytes()).get("base_template")
    except (OSError, ValueError, AttributeError):
        return None
    return str(found) if found else None


def vendor_folders() -> list[Path]:
    """Where 3Dmol and plotly lie: beside the widgets, or in a checkout's npm packages."""
    packages = Path(__file__).parents[3] / "node_modules"
    folders = [packages / "3dmol" / "build", packages / "plotly.js-basic-dist-min"]
    found = importlib.util.find_spec("simdeck_widgets")
    if found is not None and found.submodule_search_locations:
        folders.insert(0, Path(next(iter(found.submodule_search_locations))) / "static" / "vendor")
    return folders


def labextension_folders(app: AppPage) -> list[Path]:
    """Folders of federated extensions, the app's own first."""
    shared = [Path(path) for path in jupyter_path("labextensions")]
    voila = [Path(path) / "labextensions" for path in jupyter_path("voila")]
    return [app.labextensions, *shared, *voila]


def packages(root: Path) -> dict[str, dict[str, Any]]:
    """Read the ``package.json`` of each extension below ``root``, scoped names included."""
    found = {}
    for path in sorted([*root.glob("*/package.json"), *root.glob("@*/*/package.json")]):
        try:
            found[str(path.parent.relative_to(root))] = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
    return found
