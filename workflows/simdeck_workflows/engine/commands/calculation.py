"""One job of a described program as an AiiDA calculation, and the parser that hands out its results.

The description is an input of the calculation: what was run stands in the provenance whole, and an identical
calculation is one with the same description too.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.engine import CalcJob, ExitCode
from aiida.parsers import Parser

from simdeck_workflows.engine.commands import plan, reading

KINDS: dict[str, type] = {
    "float": orm.Float,
    "int": orm.Int,
    "str": orm.Str,
    "bool": orm.Bool,
    "choice": orm.Str,
    "file": orm.SinglefileData,
    "files": orm.FolderData,
    "structure": orm.StructureData,
}
RESULTS: dict[str, type] = {
    "float": orm.Float,
    "int": orm.Int,
    "str": orm.Str,
    "bool": orm.Bool,
    "list": orm.List,
    "dict": orm.Dict,
    "file": orm.SinglefileData,
}
_TAIL = 20


class CommandCalculation(CalcJob):  # type: ignore[misc]
    """A job of one described program. An app's commands are subclasses with a ``COMMAND`` (the description)."""

    COMMAND: ClassVar[Mapping[str, Any]] = {}
    PARSER: ClassVar[str] = ""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare the description's inputs and outputs."""
        super().define(spec)
        spec.input("command", valid_type=orm.Dict, help="What is run, as the app describes it.")
        add_inputs(spec, cls.COMMAND, defaults=False)
        add_outputs(spec, cls.COMMAND)
        options = spec.inputs["metadata"]["options"]
        options["parser_name"].default = cls.PARSER
        options["resources"].default = lambda: {"num_machines": 1, "num_mpiprocs_per_machine": 1}
        options["withmpi"].default = False
        spec.exit_code(310, "ERROR_PROGRAM_FAILED", message="{message}")
        spec.exit_code(320, "ERROR_RESULT_MISSING", message="{message}")
        spec.exit_code(
            350, "ERROR_INTERRUPTED", message="The program was interrupted before it ended.", invalidates_cache=True
        )

    def prepare_for_submission(self, folder: Any) -> CalcInfo:
        """Write the input files and say what is run and what is brought back."""
        description = self.inputs.command.get_dict()
        values = self._values(description, folder)
        made = plan.make(description, values, self._resources())
        for name, text in made.files.items():
            _write(folder, name, text.encode())
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        quoted = bool(self.inputs.code.use_double_quotes)
        code.cmdline_params = [plan.for_double_quotes(word) if quoted else word for word in made.arguments]
        code.stdin_name = made.stdin
        code.stdout_name = plan.STDOUT
        code.stderr_name = plan.STDERR
        info = CalcInfo()
        info.codes_info = [code]
        info.prepend_text, info.append_text = made.prepend_text(), made.append_text()
        info.retrieve_list = [
            (source, ".", None if plan.is_pattern(source) else source.count("/") + 1)
            for source in plan.sources(description)
        ]
        return info

    def _values(self, description: Mapping[str, Any], folder: Any) -> dict[str, Any]:
        """The inputs as plain values; those that are files are written, and stand by their names."""
        values: dict[str, Any] = {}
        for name, given in (description.get("inputs") or {}).items():
            node = self.inputs.get(name)
            if node is None:
                continue
            if given["type"] == "structure":
                values[name] = plan.file_name(name, given, "")
                _write(folder, values[name], _structure(node, given.get("format", "extxyz")))
            elif given["type"] == "file":
                values[name] = plan.file_name(name, given, node.filename)
                _write(folder, values[name], node.get_content(mode="rb"))
            elif given["type"] == "files":
                originals = sorted(node.base.repository.list_object_names())
                values[name] = plan.list_names(name, given, [one.partition("-")[2] for one in originals])
                for original, target in zip(originals, values[name], strict=True):
                    _write(folder, target, node.base.repository.get_object_content(original, mode="rb"))
            else:
                values[name] = node.value
        return values

    def _resources(self) -> dict[str, int]:
        options = self.node.get_options()
        resources = options.get("resources") or {}
        found = {"cores": int(resources.get("num_cores_per_mpiproc") or resources.get("num_mpiprocs_per_machine") or 1)}
        if options.get("max_memory_kb"):
            found["memory_mb"] = int(options["max_memory_kb"]) // 1024
        if options.get("max_wallclock_seconds"):
            found["walltime_minutes"] = int(options["max_wallclock_seconds"]) // 60
        return found


class CommandParser(Parser):  # type: ignore[misc]
    """Hands out what a description calls its outputs; a program that failed is told in words."""

    def parse(self, **_: Any) -> ExitCode | None:
        """Read what was brought back."""
        description = self.node.inputs.command.get_dict()
        status, _space, beside = self._text(plan.STATUS).strip().partition(" ")
        self._tell(plan.STREAMS)
        missing = self._hand_out(description)
        if not status.isdigit():
            return self.exit_codes.ERROR_INTERRUPTED
        if beside or int(status) not in (description.get("success") or [0]):
            said = self._text(plan.STDERR) if not beside else str(self.node.get_scheduler_stderr() or "")
            lines = [line.strip() for line in said.splitlines() if line.strip()]
            computer = "this machine" if self.node.computer.label == "localhost" else self.node.computer.label
            words = plan.failure(description, int(status), lines[-1] if lines else "", computer, beside)
            return self.exit_codes.ERROR_PROGRAM_FAILED.format(message=words)
        if missing:
            return self.exit_codes.ERROR_RESULT_MISSING.format(message=missing[0])
        return None

    def _tell(self, streams: Mapping[str, str]) -> None:
        """Put the end of what the program said into the run's log."""
        for title, name in streams.items():
            lines = self._text(name).splitlines()
            if lines:
                said = "\n".join(lines[-_TAIL:])
                whole = "" if len(lines) <= _TAIL else f", the last {_TAIL} of {len(lines)} lines"
                self.logger.report(f"{title} of the program{whole}:\n{said}")

    def _hand_out(self, description: Mapping[str, Any]) -> list[str]:
        """Give out the outputs that are there; return a sentence for each that should be and is not."""
        missing = []
        outputs = description.get("outputs") or {}
        hooked = {name for name, output in outputs.items() if output.get("parser")}
        for name, output in outputs.items():
            if name in hooked:
                continue
            try:
                self.out(name, self._result(output))
            except reading.UnreadableError as error:
                if not output.get("optional"):
                    missing.append(f"The program ended, but its result {_title(name, output)} is not there: {error}.")
        if hooked:
            missing += self._ask_parser(description, {name: outputs[name] for name in hooked})
        return missing

    def _result(self, output: Mapping[str, Any]) -> Any:
        if output.get("file"):
            path = plan.STREAMS.get(output["file"], output["file"])
            return _single(self._bytes(path), Path(path).name)
        if output.get("files"):
            return self._several(output["files"])
        path = plan.STREAMS.get(output["from"], output["from"])
        text = self._bytes(path)[-reading.LARGEST_TEXT :].decode("utf-8", "replace")
        try:
            return _as_node(reading.value(output, text))
        except reading.UnreadableError as error:
            raise reading.UnreadableError(f"{error} in {path}") from None

    def _several(self, pattern: str) -> Any:
        found = [path for path in self._paths() if reading.matches(pattern, path)]
        if not found:
            raise reading.UnreadableError(f"there is no file {pattern}")
        node = orm.FolderData()
        for path in found:
            node.base.repository.put_object_from_bytes(self._bytes(path), path)
        return node

    def _ask_parser(self, description: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
        with tempfile.TemporaryDirectory(prefix="simdeck-read-") as place:
            folder = Path(place)
            self.retrieved.base.repository.copy_tree(folder)
            try:
                found = reading.call(description["parser"], folder, _plain(self.node, description))
            except reading.UnreadableError as error:
                return [f"The program ended, but its results cannot be read: {error}."]
            missing = []
            for name, output in wanted.items():
                try:
                    self.out(name, _given(found.get(name), output, folder))
                except reading.UnreadableError as error:
                    if not output.get("optional"):
                        missing.append(f"The result {_title(name, output)} is not there: {error}.")
            return missing

    def _paths(self) -> list[str]:
        return sorted(
            str(folder / name) for folder, _, names in self.retrieved.base.repository.walk() for name in names
        )

    def _bytes(self, path: str) -> bytes:
        try:
            return bytes(self.retrieved.base.repository.get_object_content(path, mode="rb"))
        except (FileNotFoundError, IsADirectoryError):
            raise reading.UnreadableError(f"there is no file {path}") from None

    def _text(self, path: str) -> str:
        try:
            return self._bytes(path)[-reading.LARGEST_TEXT :].decode("utf-8", "replace")
        except reading.UnreadableError:
            return ""


def add_inputs(spec: Any, description: Mapping[str, Any], *, defaults: bool) -> None:
    """Declare the ports of a description's inputs."""
    for name, given in (description.get("inputs") or {}).items():
        kind = KINDS[given["type"]]
        more: dict[str, Any] = {"required": not given.get("optional") and given.get("default") is None}
        if defaults and given.get("default") is not None:
            more["default"] = _maker(kind, given["default"])
        if issubclass(kind, orm.Float | orm.Int | orm.Str | orm.Bool):
            more |= {"serializer": orm.to_aiida_type, "validator": _validator(name, given)}
        spec.input(name, valid_type=kind, help=given.get("help") or None, **more)


def add_outputs(spec: Any, description: Mapping[str, Any]) -> None:
    """Declare the ports of a description's outputs; none is required, since a failure hands out what there is."""
    for name, output in (description.get("outputs") or {}).items():
        kind = orm.SinglefileData if output.get("file") else orm.FolderData if output.get("files") else None
        kind = kind or RESULTS[output.get("type", "float")]
        spec.output(name, valid_type=kind, required=False, help=output.get("help") or None)


def _maker(kind: type, value: Any) -> Any:
    # A default must be made anew for each process: a node can be stored but once.
    return lambda: kind(value)


def _validator(name: str, given: Mapping[str, Any]) -> Any:
    def validate(node: Any, _: Any) -> str | None:
        fault = plan.check(given, node.value) if node is not None else None
        return f"{name}: {fault}" if fault else None

    return validate


def _write(folder: Any, name: str, content: bytes) -> None:
    *above, last = name.split("/")
    place = folder.get_subfolder("/".join(above), create=True) if above else folder
    with place.open(last, "wb") as handle:
        handle.write(content)


def _structure(node: Any, form: str) -> bytes:
    import ase.io

    names = {"poscar": "vasp", "pdb": "proteindatabank"}
    atoms = node.get_ase()
    text = io.BytesIO() if form == "cif" else io.StringIO()
    ase.io.write(text, atoms, format=names.get(form, form))
    found = text.getvalue()
    return found if isinstance(found, bytes) else found.encode()


def _single(content: bytes, name: str) -> Any:
    return orm.SinglefileData(io.BytesIO(content), filename=name)


def _as_node(value: Any) -> Any:
    for kind, node in ((bool, orm.Bool), (int, orm.Int), (float, orm.Float), (str, orm.Str)):
        if isinstance(value, kind):
            return node(value)
    return orm.List(list=value) if isinstance(value, list) else orm.Dict(dict=value)


def _given(value: Any, output: Mapping[str, Any], folder: Path) -> Any:
    """A value of the app's parser as a node of the declared type."""
    kind = output.get("type", "float")
    if value is None:
        raise reading.UnreadableError("the parser does not give it")
    if kind == "file":
        path = (folder / str(value)).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise reading.UnreadableError(f"the parser names {value}, which is no file in its folder")
        return _single(path.read_bytes(), path.name)
    fits = {
        "float": (int, float),
        "int": (int,),
        "str": (str,),
        "bool": (bool,),
        "list": (list, tuple),
        "dict": (dict,),
    }
    if not isinstance(value, fits[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise reading.UnreadableError(f"the parser gives a {type(value).__name__} for the type {kind}")
    if isinstance(value, int | float) and kind == "float":
        return orm.Float(value)
    return _as_node(list(value) if isinstance(value, tuple) else value)


def _plain(node: Any, description: Mapping[str, Any]) -> dict[str, Any]:
    """The run's inputs that are values."""
    given = {name: node.inputs[name] for name in description.get("inputs") or {} if name in node.inputs}
    return {name: found.value for name, found in given.items() if hasattr(found, "value")}


def _title(name: str, output: Mapping[str, Any]) -> str:
    return f"“{output.get('title') or name.replace('_', ' ')}”"
