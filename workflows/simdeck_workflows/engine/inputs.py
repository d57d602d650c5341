"""From the JSON inputs of a run to AiiDA nodes, checked by the process spec.

Every refusal is a ``Problem("invalid-input")`` that names the field and says in a sentence what is wrong.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from aiida import orm
from aiida.engine.processes.ports import PortNamespace
from simdeck_common.problems import Problem

from simdeck_workflows.engine.schema import is_asked, is_code, valid_types

FORMATS = {
    ".xyz": "extxyz",
    ".extxyz": "extxyz",
    ".cif": "cif",
    ".sdf": "sdf",
    ".mol": "sdf",
    ".pdb": "proteindatabank",
    ".vasp": "vasp",
    ".poscar": "vasp",
    ".gen": "gen",
    ".xsf": "xsf",
}
"""Structure files that are read, by suffix, and ASE's name of the format. All are text, none can hold code."""


def build(process: Any, values: Mapping[str, Any], code: Callable[[], Any]) -> dict[str, Any]:
    """Return the inputs of ``process`` as nodes (not stored), complete and valid.

    Parameters
    ----------
    code
        Makes the node for ports that take a code; called only if there is one.

    Raises
    ------
    Problem
        ``invalid-input`` with the ``field``.
    """
    nodes = _namespace(process.spec().inputs, values, code, "")
    check(process, nodes)
    return nodes


def check(process: Any, nodes: Mapping[str, Any]) -> None:
    """Run the spec's own validators, with defaults filled in as the process would."""
    spec = process.spec().inputs
    complete = spec.pre_process(spec.serialize(dict(nodes)))
    error = spec.validate(complete)
    if error is not None:
        raise Problem("invalid-input", **refusal(error.port, error.message, set(spec)))


def refusal(port: str, message: str, names: set[str]) -> dict[str, str]:
    """Name the field and the sentence of a spec's validation error.

    A validator of the whole spec says ``"<port>: sentence"``; the engine wraps messages in words of its own.
    """
    port = port.removeprefix("inputs").strip(".")
    text = message.strip()
    # AiiDA: "invalid value <…> … " + message; keep what the app's author wrote after the last known wrapper.
    match = re.match(r"(?s)(?P<name>[A-Za-z_][\w.]*):\s*(?P<rest>.+)", text)
    if match and match["name"].split(".")[0] in names and not port:
        return {"field": match["name"], "detail": match["rest"].strip()}
    if match and port and match["name"] == port:
        text = match["rest"].strip()
    if re.match(r"required value was not provided", text):
        text = f"A value is needed for {port.rpartition('.')[2]}."
    return {"field": port or "inputs", "detail": text[:1].upper() + text[1:]}


def _namespace(namespace: Any, values: Mapping[str, Any], code: Callable[[], Any], prefix: str) -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    for name, value in values.items():
        field = prefix + name
        port = namespace.get(name)
        if port is None and not namespace.dynamic:
            raise Problem("invalid-input", field=field, detail=f"There is no input called {field}.")
        if port is not None and not is_asked(name, port):
            raise Problem("invalid-input", field=field, detail=f"The input {field} is set by the platform.")
        if isinstance(port, PortNamespace):
            if not isinstance(value, Mapping):
                raise Problem("invalid-input", field=field, detail=f"{field} holds several values by name.")
            nodes[name] = _namespace(port, value, code, f"{field}.")
        elif value is not None:
            nodes[name] = node_of(value, valid_types(port) if port is not None else (), field)
    for name, port in namespace.items():
        if isinstance(port, PortNamespace):
            if name != "metadata" and name not in nodes and any(_codes(port)):
                nodes[name] = _namespace(port, {}, code, f"{prefix}{name}.")
        elif is_code(port) and name not in nodes and port.required:
            nodes[name] = code()
    return nodes


def _codes(namespace: Any) -> list[str]:
    return [
        name
        for name, port in namespace.items()
        if not isinstance(port, PortNamespace) and is_code(port) and port.required
    ]


def node_of(value: Any, kinds: tuple[type, ...], field: str) -> Any:
    """Make the node for one value of a port that takes ``kinds`` (anything, when empty)."""
    if isinstance(value, Mapping) and set(value) == {"uuid"} and not _takes(kinds, orm.Dict):
        return _existing(str(value["uuid"]), field)
    for fits, kind, make in _MAKERS:
        if fits(value) and (not kinds or _takes(kinds, kind)):
            return make(value, field, next((found for found in kinds if issubclass(found, kind)), kind))
    raise Problem("invalid-input", field=field, detail=f"The value of {field} is not of the kind that is asked for.")


def structure(value: Mapping[str, Any], field: str) -> Any:
    """A ``StructureData`` from a file's name and content, or from symbols and positions (Å)."""
    from ase import Atoms

    if "content" in value:
        atoms = _read(str(value.get("name", "")), str(value["content"]), field)
    else:
        try:
            atoms = Atoms(
                symbols=list(value["symbols"]),
                positions=value["positions"],
                cell=value.get("cell"),
                pbc=value.get("pbc", value.get("cell") is not None),
            )
        except (KeyError, ValueError, TypeError) as error:
            detail = f"The structure cannot be understood: {_first_line(error)}."
            raise Problem("invalid-input", field=field, detail=detail) from None
    if len(atoms) == 0:
        raise Problem("invalid-input", field=field, detail="The structure holds no atoms.")
    if not any(atoms.pbc):
        # A box around a molecule is the file format's, not the molecule's.
        atoms.cell = None
    try:
        node = orm.StructureData(ase=atoms)
    except (ValueError, TypeError, KeyError) as error:
        detail = f"The structure cannot be used: {_first_line(error)}."
        raise Problem("invalid-input", field=field, detail=detail) from None
    if name := value.get("name"):
        node.label = str(name)[:255]
    return node


def _read(name: str, content: str, field: str) -> Any:
    import ase.io

    # VASP's files carry their kind as a name.
    suffix = PurePath(name).suffix.lower() or f".{PurePath(name).name.lower()}"
    form = FORMATS.get(suffix)
    if form is None:
        known = ", ".join(sorted(suffix.removeprefix(".") for suffix in FORMATS))
        detail = f"Files of the kind {suffix.removeprefix('.')} are not read here. Known kinds: {known}."
        raise Problem("invalid-input", field=field, detail=detail)
    try:
        atoms = ase.io.read(io.StringIO(content), format=form)
        atoms[0] if isinstance(atoms, list) else None
    except Exception as error:
        # The readers raise whatever their parsing met first.
        detail = f"{name} cannot be read as {suffix.removeprefix('.').upper()} ({_first_line(error)})."
        raise Problem("invalid-input", field=field, detail=detail) from None
    return atoms


def _file(value: Mapping[str, Any], field: str) -> Any:
    try:
        data = base64.b64decode(value["base64"], validate=True) if "base64" in value else str(value["content"]).encode()
    except (binascii.Error, ValueError):
        raise Problem("invalid-input", field=field, detail="The file's content is not valid base64.") from None
    name = PurePath(str(value.get("name") or "file")).name
    return orm.SinglefileData(io.BytesIO(data), filename=name)


def _files(value: list[Any], field: str) -> Any:
    """A folder with the files in their order: ``001-first.dat``, so that two may have the same name."""
    node = orm.FolderData()
    for number, one in enumerate(value, start=1):
        if not isinstance(one, Mapping):
            raise Problem("invalid-input", field=field, detail=f"Number {number} of {field} is no file.")
        file = _file(one, field)
        node.base.repository.put_object_from_bytes(file.get_content(mode="rb"), f"{number:03d}-{file.filename}")
    return node


def _existing(uuid: str, field: str) -> Any:
    from aiida.common.exceptions import MultipleObjectsError, NotExistent

    try:
        return orm.load_node(uuid=uuid)
    except (NotExistent, MultipleObjectsError, ValueError):
        raise Problem("invalid-input", field=field, detail=f"There is no data node {uuid}.") from None


def _takes(kinds: tuple[type, ...], kind: type) -> bool:
    return any(issubclass(found, kind) for found in kinds)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0] or type(error).__name__
    return text.rstrip(".")[:200]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return _number(value) and float(value).is_integer()


# (does this maker take the value, for ports of which type, make it); the first that fits both is used.
_MAKERS: tuple[tuple[Callable[[Any], bool], type, Callable[[Any, str, type], Any]], ...] = (
    (lambda v: isinstance(v, bool), orm.Bool, lambda v, _f, kind: kind(v)),
    (_whole, orm.Int, lambda v, _f, kind: kind(int(v))),
    (_number, orm.Float, lambda v, _f, kind: kind(float(v))),
    (lambda v: isinstance(v, str), orm.Str, lambda v, _f, kind: kind(v)),
    (lambda v: isinstance(v, list), orm.List, lambda v, _f, kind: kind(list=v)),
    (lambda v: isinstance(v, list), orm.FolderData, lambda v, f, _kind: _files(v, f)),
    (lambda v: isinstance(v, Mapping), orm.StructureData, lambda v, f, _kind: structure(v, f)),
    (lambda v: isinstance(v, Mapping), orm.SinglefileData, lambda v, f, _kind: _file(v, f)),
    (lambda v: isinstance(v, Mapping), orm.Dict, lambda v, _f, kind: kind(dict=dict(v))),
)
