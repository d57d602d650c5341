"""A workflow function as an AiiDA work chain: one step of its outline, repeated until the function returns."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from typing import Any, ClassVar

from aiida import orm
from aiida.engine import WorkChain, while_
from plumpy import ProcessState

from simdeck_workflows.steps.declare import SESSION, StepError, Workflow
from simdeck_workflows.steps.nodes import TYPES, node_of, value_of
from simdeck_workflows.steps.replay import ChangedError, Replay, Waiting
from simdeck_workflows.steps.signature import Parameter

_listener: Callable[[Any, dict[str, Any]], None] = lambda node, data: None  # noqa: E731


def on_progress(listener: Callable[[Any, dict[str, Any]], None]) -> None:
    """Have ``listener(node, data)`` told how far the maps of workflows are. For this process, once."""
    global _listener
    _listener = listener


class StepsWorkChain(WorkChain):  # type: ignore[misc]
    """What all workflow functions have in common; ``WORKFLOW`` is the function of a subclass."""

    WORKFLOW: ClassVar[Workflow[..., Any]]
    SIMDECK: ClassVar[dict[str, Any]] = {}

    @classmethod
    def define(cls, spec: Any) -> None:
        super().define(spec)
        spec.outline(while_(cls.goes_on)(cls.advance))
        spec.exit_code(400, "ERROR_STEP_FAILED", message="{reason}")
        spec.exit_code(410, "ERROR_CHANGED", message="{reason}")
        spec.exit_code(420, "ERROR_RAISED", message="{reason}")
        if "WORKFLOW" not in cls.__dict__:
            return
        signature = cls.WORKFLOW.signature
        spec.input("code", valid_type=orm.AbstractCode)
        for name, one in signature.inputs.items():
            given: dict[str, Any] = {"valid_type": TYPES[one.kind], "required": one.required}
            if not one.required and one.default is not None:
                given["default"] = functools.partial(node_of, one.default)
            spec.input(name, validator=functools.partial(_refusal, one), **given)
        for name, one in signature.outputs.items():
            spec.output(name, valid_type=TYPES[one.kind], required=False)

    def goes_on(self) -> bool:
        return not self.ctx.get("returned", False)

    def advance(self) -> Any:
        """Call the function with the results so far; wait for any of its steps, or hand out what it returns."""
        replay = self._replay
        replay.restart(self.ctx.get("begun", "{}"))
        token = SESSION.set(replay)
        value, refusal, waits = None, None, False
        try:
            value = self.WORKFLOW.function(**self._arguments(replay))
        except Waiting:
            waits = True
        except StepError as error:
            refusal = self.exit_codes.ERROR_STEP_FAILED.format(reason=_sentence(str(error)))
        except ChangedError as error:
            refusal = self.exit_codes.ERROR_CHANGED.format(reason=_sentence(str(error)))
        except Exception as error:
            self.logger.exception("the workflow function raised")
            refusal = self.exit_codes.ERROR_RAISED.format(reason=_sentence(f"{type(error).__name__}: {error}"))
        finally:
            SESSION.reset(token)
        self.ctx.begun = json.dumps(replay.begun)
        if replay.in_flight:
            # Also where it has returned or failed already: nothing is left running behind a workflow that has ended.
            for pk in sorted(replay.in_flight):
                self.to_context(step=orm.load_node(pk=pk))
            return None
        if waits:
            return self.exit_codes.ERROR_CHANGED.format(reason="It waits for a step that was never begun.")
        return refusal or self._hand_out(value, replay)

    def _arguments(self, replay: Replay) -> dict[str, Any]:
        if "arguments" not in self.__dict__:
            found = {}
            for name, one in self.WORKFLOW.signature.inputs.items():
                if name in self.inputs:
                    found[name] = one.check(value_of(self.inputs[name]))
                    replay.know(found[name], self.inputs[name])
            self.__dict__["arguments"] = found
        return dict(self.__dict__["arguments"])

    def _hand_out(self, value: Any, replay: Replay) -> Any:
        signature = self.WORKFLOW.signature
        if signature.single:
            values = dict.fromkeys(signature.outputs, value)
        else:
            values = {name: _part(value, name) for name in signature.outputs}
        try:
            for name, part in values.items():
                if part is not None:
                    node = replay.node_of(_as_declared(signature.outputs[name], part))
                    node = node_of(part) if isinstance(node, dict) else node
                    self.out(name, node if node.is_stored else node.store())
        except (TypeError, ValueError) as error:
            return self.exit_codes.ERROR_RAISED.format(reason=_sentence(f"its result {name} cannot be kept: {error}"))
        self.ctx.returned = True
        return None

    @property
    def _replay(self) -> Replay:
        if "replay" not in self.__dict__:
            tell = functools.partial(_listener, self.node)
            self.__dict__["replay"] = Replay(self.node, self._begin, self.inputs.code, tell)
        found: Replay = self.__dict__["replay"]
        return found

    def _begin(self, process: Any, inputs: dict[str, Any]) -> Any:
        return self.submit(process, **inputs)

    # --- waiting for any child, not for all -------------------------------------------------------------------------

    def _insert_awaitable(self, awaitable: Any) -> None:
        # Not into the context: what has ended is found by its number.
        self._awaitables.append(awaitable)
        self._update_process_status()

    def _action_awaitables(self) -> None:
        self.__dict__["resumed"] = False
        heard = self.__dict__.setdefault("heard", set())
        for awaitable in self._awaitables:
            if awaitable.pk not in heard:
                heard.add(awaitable.pk)
                callback = functools.partial(self.call_soon, self._on_awaitable_finished, awaitable)
                self.runner.call_on_process_finish(awaitable.pk, callback)
            elif orm.load_node(pk=awaitable.pk).is_terminated:
                # It ended while the function was being called.
                self.call_soon(self._on_awaitable_finished, awaitable)

    def _on_awaitable_finished(self, awaitable: Any) -> None:
        waited_for = any(one.pk == awaitable.pk for one in self._awaitables)
        if waited_for and self.state == ProcessState.WAITING and not self.__dict__.get("resumed"):
            self.__dict__["resumed"] = True
            self.resume()


def _refusal(parameter: Parameter, node: Any, _port: Any) -> str | None:
    if node is None:
        return None
    try:
        parameter.check(value_of(node))
    except ValueError as error:
        return _sentence(str(error))
    return None


def _as_declared(parameter: Parameter, value: Any) -> Any:
    """A whole number where a number is declared is a number."""
    return float(value) if parameter.kind == "number" and type(value) is int else value


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _sentence(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
