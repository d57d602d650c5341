"""Carrying out a workflow function by calling it again: steps that have ended answer, new ones are begun.

The function runs from its beginning each time a step has ended. Its n-th call of a step is always the same node, so
what has been done is never done again, also not after a crash: which calls were begun stands in the checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from aiida import orm
from aiida.common.links import LinkType

from simdeck_workflows.steps import calculation, inline
from simdeck_workflows.steps.declare import Failure, Step, in_short
from simdeck_workflows.steps.encode import dumps, plain
from simdeck_workflows.steps.nodes import ITEM, node_of
from simdeck_workflows.steps.signature import is_structure

LOST = 5
"""How often a job that was cut off is begun again."""
_MISSING = object()


class Waiting(BaseException):
    """The function cannot go on before a step has ended. No ``Exception``: a workflow's own code must not catch it."""


class ChangedError(Exception):
    """The function asked for other steps than before."""


class Replay:
    """One workflow's session. ``submit(process, inputs)`` begins a child, ``code`` is the Python of the app."""

    def __init__(self, parent: Any, submit: Callable[..., Any], code: Any, tell: Callable[[dict[str, Any]], None]):
        self._parent, self._submit, self._code, self._tell = parent, submit, code, tell
        self._counts: Counter[str] = Counter()
        self._values: dict[int, Any] = {}
        self._known: dict[int, tuple[Any, Any, Any]] = {}
        self._engine: dict[str, Any] | None = None
        self._told: dict[str, Any] = {}
        self.begun: dict[str, list[Any]] = {}
        """Per call: a digest of its arguments, then the nodes (pk) of its attempts. Kept in the checkpoint."""
        self.in_flight: set[int] = set()

    def restart(self, begun: str) -> None:
        """Begin a new pass with what the checkpoint says."""
        self.begun = json.loads(begun)
        self._counts.clear()
        self.in_flight.clear()

    def know(self, value: Any, node: Any) -> None:
        """Remember that a value came out of a node: where it goes into a step, that node is what goes in."""
        # These are shared by the interpreter, so that identity says nothing of where they come from.
        shared = value is None or isinstance(value, bool) or (isinstance(value, int) and -6 < value < 257)
        if not shared and not (isinstance(value, str) and len(value) < 2):
            self._known[id(value)] = (value, node, _snapshot(value))

    def node_of(self, value: Any) -> Any:
        """The node that a value came out of, else a new one; of a list, one for each element that came out of one."""
        if (found := self._origin(value)) is not None:
            return found
        if isinstance(value, list | tuple) and value:
            origins = [self._origin(one) for one in value]
            if all(origin is not None for origin in origins):
                return {f"{ITEM}{number}": origin for number, origin in enumerate(origins)}
        return node_of(value)

    # --- the session -------------------------------------------------------------------------------------------------

    def call(self, step: Step[Any, Any], elements: list[dict[str, Any]], at_once: int, wait: bool) -> list[Any]:
        """Begin what is new, as far as ``at_once`` lets it, and return the results; raises ``Waiting`` without them."""
        first = self._counts[step.name]
        self._counts[step.name] += len(elements)
        keys = [f"{step.name}_{first + number}" for number in range(len(elements))]
        many = len(elements) > 1
        found = [
            self._settle(step, key, number, element, len(elements)) if self._was_begun(step, key) else _MISSING
            for number, (key, element) in enumerate(zip(keys, elements, strict=True))
        ]
        running = sum(one is None for one in found)
        for number, (key, element) in enumerate(zip(keys, elements, strict=True)):
            if found[number] is _MISSING and running < at_once:
                found[number] = self._settle(step, key, number, element, len(elements))
                running += found[number] is None
        if many:
            self._say(step, keys[0], found)
        if not wait:
            return [lambda: _all(found)]
        return _all(found)

    # --- one call ----------------------------------------------------------------------------------------------------

    def _was_begun(self, step: Step[Any, Any], key: str) -> bool:
        return key in (self._engine_nodes() if step.engine else self.begun)

    def _settle(self, step: Step[Any, Any], key: str, number: int, arguments: dict[str, Any], of: int) -> Any:
        """What came of a call: its value as ``(value,)``, a ``Failure``, or None while it runs."""
        title = f"{step.title} {number + 1} of {of}" if of > 1 else step.title
        if step.engine:
            return self._settle_engine(step, key, number, arguments, title)
        digest = _digest(arguments)
        entry = self.begun.setdefault(key, [digest])
        if entry[0] != digest:
            raise ChangedError(
                f"The call no. {int(key.rpartition('_')[2]) + 1} of “{step.title}” came with other arguments "
                f"({in_short(arguments)}) when the workflow was taken up again. What differs from "
                "call to call, such as time and random numbers, belongs into steps."
            )
        if len(entry) == 1:
            entry.append(self._begin(step, key, arguments, title, 1))
        outcome = self._outcome(entry[-1])
        if isinstance(outcome, orm.Node):
            lost, raised = self._attempts(entry[1:])
            again = lost <= LOST if _is_lost(outcome) else step.may_retry(_bases(outcome), raised)
            if again:
                entry.append(self._begin(step, key, arguments, title, len(entry)))
                outcome = None
            else:
                return _failure(outcome, number, arguments, len(entry) - 1)
        if outcome is None:
            self.in_flight.add(entry[-1])
        return outcome

    def _begin(self, step: Step[Any, Any], key: str, arguments: dict[str, Any], title: str, attempt: int) -> int:
        given = {name: value for name, value in arguments.items() if value is not None}
        inputs: dict[str, Any] = {
            "code": self._code,
            "function": orm.Str(step.address),
            "arguments": {name: self.node_of(value) for name, value in given.items()},
            "metadata": {
                "label": title if attempt == 1 else f"{title}, attempt {attempt}",
                "call_link_label": key if attempt == 1 else f"{key}_again_{attempt}",
                "options": calculation.options_of(step),
            },
        }
        if len(given) < len(arguments):
            inputs["nothing"] = orm.List(list=[name for name in arguments if name not in given])
        if step.files:
            inputs["files"] = orm.List(list=list(step.files))
        return int(self._submit(calculation.StepCalculation, inputs).pk)

    def _outcome(self, pk: int) -> Any:
        """``(value,)``, the node of an attempt that failed, or None while it runs."""
        if pk not in self._values:
            node = orm.load_node(pk=pk)
            if not node.is_terminated:
                return None
            self._values[pk] = self._result(calculation, node) if node.is_finished_ok else node
        return self._values[pk]

    def _attempts(self, pks: Iterable[int]) -> tuple[int, int]:
        failed = [node for pk in pks if isinstance(node := self._outcome(pk), orm.Node)]
        lost = sum(_is_lost(node) for node in failed)
        return lost, len(failed) - lost

    # --- in the engine -----------------------------------------------------------------------------------------------

    def _engine_nodes(self) -> dict[str, Any]:
        """The steps that the engine has run itself, by call: these are found without the checkpoint."""
        if self._engine is None:
            links = self._parent.base.links.get_outgoing(node_class=orm.CalcFunctionNode, link_type=LinkType.CALL_CALC)
            self._engine = {link.link_label: link.node for link in links.all() if link.node.is_terminated}
        return self._engine

    def _settle_engine(self, step: Step[Any, Any], key: str, number: int, arguments: dict[str, Any], title: str) -> Any:
        nodes = self._engine_nodes()
        given = {name: value for name, value in arguments.items() if value is not None}
        attempt = 1
        while True:
            label = key if attempt == 1 else f"{key}_again_{attempt}"
            if label not in nodes:
                process = inline.process_of(step)
                made = {name: self.node_of(value) for name, value in given.items()}
                metadata = {"label": title, "call_link_label": label}
                try:
                    _result, nodes[label] = process.run_get_node(**made, metadata=metadata)
                except Exception:
                    # It stands on the node, which is found below as after a restart.
                    self._engine = None
                    nodes = self._engine_nodes()
                    if label not in nodes:
                        raise
            node = nodes[label]
            if node.is_finished_ok:
                if node.pk not in self._values:
                    self._values[node.pk] = self._result(inline, node)
                return self._values[node.pk]
            if not step.may_retry([_kind(node), "builtins.Exception"], attempt):
                return _failure(node, number, arguments, attempt)
            attempt += 1

    def _result(self, kind: Any, node: Any) -> tuple[Any]:
        value, parts = kind.result_of(node)
        for name, part in parts.items():
            if name == "result":
                self.know(value, part)
            elif isinstance(value, dict):
                self.know(value[name], part)
            else:
                self.know(value[int(name.removeprefix(ITEM))], part)
        return (value,)

    # --- below -------------------------------------------------------------------------------------------------------

    def _say(self, step: Step[Any, Any], key: str, found: list[Any]) -> None:
        done = sum(one is not None and one is not _MISSING for one in found)
        data: dict[str, Any] = {"stage": step.title, "step": done, "of": len(found)}
        if failed := sum(isinstance(one, Failure) for one in found):
            data["failed"] = failed
        if self._told.get(key) != data and done:
            self._told[key] = data
            self._tell(data)

    def _origin(self, value: Any) -> Any:
        found = self._known.get(id(value))
        # A list that has been changed since is another value.
        return found[1] if found is not None and found[2] == _snapshot(value) else None


def _all(found: list[Any]) -> list[Any]:
    if any(one is None or one is _MISSING for one in found):
        raise Waiting
    return [one if isinstance(one, Failure) else one[0] for one in found]


def _snapshot(value: Any) -> Any:
    if is_structure(type(value)):
        return dumps(value)
    return plain(value)


def _digest(arguments: dict[str, Any]) -> str:
    return hashlib.sha256(dumps(arguments).encode()).hexdigest()[:16]


def _is_lost(node: Any) -> bool:
    return isinstance(node, orm.CalcJobNode) and node.exit_status == 300


def _bases(node: Any) -> list[str]:
    return list(node.outputs.error.get_dict().get("bases", ())) if "error" in node.outputs else []


def _failure(node: Any, number: int, arguments: dict[str, Any], attempts: int) -> Failure:
    if "error" in node.outputs:
        error = node.outputs.error.get_dict()
        return Failure(number, in_short(arguments), error["type"], error["message"], attempts)
    if node.is_killed:
        return Failure(number, in_short(arguments), "Killed", "it was ended from outside", attempts)
    if node.exception:
        kind, _, message = node.exception.strip().splitlines()[-1].partition(": ")
        return Failure(number, in_short(arguments), kind, message, attempts)
    message = (node.exit_message or f"exit status {node.exit_status}").rstrip(".")
    return Failure(number, in_short(arguments), "Job", message, attempts)


def _kind(node: Any) -> str:
    kind = (node.exception or "").strip().splitlines()[-1:] or [""]
    name = kind[0].partition(":")[0]
    return name if "." in name else f"builtins.{name}"
