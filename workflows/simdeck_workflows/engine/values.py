"""AiiDA data nodes as JSON, and what of them is a file.

Numbers that JSON cannot say (NaN, infinities) become null. Lengths are in ångström, as AiiDA keeps them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from aiida import orm


def to_json(value: Any) -> Any:
    """Return a data node (or a plain Python value, or a mapping of them) as JSON.

    =================  =============================================================================================
    Int Float Bool Str the value
    List, Dict         array, object
    StructureData      ``{symbols, positions, cell, pbc, formula}``; positions n×3 and cell 3×3 in Å
    TrajectoryData     ``{symbols, positions, steps, …arrays}``; positions steps×n×3 in Å
    ArrayData          ``{name: nested arrays}``
    SinglefileData     ``{name, size, path}``; FolderData ``{files: [{path, size}]}``
    RemoteData         ``{computer, path}``
    any other          ``{uuid, type}``
    =================  =============================================================================================
    """
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if not isinstance(value, orm.Data):
        return plain(value)
    for kind, convert in _CONVERTERS:
        if isinstance(value, kind):
            return convert(value)
    return {"uuid": value.uuid, "type": type(value).__name__}


def plain(value: Any) -> Any:
    """Return numbers, strings, containers and NumPy arrays as JSON; what is none of these as its text."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, complex):
        return {"real": plain(value.real), "imag": plain(value.imag)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


def files_of(node: Any) -> Iterator[tuple[str, int]]:
    """The files in a node's repository: (path below the node, size in bytes)."""
    for folder, _folders, names in node.base.repository.walk():
        for name in sorted(names):
            path = str(folder / name)
            yield (
                path,
                node.base.repository.get_object_size(path)
                if hasattr(node.base.repository, "get_object_size")
                else _size(node, path),
            )


def _size(node: Any, path: str) -> int:
    with node.base.repository.open(path, "rb") as stream:
        return int(stream.seek(0, 2))


def _structure(node: Any) -> dict[str, Any]:
    kinds = {kind.name: kind for kind in node.kinds}
    return {
        "symbols": [kinds[site.kind_name].symbol for site in node.sites],
        "positions": plain([site.position for site in node.sites]),
        "cell": plain(node.cell) if any(node.pbc) else None,
        "pbc": list(node.pbc),
        "formula": node.get_formula(),
    }


def _trajectory(node: Any) -> dict[str, Any]:
    body = {name: plain(node.get_array(name)) for name in node.get_arraynames() if name not in _TRAJECTORY}
    cells = node.get_cells()
    return {
        "symbols": list(node.symbols),
        "positions": plain(node.get_positions()),
        "steps": plain(node.get_stepids()),
        "cells": None if cells is None else plain(cells),
        "times": plain(node.get_times()),
        **body,
    }


_TRAJECTORY = frozenset({"positions", "steps", "cells", "times", "symbols"})

_CONVERTERS: tuple[tuple[type, Any], ...] = (
    (orm.EnumData, lambda node: plain(node.value)),
    (orm.Dict, lambda node: plain(node.get_dict())),
    (orm.List, lambda node: plain(node.get_list())),
    (orm.Bool, lambda node: bool(node.value)),
    (orm.BaseType, lambda node: plain(node.value)),
    (orm.StructureData, _structure),
    (orm.TrajectoryData, _trajectory),
    (orm.ArrayData, lambda node: {name: plain(node.get_array(name)) for name in node.get_arraynames()}),
    (orm.SinglefileData, lambda node: {"name": node.filename, "size": _size(node, node.filename), "path": None}),
    (orm.FolderData, lambda node: {"files": [{"path": path, "size": size} for path, size in files_of(node)]}),
    (orm.RemoteData, lambda node: {"computer": node.computer.label, "path": node.get_remote_path()}),
)
