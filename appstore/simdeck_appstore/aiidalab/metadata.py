"""What an AiiDAlab app says of itself, read as AiiDAlab's own parser reads it.

Looked at in this order, key by key: ``[aiidalab]`` of ``setup.cfg`` (``.aiidalab/setup.cfg`` before ``setup.cfg``),
``[tool.aiidalab]`` of ``pyproject.toml``, ``[metadata]`` of that ``setup.cfg``, ``[project]`` of ``pyproject.toml``.
The two places in ``pyproject.toml`` are ours: AiiDAlab's parser knows none.
"""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Mapping
from configparser import ConfigParser, InterpolationError
from configparser import Error as ConfigError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STATES = ("registered", "development", "stable")
_TROVE = {
    "Development Status :: 1 - Planning": "registered",
    "Development Status :: 5 - Production/Stable": "stable",
    "Development Status :: 2 - Pre-Alpha": "development",
    "Development Status :: 3 - Alpha": "development",
    "Development Status :: 4 - Beta": "development",
}
_STANDARD = ("authors", "journal", "year", "doi")
_STANDARD_MORE = ("title", "volume", "issue", "pages")


@dataclass(frozen=True)
class AppMetadata:
    """The fields of AiiDAlab's metadata; empty where the app says nothing. ``version`` stands as it is written."""

    title: str = ""
    description: str = ""
    authors: str = ""
    external_url: str = ""
    documentation_url: str = ""
    logo: str = ""
    state: str = "registered"
    categories: list[str] = field(default_factory=list)
    version: str = ""
    citations: list[dict[str, Any]] = field(default_factory=list)
    license: str = ""
    keywords: list[str] = field(default_factory=list)
    requires_python: str = ""

    def published(self) -> dict[str, Any]:
        """Return it in the form of ``api/v1``; an address or name that is not known is left out."""
        required: dict[str, Any] = {"title": self.title, "description": self.description, "state": self.state}
        known = {
            name: getattr(self, name)
            for name in ("version", "authors", "external_url", "documentation_url", "logo")
            if getattr(self, name)
        }
        return {**required, **known, "categories": self.categories, "citations": self.citations}


class AppFiles:
    """``setup.cfg`` and ``pyproject.toml`` of an app's tree. Reading them never fails for what they do not hold."""

    def __init__(self, root: Path) -> None:
        """Read both files below ``root``.

        Raises
        ------
        ValueError
            One of them cannot be parsed; the words name the file.
        """
        self.root = root
        own = root / ".aiidalab" / "setup.cfg"
        self.described = _config(own if own.is_file() else root / "setup.cfg")
        self.setup = _config(root / "setup.cfg")
        self.pyproject = _toml(root / "pyproject.toml")

    @property
    def project(self) -> dict[str, Any]:
        return _table(self.pyproject, "project")

    def option(self, name: str) -> str:
        """Return an option of ``[options]`` in the root's ``setup.cfg``, which is what its packaging reads."""
        return _get(self.setup, "options", name)


def read_metadata(files: AppFiles) -> AppMetadata:
    """Return what the app says of itself."""
    own = {**_table(files.pyproject, "tool", "aiidalab"), **_section(files.described, "aiidalab")}
    meta = _section(files.described, "metadata")
    project = files.project
    urls = _addresses(meta.get("project_urls", ""))
    project_urls = {str(key).lower(): str(value) for key, value in _table(project, "urls").items()}
    classifiers = meta.get("classifiers") or "\n".join(str(line) for line in project.get("classifiers") or [])

    def text(name: str, *others: object) -> str:
        return next((str(value).strip() for value in (own.get(name), *others) if value), "")

    return AppMetadata(
        title=text("title", meta.get("name"), project.get("name")),
        description=text("description", meta.get("description"), project.get("description")),
        authors=text("authors", meta.get("author"), _people(project.get("authors"))),
        external_url=text(
            "external_url", meta.get("url"), project_urls.get("homepage"), project_urls.get("repository")
        ),
        documentation_url=text("documentation_url", urls.get("documentation"), project_urls.get("documentation")),
        logo=text("logo", urls.get("logo"), project_urls.get("logo")),
        state=_state(text("state"), classifiers),
        categories=_lines(own.get("categories", "")),
        version=text("version", meta.get("version"), project.get("version")),
        citations=_citations(own.get("citations") or meta.get("citations")),
        license=text("license", meta.get("license"), _license(project.get("license"))),
        keywords=[word.strip() for word in meta.get("keywords", "").replace("\n", ",").split(",") if word.strip()]
        or [str(word) for word in project.get("keywords") or []],
        requires_python=files.option("python_requires") or str(project.get("requires-python") or ""),
    )


def written_version(root: Path, version: str) -> str:
    """Return the version that ``attr: package.__version__`` or ``file: VERSION`` leads to, else an empty text.

    Nothing of the app is run: only an assignment of a plain text is found.
    """
    kind, _, where = (part.strip() for part in version.partition(":"))
    if kind == "file":
        path = (root / where).resolve()
        return path.read_text("utf-8", "replace").strip() if _inside(path, root) else ""
    module, _, name = where.rpartition(".")
    if kind != "attr" or not module:
        return "" if ":" in version else version
    inside = Path(*module.split("."))
    for base in (root, root / "src"):
        for path in (base / inside / "__init__.py", base / inside.with_suffix(".py")):
            found = _assigned(path, name) if _inside(path.resolve(), root) else ""
            if found:
                return found
    return ""


def _inside(path: Path, root: Path) -> bool:
    return path.is_file() and path.is_relative_to(root.resolve())


def _assigned(path: Path, name: str) -> str:
    try:
        module = ast.parse(path.read_text("utf-8"))
    except (OSError, ValueError, SyntaxError):
        return ""
    for node in module.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        named = any(isinstance(target, ast.Name) and target.id == name for target in targets)
        value = getattr(node, "value", None)
        if named and isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return ""


def _config(path: Path) -> ConfigParser:
    config = ConfigParser()
    try:
        config.read_string(path.read_text("utf-8"))
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError, ConfigError) as error:
        raise ValueError(f"its {path.name} cannot be read ({' '.join(str(error).split())})") from None
    return config


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"its {path.name} cannot be read ({error})") from None


def _get(config: ConfigParser, section: str, name: str) -> str:
    try:
        return config.get(section, name, fallback="")
    except InterpolationError:
        # A lone % in a description is meant as it stands.
        return config.get(section, name, raw=True, fallback="")


def _section(config: ConfigParser, section: str) -> dict[str, str]:
    if not config.has_section(section):
        return {}
    return {name: _get(config, section, name) for name in config.options(section)}


def _table(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    here: Any = data
    for name in names:
        here = here.get(name) if isinstance(here, Mapping) else None
    return dict(here) if isinstance(here, Mapping) else {}


def _addresses(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _lines(value: object) -> list[str]:
    lines = value if isinstance(value, list) else str(value).splitlines()
    return [str(line).strip() for line in lines if str(line).strip()]


def _people(authors: object) -> str:
    if not isinstance(authors, list):
        return ""
    return ", ".join(str(one.get("name") or one.get("email")) for one in authors if isinstance(one, Mapping) and one)


def _license(value: object) -> str:
    return str(value.get("text", "")) if isinstance(value, Mapping) else str(value or "")


def _state(given: str, classifiers: str) -> str:
    if given in STATES:
        return given
    return next((state for trove, state in _TROVE.items() if trove in classifiers), "registered")


def _citations(value: object) -> list[dict[str, Any]]:
    """Return the citations that have one of the two forms of AiiDAlab's schema; others are dropped."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return []
    if not isinstance(found, list):
        return []
    return [clean for item in found if isinstance(item, dict) for clean in [_citation(item)] if clean]


def _citation(item: dict[str, Any]) -> dict[str, Any] | None:
    if item.get("text"):
        return {name: str(item[name]) for name in ("text", "link") if item.get(name)}
    if all(item.get(name) for name in _STANDARD):
        people = item["authors"]
        authors = [str(one) for one in people] if isinstance(people, list) else [str(people)]
        rest = {name: str(item[name]) for name in (*_STANDARD[1:], *_STANDARD_MORE) if item.get(name)}
        return {"authors": authors, **rest}
    return None
