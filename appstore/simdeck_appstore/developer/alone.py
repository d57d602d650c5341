"""A workflow by itself, as an app project without a page: of one Python file, or of a project that says no entry.

A file says what it needs in its header (PEP 723)::

    # /// script
    # dependencies = ["ase~=3.29"]
    # [tool.simdeck]
    # version = "1.0.0"
    # ///
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simdeck_common.problems import Problem

from simdeck_appstore.developer.lock import SOURCE
from simdeck_appstore.hashing import IGNORED
from simdeck_appstore.manifest import LOCK_NAME

HEADER = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
NEEDED = "pydantic~=2.0"
"""What a step's job needs of its environment beside what the workflow itself imports."""
POINTS = "simdeck.workflows"
FIRST = "0.1.0"


def project_of(source: Path, target: Path, *, groups: Sequence[str] = (), version: str = "") -> Path:
    """Write the project of a workflow alone into the new folder ``target`` and return it; its lock may be missing.

    Raises
    ------
    Problem
        ``workflow-file`` with the reason: no Python, no workflow in it, a header or a project that cannot be used.
    """
    if source.is_file():
        return _of_file(source, target, groups, version)
    if not (source / "pyproject.toml").is_file():
        raise _refusal(source, "it is neither a Python file nor a folder with a pyproject.toml")
    data = _toml(source, (source / "pyproject.toml").read_text("utf-8"))
    table = data.setdefault("tool", {}).setdefault("simdeck", {})
    if table.get("entry", {}).get("kind", "workflow") != "workflow":
        raise _refusal(
            source, "it has a page, so it is an app: say groups = […] in its manifest and use simdeck app publish"
        )
    points = data.get("project", {}).get("entry-points", {})
    names = [*points.get(POINTS, {}), *points.get("aiida.workflows", {})]
    table["entry"] = {"kind": "workflow"}
    table.setdefault("title", _words(str(data.get("project", {}).get("name", source.resolve().name))))
    table.setdefault("summary", data.get("project", {}).get("description") or table["title"])
    if not table.get("commands"):
        table.setdefault("workflows", names)
    if groups:
        table["groups"] = list(groups)
    if version:
        data.setdefault("project", {})["version"] = version
    shutil.copytree(source, target, symlinks=True, ignore=lambda _, found: IGNORED.intersection(found))
    (target / "pyproject.toml").write_text(toml_text(data), "utf-8")
    if not (target / LOCK_NAME).is_file() and not (target / SOURCE).is_file():
        _write_needs(target, data.get("project", {}).get("dependencies", []))
    return target


def _of_file(source: Path, target: Path, groups: Sequence[str], version: str) -> Path:
    module = source.stem
    if source.suffix != ".py" or not module.isidentifier():
        raise _refusal(source, "its name must be that of a Python module, such as equation_of_state.py")
    text = source.read_text("utf-8")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise _refusal(source, f"line {error.lineno}: {error.msg}") from None
    functions = [one for one in tree.body if isinstance(one, ast.FunctionDef) and _is_workflow(one)]
    if not functions:
        raise _refusal(source, "no function in it has the decorator @workflow")
    header = _header(source, text)
    said = dict(header.get("tool", {}).get("simdeck", {}))
    number = version or said.pop("version", FIRST)
    said.pop("version", None)
    app = re.sub(r"[^a-z0-9]+", "-", module.lower()).strip("-")
    names = {f"{app}.{one.name}": f"{module}:{one.name}" for one in functions}
    first = functions[0]
    table = {
        "title": _title(first),
        "summary": (ast.get_docstring(first) or _title(first)).split("\n\n")[0].replace("\n", " ")[:200],
        **said,
        "entry": {"kind": "workflow"},
        "workflows": list(names),
    }
    if groups:
        table["groups"] = list(groups)
    data = {
        "build-system": {"requires": ["hatchling"], "build-backend": "hatchling.build"},
        "project": {
            "name": f"simdeck-app-{app}",
            "version": str(number),
            "description": table["summary"],
            "requires-python": header.get("requires-python", ">=3.11"),
            "entry-points": {POINTS: names},
        },
        "tool": {"hatch": {"build": {"targets": {"wheel": {"packages": [module]}}}}, "simdeck": table},
    }
    (target / module).mkdir(parents=True)
    (target / module / "__init__.py").write_text(text, "utf-8")
    (target / "pyproject.toml").write_text(toml_text(data), "utf-8")
    _write_needs(target, header.get("dependencies", []))
    return target


def toml_text(data: dict[str, Any]) -> str:
    """Return ``data`` (texts, numbers, lists, tables) as TOML."""
    lines = []
    for name, value in data.items():
        if isinstance(value, dict):
            lines.append(f"\n[{_key(name)}]")
            lines += [f"{_key(key)} = {_toml_value(one)}" for key, one in value.items()]
        else:
            lines.insert(0, f"{_key(name)} = {_toml_value(value)}")
    return "\n".join(lines).lstrip() + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_toml_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(one) for one in value) + "]"
    # What JSON writes of texts, numbers and truth values is TOML too; a date is its text.
    return json.dumps(value if isinstance(value, str | int | float | bool) else str(value), ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _header(source: Path, text: str) -> dict[str, Any]:
    found = HEADER.search(text)
    if found is None:
        return {}
    return _toml(source, "".join(re.sub(r"^# ?", "", line) for line in found["content"].splitlines(keepends=True)))


def _toml(source: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _refusal(source, f"it is not valid TOML ({error})") from None


def _write_needs(target: Path, dependencies: list[str]) -> None:
    (target / SOURCE).write_text("\n".join([*dependencies, NEEDED]) + "\n", "utf-8")


def _is_workflow(function: ast.FunctionDef) -> bool:
    return any(_name(one) == "workflow" for one in function.decorator_list)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _title(function: ast.FunctionDef) -> str:
    for one in function.decorator_list:
        if isinstance(one, ast.Call) and _name(one) == "workflow":
            for keyword in one.keywords:
                if keyword.arg == "title" and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)[:60]
    return _words(function.name)


def _words(name: str) -> str:
    text = re.sub(r"[-_.]+", " ", name.removeprefix("simdeck-app-")).strip()
    return (text[:1].upper() + text[1:])[:60]


def _refusal(source: Path, reason: str) -> Problem:
    return Problem("workflow-file", file=source.name, reason=reason)
