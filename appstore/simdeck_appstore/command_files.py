"""The files that a described program names in its project: they must be there and fit, and go into the release."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simdeck_appstore.commands import TEXT_BYTES, Command
from simdeck_appstore.commands import described as described_command


@dataclass(frozen=True)
class Fault:
    """What is wrong with a command: the key within it, a clause, and what to write instead."""

    where: tuple[str, ...]
    reason: str
    hint: str


def fault_of(project: Path, package: str, command: Command) -> Fault | None:
    """Return what is wrong with the files and the function that a command names, or None.

    Parameters
    ----------
    project
        The project's folder.
    package
        Its import package: files and functions that are not in it would not be in the wheel.
    """
    for name, file in command.files.items():
        if file.file is None:
            continue
        where = ("files", name, "file")
        path = (project / file.file).resolve()
        if not path.is_relative_to(project.resolve() / package):
            return Fault(where, f"{file.file} is not in {package}", f"put it into the folder {package}")
        text = _text(path)
        if text is None:
            return Fault(where, f"there is no text file {file.file}", "name a text file (UTF-8) of at most 256 KiB")
        if not file.plain:
            for reason in command.faults_of_file(name, text):
                return Fault(("files", name), f"{command.name}: {reason}", "correct the file")
    return _fault_of_parser(project, package, command)


def _fault_of_parser(project: Path, package: str, command: Command) -> Fault | None:
    if command.parser is None:
        return None
    module, _, function = command.parser.partition(":")
    text = _text(project.joinpath(*module.split(".")).with_suffix(".py"))
    if text is None:
        text = _text(project.joinpath(*module.split("."), "__init__.py"))
    if text is None or module.partition(".")[0] != package:
        return Fault(("parser",), f"{module} is not a module of {package}", f"name one, such as {package}.reading:read")
    try:
        known = {node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    except SyntaxError as error:
        return Fault(("parser",), f"{module} cannot be read (line {error.lineno})", "mend the module")
    if function not in known:
        return Fault(("parser",), f"{module} has no function {function}", f"write def {function}(folder, inputs) there")
    return None


def described(project: Path, commands: Iterable[Command]) -> list[dict[str, Any]]:
    """Return commands as a release says them, with the texts of the project's files."""
    found = []
    for command in commands:
        paths = {str(file.file) for file in command.files.values() if file.file is not None}
        found.append(described_command(command, {path: _text(project / path) or "" for path in paths}))
    return found


def _text(path: Path) -> str | None:
    try:
        content = path.read_bytes()
        return content.decode() if len(content) <= TEXT_BYTES else None
    except (OSError, UnicodeDecodeError):
        return None
