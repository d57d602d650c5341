"""Steps that the engine runs itself: process functions, so that they stand in the provenance like any other."""

from __future__ import annotations

import inspect
from typing import Any

from aiida import orm
from aiida.engine import calcfunction

from simdeck_workflows.steps.declare import SESSION, Step
from simdeck_workflows.steps.nodes import result_nodes, value_of

NOTHING = {"nothing": True}

_made: dict[int, tuple[Any, Any]] = {}


def process_of(step: Step[Any, Any]) -> Any:
    """The process function of a step, made once."""
    if id(step) not in _made:
        _made[id(step)] = (step, _make(step))
    return _made[id(step)][1]


def _make(step: Step[Any, Any]) -> Any:
    def body(**nodes: Any) -> Any:
        known = step.signature.inputs
        token = SESSION.set(None)
        try:
            values = {name: known[name].check(value_of(node)) for name, node in nodes.items()}
            found = step.function(**values)
        finally:
            SESSION.reset(token)
        made = orm.Dict(dict=NOTHING) if found is None else result_nodes(found)
        return made if isinstance(made, dict) else {"result": made}

    body.__signature__ = inspect.signature(body)  # type: ignore[attr-defined]
    body.__name__ = body.__qualname__ = step.name
    body.__module__ = step.function.__module__
    # The provenance keeps the source of what is called, not of this.
    body.__wrapped__ = step.function  # type: ignore[attr-defined]
    return calcfunction(body)


def result_of(node: Any) -> tuple[Any, dict[str, Any]]:
    """The value of a step that has finished well, and the nodes of its parts (under ``result``: of itself)."""
    parts = {name: node.outputs[name] for name in node.outputs}
    if set(parts) != {"result"}:
        return value_of(parts), parts
    value = value_of(parts["result"])
    return (None, {}) if value == NOTHING else (value, parts)
