"""Values as JSON on the way into a job and back. A structure is ``{"$atoms": {symbols, positions, cell, pbc}}``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence, Set
from typing import Any

from pydantic import BaseModel

from simdeck_workflows.steps.signature import is_structure

ATOMS = "$atoms"


def plain(value: Any) -> Any:
    """Return ``value`` made of JSON's types and structures; NumPy's arrays become lists.

    Raises
    ------
    TypeError
        It is made of something else.
    """
    if value is None or isinstance(value, bool | int | float | str) or is_structure(type(value)):
        return value
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, Sequence | Set) and not isinstance(value, bytes | bytearray):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise TypeError(f"a {type(value).__name__} cannot be written down: use numbers, text, lists, dicts or Atoms")


def dumps(value: Any) -> str:
    """Write ``value`` as JSON. Raises ``TypeError``, or ``ValueError`` for what is not a number (NaN, infinity)."""
    return json.dumps(_coded(plain(value)), allow_nan=False, ensure_ascii=False)


def decoded(value: Any) -> Any:
    """Return what ``dumps`` was given, from its JSON as Python reads it."""
    if isinstance(value, list):
        return [decoded(one) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {ATOMS}:
        from ase import Atoms

        return Atoms(**value[ATOMS])
    return {name: decoded(one) for name, one in value.items()}


def holds_structures(value: Any) -> bool:
    """Whether there is a structure somewhere within ``value``."""
    if isinstance(value, Mapping):
        return any(holds_structures(one) for one in value.values())
    return any(holds_structures(one) for one in value) if isinstance(value, list) else is_structure(type(value))


def _coded(value: Any) -> Any:
    if isinstance(value, list):
        return [_coded(one) for one in value]
    if isinstance(value, dict):
        return {name: _coded(one) for name, one in value.items()}
    if is_structure(type(value)):
        return {
            ATOMS: {
                "symbols": value.get_chemical_symbols(),
                "positions": value.get_positions().tolist(),
                "cell": value.get_cell().tolist(),
                "pbc": [bool(one) for one in value.get_pbc()],
            }
        }
    return value
