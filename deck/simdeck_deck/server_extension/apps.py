"""What the page handler needs to know about an installed app, read from its folder. Pure reading, no effects."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

APP_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
"""App ids as they appear in the page's address."""

RESERVED = frozenset({"static", "labextensions", "api"})
"""Parts of the address below ``deck/`` that are not apps."""


@dataclass(frozen=True)
class AppPage:
    """An installed app that has a notebook page."""

    id: str
    title: str
    version: str
    env: Path
    notebook: Path
    warm: tuple[str, ...]
    """Modules a warm kernel has imported before the page asks for it."""

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
    """Return the name of the kernel of ``app``."""
    return f"simdeck-{app}"


def app_of_kernel(kernel: str) -> str | None:
    """Return the app a kernel belongs to, or None for a kernel that is not an app's."""
    prefix, found, app = kernel.partition("simdeck-")
    return app if found and not prefix and is_app_name(app) else None


def is_app_name(text: str) -> bool:
    """Whether ``text`` can be an app's id."""
    return APP_NAME.fullmatch(text) is not None and text not in RESERVED


def installed(apps: Path) -> list[str]:
    """Return the ids of installed apps, the most recently changed first."""
    if not apps.is_dir():
        return []
    found = [path for path in apps.iterdir() if is_app_name(path.name) and (path / "current").exists()]
    return [path.name for path in sorted(found, key=lambda path: (path / "current").lstat().st_mtime, reverse=True)]


def read(apps: Path, app: str) -> AppPage:
    """Read the current version of ``app`` below the apps folder ``apps``.

    Raises
    ------
    NoPageError
        It is not installed, its description cannot be read, or it has no notebook.
    """
    if not is_app_name(app):
        raise NoPageError("There is no app of this name.")
    try:
        version = (apps / app / "current").resolve(strict=True)
    except OSError:
        raise NoPageError("This app is not installed.") from None
    try:
        about = json.loads((version / "app.json").read_text())
    except (OSError, ValueError):
        raise NoPageError("The app's installation is damaged: its description cannot be read.") from None
    entry = _entry(about)
    if entry.get("kind") != "notebook" or not isinstance(entry.get("path"), str):
        raise NoPageError("This app has no page to open here.")
    env = version / "env"
    notebook = _find(env, entry["path"])
    if notebook is None:
        raise NoPageError("The app's installation is damaged: its notebook is missing.")
    title = about.get("title") or (about.get("manifest") or {}).get("title") or app
    return AppPage(app, str(title), version.name, env, notebook, _warm(notebook))


def _entry(about: dict[str, Any]) -> dict[str, Any]:
    entry = about.get("entry") or (about.get("manifest") or {}).get("entry") or {}
    return entry if isinstance(entry, dict) else {}


def _find(env: Path, relative: str) -> Path | None:
    for packages in sorted(env.glob("lib/python*/site-packages")):
        path = (packages / relative).resolve()
        if path.is_file() and path.is_relative_to(packages.resolve()):
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
