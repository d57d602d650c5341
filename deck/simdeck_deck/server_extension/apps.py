"""What the handlers need to know about an installed app, read from its folder. Pure reading, no effects."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

APP_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
"""App ids as they appear in the page's address."""

VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!-]{0,99}")
"""A version in the page's address: ``<app>@<version>`` is another one than that in use."""

RESERVED = frozenset({"static", "labextensions", "api"})
"""Parts of the address below ``deck/`` that are not apps."""

PAGES = "apps/apps"
"""Where AiiDAlab has its apps below a server's address."""


FOREIGN = frozenset({"PYTHONPATH", "PYTHONHOME"})
"""What would bring another Python's packages into one."""


@dataclass(frozen=True)
class PageLink:
    """One of an app's pages: ``name`` is its address relative to the app's, empty for the first."""

    name: str
    title: str


@dataclass(frozen=True)
class Installed:
    """An installed app, whatever its kind: its current version, or (``beside``) another one that lies beside it."""

    id: str
    title: str
    version: str
    home: Path
    entry: Mapping[str, Any] = field(compare=False)
    package: str = ""
    beside: bool = False

    @property
    def kind(self) -> str:
        return str(self.entry.get("kind", ""))

    @property
    def env(self) -> Path:
        return self.home / "env"

    @property
    def tree(self) -> Path | None:
        """The folder of an AiiDAlab app's notebooks; None where it has none, or names one outside its version."""
        tree = (self.home / str(self.entry.get("tree", ""))).resolve()
        ours = self.kind == "aiidalab" and tree.is_relative_to((self.home / "apps").resolve()) and tree.is_dir()
        return tree if ours else None


@dataclass(frozen=True)
class AppPage:
    """One notebook page of an installed app."""

    id: str
    title: str
    version: str
    env: Path
    notebook: Path
    warm: tuple[str, ...]
    """Modules a warm kernel has imported before the page asks for it."""
    name: str = ""
    """Which page; empty is the app's first. Relative to its tree for an AiiDAlab app."""
    links: tuple[PageLink, ...] = ()
    """The app's pages, where it has several."""
    environment: Mapping[str, str] = field(default_factory=dict, compare=False)
    """What the app's kernels find in their environment besides the server's."""
    cwd: Path | None = None
    """Where the page's kernel runs; None: the server's own folder."""
    tree: Path | None = None
    """The app's folder, for an AiiDAlab app."""
    note: str = ""
    """What whoever opens the page should know, in sentences."""
    source: str = ""
    """Code to run in place of the notebook."""
    beside: bool = False
    """Whether this is another version than the one in use."""

    @property
    def address(self) -> str:
        """The app in addresses: its id, with the version where that is not the one in use."""
        return f"{self.id}@{self.version}" if self.beside else self.id

    @property
    def kernel(self) -> str:
        return kernel_name(self.id)

    @property
    def python(self) -> Path:
        return self.env / "bin" / "python"

    @property
    def labextensions(self) -> Path:
        """Front-end parts of widget libraries the app brings."""
        return self.env / "share" / "jupyter" / "labextensions"


class NoPageError(Exception):
    """The app cannot be opened as a page; the text says why, in a sentence for people."""


def kernel_name(app: str) -> str:
    """Return the name of the kernel of ``app``; Jupyter wants lower case."""
    return f"simdeck-{app.lower()}"


def app_of_kernel(apps: Path, kernel: str) -> str | None:
    """Return the installed app a kernel belongs to, or None for a kernel that is not an app's."""
    prefix, found, app = kernel.partition("simdeck-")
    if not found or prefix or not is_app_name(app):
        return None
    if (apps / app).is_dir():
        return app
    return next((name for name in installed(apps) if kernel_name(name) == kernel), None)


def is_app_name(text: str) -> bool:
    """Whether ``text`` can be an app's id."""
    return APP_NAME.fullmatch(text) is not None and text not in RESERVED


def installed(apps: Path) -> list[str]:
    """Return the ids of installed apps, the most recently changed first."""
    if not apps.is_dir():
        return []
    found = [path for path in apps.iterdir() if is_app_name(path.name) and (path / "current").exists()]
    return [path.name for path in sorted(found, key=lambda path: (path / "current").lstat().st_mtime, reverse=True)]


def read_app(apps: Path, app: str) -> Installed:
    """Read the current version of ``app`` below the apps folder ``apps``; ``<app>@<version>`` is that version.

    Raises
    ------
    NoPageError
        It is not installed, or its description cannot be read.
    """
    app, at, wanted = app.partition("@")
    if not is_app_name(app) or (at and not VERSION.fullmatch(wanted)):
        raise NoPageError("There is no app of this name.")
    try:
        version = current = (apps / app / "current").resolve(strict=True)
    except OSError:
        raise NoPageError("This app is not installed.") from None
    if at and wanted != current.name:
        version = apps / app / "versions" / wanted
        if not version.is_dir():
            raise NoPageError(f"Version {wanted} of this app is not installed.")
    try:
        about = json.loads((version / "app.json").read_text())
        entry = about.get("entry") or (about.get("manifest") or {}).get("entry") or {}
    except (OSError, ValueError, AttributeError):
        raise NoPageError("The app's installation is damaged: its description cannot be read.") from None
    title = about.get("title") or (about.get("manifest") or {}).get("title") or app
    entry = entry if isinstance(entry, dict) else {}
    package = str(about.get("package") or "")
    return Installed(app, str(title), version.name, version, entry, package, beside=version != current)


def read(apps: Path, app: str, name: str = "") -> AppPage:
    """Read one notebook page of ``app``: its first, or the one called ``name``.

    Raises
    ------
    NoPageError
        It is not installed, its description cannot be read, or it has no such page.
    """
    found = read_app(apps, app)
    if found.kind == "aiidalab" and found.beside:
        raise NoPageError(f"An AiiDAlab app opens in the version in use. Switch to {found.version} in the store first.")
    if found.kind == "aiidalab":
        from simdeck_deck.server_extension import aiidalab_app

        return aiidalab_app.page(apps, found, name)
    if found.kind != "notebook" or not isinstance(found.entry.get("path"), str):
        raise NoPageError("This app has no page to open here.")
    paths = page_paths(found.entry)
    if name not in paths:
        raise NoPageError("This app has no page of this name.")
    notebook = in_packages(found.env, paths[name][0])
    if notebook is None or not notebook.is_file():
        raise NoPageError("The app's installation is damaged: its notebook is missing.")
    links = tuple(PageLink(key, title) for key, (_, title) in paths.items()) if len(paths) > 1 else ()
    warm = _warm(notebook)
    return AppPage(found.id, found.title, found.version, found.env, notebook, warm, name, links, beside=found.beside)


def page_paths(entry: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return (notebook, title) of each page of a notebook app by its name; the first page's is empty."""
    found = {"": (str(entry["path"]), "Start")}
    for page in entry.get("pages") or ():
        if isinstance(page, dict) and isinstance(page.get("path"), str):
            title = str(page.get("title") or page["path"])
            first = page["path"] == entry["path"]
            found["" if first else Path(page["path"]).stem] = (page["path"], title)
    return found


def own_packages_alone(environment: Mapping[str, str]) -> dict[str, str]:
    """Return ``environment`` for a Python of an app's own.

    What a site's modules or a person's shell say to the server's Python would come before the app's locked packages.
    """
    return {name: value for name, value in environment.items() if name not in FOREIGN}


def in_packages(env: Path, relative: str) -> Path | None:
    """Return the file or folder ``relative`` of the environment's packages; never one outside."""
    for packages in sorted(env.glob("lib/python*/site-packages")):
        path = (packages / relative).resolve()
        if path.exists() and path.is_relative_to(packages.resolve()):
            return path
    return None


def _warm(notebook: Path) -> tuple[str, ...]:
    """Modules named under ``simdeck.warm`` in the notebook's metadata."""
    try:
        metadata = json.loads(notebook.read_text()).get("metadata", {})
        names = metadata.get("simdeck", {}).get("warm", [])
    except (OSError, ValueError, AttributeError):
        return ()
    if not isinstance(names, list):
        return ()
    return tuple(name for name in names if isinstance(name, str) and re.fullmatch(r"[A-Za-z_][\w.]*", name))
