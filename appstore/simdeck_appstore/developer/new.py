"""A new app project from a template: it runs at once, and shows where one's own computation goes."""

from __future__ import annotations

import json
import keyword
import re
import string
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from simdeck_common.problems import Problem

from simdeck_appstore.reference import pyproject_schema

NAME = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")
RENAMED = {"gitignore": ".gitignore", "github": ".github"}
SCHEMA = ".simdeck-schema.json"
"""For editors: `#:schema` at the top of pyproject.toml names it, so keys are completed and checked while typing."""


def kinds() -> list[str]:
    """Return the names of the templates."""
    return sorted(entry.name for entry in _templates().iterdir() if entry.is_dir() and not entry.name.startswith("_"))


def create(folder: Path, name: str, kind: str = "notebook", title: str = "") -> Path:
    """Write a new project called ``name`` into ``folder`` (made; empty where it exists) and return it.

    Raises
    ------
    Problem
        ``app-name``: not a name an app can have; ``app-kind``; ``folder-taken``: nothing is overwritten.
    """
    package = f"simdeck_{name.replace('-', '_')}"
    if not NAME.match(name) or len(name) > 40 or keyword.iskeyword(name):
        raise Problem("app-name", field="name", name=name)
    if kind not in kinds():
        raise Problem("app-kind", field="kind", kind=kind, known=", ".join(kinds()))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Problem("folder-taken", folder=folder)
    words = {"name": name, "package": package, "title": (title.strip() or name.replace("-", " ").capitalize())[:60]}
    folder.mkdir(parents=True, exist_ok=True)
    _write(_templates() / kind, folder, words)
    if (folder / "pyproject.toml").is_file():
        (folder / SCHEMA).write_text(json.dumps(pyproject_schema(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return folder


def _templates() -> Traversable:
    return resources.files("simdeck_appstore.developer") / "templates"


def _write(source: Traversable, target: Path, words: dict[str, str]) -> None:
    for entry in source.iterdir():
        if entry.name == "__pycache__":
            continue
        # Files that tools would take for real ones (Python, TOML, notebooks) carry a suffix here.
        plain = entry.name.removesuffix(".tpl")
        name = words["package"] if plain == "PACKAGE" else RENAMED.get(plain, plain)
        if entry.is_dir():
            (target / name).mkdir()
            _write(entry, target / name, words)
        else:
            # Only our three words are replaced: any other $ belongs to the file.
            text = string.Template(entry.read_text("utf-8")).safe_substitute(words)
            (target / name).write_text(text, "utf-8")
