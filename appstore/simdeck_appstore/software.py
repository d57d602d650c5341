"""PyCOMPSs descriptions of programs (the JSON of ``@software``) as commands of an app's manifest.

Read are the types ``binary`` and ``mpi`` in both of the documented forms (``type`` and ``properties`` at the top, or an
``execution`` table), with ``parameters``, ``constraints``, ``prolog`` and ``epilog``. What has no counterpart here is
refused by its name: a description that is half understood would run something else.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from simdeck_common.placeholders import NAME
from simdeck_common.problems import Problem

from simdeck_appstore.commands import Command

_MARK = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_DIRECTIONS = ("IN", "OUT", "INOUT", "FILE_IN", "FILE_OUT", "FILE_INOUT", "STDOUT", "FILE_OUT_STDOUT", "STDERR")
_EXECUTION = frozenset(
    {"type", "binary", "params", "args", "runner", "processes", "processes_per_node", "fail_by_exit_value"}
)
_TOP = frozenset({"execution", "type", "properties", "parameters", "constraints", "prolog", "epilog", "container"})
_CONSTRAINTS = frozenset({"computing_units", "memory_size"})
_OTHER_TYPES = {
    "task": "a Python function; write it as a step of a workflow",
    "workflow": "a workflow; describe its programs one by one",
    "mpmd_mpi": "several programs in one MPI run",
    "multinode": "a task over several nodes",
    "http": "a web service",
    "compss": "a nested COMPSs application",
    "container": "a container's own task",
}


def read_software(path: Path, name: str = "") -> Command:
    """Read a PyCOMPSs description as a command.

    Parameters
    ----------
    name
        What the command is called; else the file's name.

    Raises
    ------
    Problem
        ``software-unreadable``: it is none; ``software-unsupported``: something in it has no counterpart.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Problem("software-unreadable", file=path.name, reason=str(error).splitlines()[0]) from None
    if not isinstance(data, dict):
        raise Problem("software-unreadable", file=path.name, reason="it holds no table")
    return _Reader(path.name, data).command(name or path.stem)


class _Reader:
    """One reading of one description."""

    def __init__(self, file: str, data: dict[str, Any]) -> None:
        self.file = file
        self.data = data
        self.execution: dict[str, Any] = data.get("execution") or {
            **(data.get("properties") or {}),
            **({"type": data["type"]} if "type" in data else {}),
        }
        self.directions = self._directions()

    def refuse(self, what: str, why: str) -> Problem:
        return Problem("software-unsupported", field=what, file=self.file, what=what, why=why)

    def command(self, name: str) -> Command:
        self._refuse_unknown()
        kind = str(self.execution.get("type", "")).lower()
        if kind not in ("binary", "mpi"):
            raise self.refuse("type", f"{kind or 'nothing'} is {_OTHER_TYPES.get(kind, 'not a kind of program')}")
        program, words = self._program(kind)
        outputs = self._outputs()
        # Where a parameter is written, its place is taken by the name of the file that the program shall write.
        arguments = [self._argument(word, outputs) for word in words]
        beside = {
            key: [[self._argument(word, outputs) for word in self._beside(part)]]
            for key, part in (("before", "prolog"), ("after", "epilog"))
            if self.data.get(part)
        }
        named = [*arguments, *(word for lists in beside.values() for words in lists for word in words)]
        described = {
            "name": _name(name),
            "command": program,
            "arguments": arguments,
            **beside,
            "inputs": self._inputs(named),
            "outputs": {key: value["output"] for key, value in outputs.items()},
            "resources": self._resources(),
        }
        try:
            return Command.model_validate(described)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the description"
            raise self.refuse(where, first["msg"].removeprefix("Value error, ")) from None

    # --- what is in it ------------------------------------------------------------------------------------------------

    def _refuse_unknown(self) -> None:
        for key in self.data:
            if key not in _TOP:
                raise self.refuse(key, "it is not known here")
        if self.data.get("container"):
            why = "the site says where a program runs: ask for a code with a container ([[codes]] in the site file)"
            raise self.refuse("container", why)
        if self.execution.get("working_dir"):
            raise self.refuse("working_dir", "each run has a working directory of its own")
        for key in self.execution:
            if key not in _EXECUTION:
                raise self.refuse(key, "it is not known here")
        if self.execution.get("fail_by_exit_value") is False:
            raise self.refuse("fail_by_exit_value", "list the exit statuses of a good end in success")
        for key in self.data.get("constraints") or {}:
            if key not in _CONSTRAINTS:
                raise self.refuse(f"constraints.{key}", "only computing_units and memory_size can be asked for")

    def _program(self, kind: str) -> tuple[str, list[str]]:
        """The program and the words behind it."""
        binary = str(self.execution.get("binary", ""))
        if not binary:
            raise self.refuse("binary", "it is missing, and the program with it")
        if binary.startswith(("~", "$")) or ("/" in binary and not binary.startswith("/")):
            raise self.refuse("binary", f"{binary} must be a name on PATH or a whole path")
        words = self._split(self.execution, "execution")
        if kind == "binary":
            return binary, words
        runner = str(self.execution.get("runner", ""))
        if runner not in ("mpirun", "mpiexec", "srun"):
            raise self.refuse("runner", f"{runner or 'nothing'} is not one of mpirun, mpiexec and srun")
        count = self._number("processes", 1)
        if self.execution.get("processes_per_node") and self._number("processes_per_node", count) != count:
            raise self.refuse("processes_per_node", "a command runs on one node")
        return runner, ["-n", str(count), binary, *words]

    def _beside(self, part: str) -> list[str]:
        """The argument list of ``prolog`` or ``epilog``."""
        given = self.data[part]
        for key in given if isinstance(given, dict) else [part]:
            if key not in ("binary", "params", "args"):
                raise self.refuse(f"{part}.{key}", "only binary and its params can be read here")
        if not given.get("binary"):
            raise self.refuse(f"{part}.binary", "it is missing, and the program with it")
        return [str(given["binary"]), *self._split(given, part)]

    def _split(self, given: dict[str, Any], part: str) -> list[str]:
        words = given.get("params", given.get("args", ""))
        try:
            return [str(word) for word in words] if isinstance(words, list) else shlex.split(str(words))
        except ValueError as error:
            raise self.refuse(f"{part}.params", f"it cannot be split into words ({error})") from None

    def _number(self, key: str, default: int) -> int:
        given = self.execution.get(key, default)
        if isinstance(given, bool) or not str(given).isdigit() or int(given) < 1:
            raise self.refuse(key, f"{given} is no whole number above 0")
        return int(given)

    def _directions(self) -> dict[str, str]:
        found = {}
        for name, given in (self.data.get("parameters") or {}).items():
            said = given.get("type", given.get("direction", "IN")) if isinstance(given, dict) else given
            direction = str(said).upper().removeprefix("COMPSS.")
            if name in ("returns", "return"):
                continue
            if direction not in _DIRECTIONS:
                raise self.refuse(f"parameters.{name}", f"{said} is not one of {', '.join(_DIRECTIONS)}")
            found[str(name)] = direction
        return found

    def _outputs(self) -> dict[str, dict[str, Any]]:
        """By name: the output, and the word that stands for it among the arguments."""
        found: dict[str, dict[str, Any]] = {}
        for name, direction in self.directions.items():
            plain = _name(name)
            if direction in ("STDOUT", "FILE_OUT_STDOUT"):
                found[plain] = {"output": {"file": "stdout"}, "word": ""}
            elif direction == "STDERR":
                found[plain] = {"output": {"file": "stderr"}, "word": ""}
            elif "INOUT" in direction:
                raise self.refuse(f"parameters.{name}", "a file that is changed in place would lose what went in")
            elif "OUT" in direction:
                found[plain] = {"output": {"file": f"{plain}.out"}, "word": f"{plain}.out"}
        return found

    def _argument(self, word: str, outputs: dict[str, dict[str, Any]]) -> str:
        def put(found: re.Match[str]) -> str:
            name = _name(found[1])
            return str(outputs[name]["word"]) if name in outputs else f"{{{name}}}"

        return _MARK.sub(put, word)

    def _inputs(self, arguments: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, direction in self.directions.items():
            if direction == "FILE_IN":
                found[_name(name)] = {"type": "file"}
            elif direction == "IN":
                found[_name(name)] = {"type": "str"}
        for word in arguments:
            for name in re.findall(rf"\{{({NAME})\}}", word):
                found.setdefault(name, {"type": "str"})
        return found

    def _resources(self) -> dict[str, Any]:
        given = self.data.get("constraints") or {}
        units = given.get("computing_units", 1)
        if isinstance(units, bool) or not str(units).isdigit() or int(units) < 1:
            raise self.refuse("constraints.computing_units", f"{units} is no whole number above 0")
        processes = self._number("processes", 1) if str(self.execution.get("type", "")).lower() == "mpi" else 1
        found: dict[str, Any] = {"cores": int(units) * processes}
        if "memory_size" in given:
            found["memory"] = f"{_whole(given['memory_size'])} GiB"
        return found


def _whole(given: Any) -> int:
    try:
        return max(1, round(float(given)))
    except (TypeError, ValueError):
        return 1


def _name(text: str) -> str:
    """A name of ours for a name of theirs."""
    plain = re.sub(r"[^a-z0-9_]+", "_", re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", text).lower()).strip("_")
    return (plain if plain[:1].isalpha() else f"p_{plain}")[:40]


def as_toml(command: Command) -> str:
    """Return a command as it is written into ``pyproject.toml``."""
    data = command.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    tables = {key: data.pop(key) for key in ("inputs", "files", "outputs") if data.get(key)}
    lines = ["[[tool.simdeck.commands]]", *(f"{key} = {_value(value)}" for key, value in data.items())]
    for key, table in tables.items():
        lines += ["", f"[tool.simdeck.commands.{key}]"]
        lines += [f"{_key(name)} = {_value(about)}" for name, about in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    # TOML's basic strings, numbers and truths are written as JSON writes them.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def add_to_project(folder: Path, command: Command) -> Path:
    """Append a command to the manifest of the project in ``folder`` and return the file that was changed.

    Raises
    ------
    Problem
        ``manifest-invalid``: there is no manifest; ``command-taken``: it has a command of that name.
    """
    import tomllib

    file = folder / "pyproject.toml"
    try:
        text = file.read_text("utf-8")
        table = tomllib.loads(text)["tool"]["simdeck"]
        taken = {str(known.get("name")) for known in table.get("commands", [])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise Problem(
            "manifest-invalid",
            file="pyproject.toml",
            line=1,
            reason="there is no [tool.simdeck] table to add to",
            hint="name the folder of an app project; `simdeck app new --kind command` makes one",
        ) from None
    if command.name in taken:
        raise Problem("command-taken", field="name", name=command.name)
    file.write_text(f"{text.rstrip()}\n\n{as_toml(command)}", "utf-8")
    return file
