"""Between the values that functions take and give and AiiDA's data nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm

from simdeck_workflows.steps.encode import holds_structures, plain
from simdeck_workflows.steps.signature import Kind, is_structure

ITEM = "item_"
MOST_PARTS = 32

TYPES: dict[Kind, tuple[type, ...]] = {
    "boolean": (orm.Bool,),
    "integer": (orm.Int,),
    "number": (orm.Float,),
    "string": (orm.Str,),
    "array": (orm.List,),
    "object": (orm.Dict,),
    "structure": (orm.StructureData,),
    "any": (orm.Bool, orm.Int, orm.Float, orm.Str, orm.List, orm.Dict),
}


def node_of(value: Any) -> Any:
    """A new node (not stored) for a value; a list of structures becomes a dict of nodes, ``item_0`` and so on.

    Raises
    ------
    TypeError
        No node can hold it.
    """
    if is_structure(type(value)):
        return orm.StructureData(ase=value)
    value = plain(value)
    if isinstance(value, list) and holds_structures(value):
        return {f"{ITEM}{number}": node_of(one) for number, one in enumerate(value)}
    if holds_structures(value):
        raise TypeError("structures cannot be inside a dict: give them by themselves, or in a list")
    for kind, node in ((bool, orm.Bool), (int, orm.Int), (float, orm.Float), (str, orm.Str)):
        if isinstance(value, kind):
            return node(value)
    return orm.List(list=value) if isinstance(value, list) else orm.Dict(dict=value)


def value_of(node: Any) -> Any:
    """What a node holds; a mapping of ``item_<n>`` is the list that it was made of."""
    if isinstance(node, Mapping):
        names = list(node)
        if names and all(name.startswith(ITEM) and name.removeprefix(ITEM).isdecimal() for name in names):
            return [value_of(node[name]) for name in sorted(names, key=lambda name: int(name.removeprefix(ITEM)))]
        return {name: value_of(one) for name, one in node.items()}
    if isinstance(node, orm.StructureData):
        return node.get_ase()
    if isinstance(node, orm.List):
        return node.get_list()
    if isinstance(node, orm.Dict):
        return node.get_dict()
    return node.value


def result_nodes(value: Any) -> Any:
    """The node of a step's result, or several by name: of a dict with few plain names, of a list of structures."""
    found = plain(value)
    names = list(found) if isinstance(found, dict) else []
    if 0 < len(names) <= MOST_PARTS and all(_can_name(name) and found[name] is not None for name in names):
        parts = {name: node_of(part) for name, part in found.items()}
        if not any(isinstance(part, dict) for part in parts.values()):
            return parts
    return node_of(value)


def _can_name(name: str) -> bool:
    return name.isidentifier() and "__" not in name and name != "result" and not name.startswith((ITEM, "_"))
