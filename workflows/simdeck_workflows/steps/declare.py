"""The two decorators, and what the functions become.

Called in plain Python (a test, a notebook, inside another step) both are ordinary functions. Called while the engine
carries out a workflow, a step is asked of the engine's session: it is a node, and a job where it is not tiny.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import signature as plain_signature
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeVar, cast, overload

from simdeck_clusters.quantities import memory_mib, minutes

from simdeck_workflows.steps.signature import Signature, read, words

P = ParamSpec("P")
R = TypeVar("R")

AT_ONCE = 8
"""How many elements of a map are in flight unless it is said otherwise; a site's limits hold besides."""
NAME = re.compile(r"^[A-Za-z](?!.*__)[A-Za-z0-9_]*$")
RESERVED = frozenset({"at_once", "failures"})


@dataclass(frozen=True)
class Failure:
    """What became of one call that failed: its number in a map, its arguments, the last error, the attempts made."""

    number: int
    arguments: str
    type: str
    message: str
    attempts: int

    def __str__(self) -> str:
        tries = f", after {self.attempts} attempts" if self.attempts > 1 else ""
        return f"no. {self.number + 1} ({self.arguments}): {self.type}: {self.message}{tries}"


class StepError(Exception):
    """A step, or some elements of a map, failed. ``failures`` has one entry each, ``of`` is how many there were."""

    def __init__(self, step: str, failures: list[Failure], of: int) -> None:
        self.step, self.failures, self.of = step, failures, of
        if of == 1:
            one = failures[0]
            tries = f", after {one.attempts} attempts" if one.attempts > 1 else ""
            super().__init__(f"{step} failed: {one.type}: {one.message}{tries}")
            return
        listed = "; ".join(str(one) for one in failures[:5])
        more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
        super().__init__(f"{step} failed for {len(failures)} of {of}: {listed}{more}")


class Session(Protocol):
    """Who carries out the steps of the workflow that is running."""

    def call(self, step: Step[Any, Any], elements: list[dict[str, Any]], at_once: int, wait: bool) -> list[Any]:
        """The value or ``Failure`` of each element. With ``wait`` it does not return before all have ended."""
        ...


SESSION: ContextVar[Session | None] = ContextVar("simdeck_session", default=None)


class Handle(Generic[R]):
    """A step that was begun with ``submit``: it goes on beside what follows, until ``result`` is asked for."""

    def __init__(self, ask: Callable[[], R]) -> None:
        self.result = ask


class Step(Generic[P, R]):
    """A function that is a job of its own, or (``engine=True``) one that the engine runs itself."""

    def __init__(self, function: Callable[P, R], **options: Any) -> None:
        self.function = function
        self.name = function.__name__
        if not NAME.match(self.name):
            raise TypeError(f"{self.name}: a step's name has letters, digits and single underscores")
        if taken := RESERVED.intersection(plain_signature(function).parameters):
            raise TypeError(f"{self.name}: {', '.join(sorted(taken))} cannot be a parameter of a step")
        self.title: str = options["title"] or words(self.name)
        self.engine: bool = options["engine"]
        self.cores: int = options["cores"]
        self.memory_mib = memory_mib(options["memory"]) if options["memory"] else None
        self.walltime_minutes = minutes(options["walltime"]) if options["walltime"] else None
        self.retries: int = options["retries"]
        self.retry_on: frozenset[str] = frozenset(named(kind) for kind in options["retry_on"])
        self.at_once: int = options["at_once"]
        self.files: tuple[str, ...] = tuple(options["files"])
        functools.update_wrapper(self, function)

    @functools.cached_property
    def signature(self) -> Signature:
        return read(self.function)

    @property
    def address(self) -> str:
        """Where a job finds the function: ``module:name``."""
        return f"{self.function.__module__}:{self.name}"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        session = SESSION.get()
        if session is None:
            return self.function(*args, **kwargs)
        return cast(R, self._one(session.call(self, [self._bound(args, kwargs)], 1, True)[0]))

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Handle[R]:
        """Begin the step and go on; ``result()`` of what is returned waits for it."""
        session = SESSION.get()
        if session is None:
            return Handle(lambda: self.function(*args, **kwargs))
        ask = cast("Callable[[], list[Any]]", session.call(self, [self._bound(args, kwargs)], 1, False)[0])
        return Handle(lambda: cast(R, self._one(ask()[0])))

    @overload
    def map(
        self, *columns: Iterable[Any], failures: Literal["keep"], at_once: int | None = ..., **same: Any
    ) -> list[R | Failure]: ...
    @overload
    def map(
        self, *columns: Iterable[Any], failures: Literal["raise"] = ..., at_once: int | None = ..., **same: Any
    ) -> list[R]: ...
    def map(
        self,
        *columns: Iterable[Any],
        at_once: int | None = None,
        failures: Literal["raise", "keep"] = "raise",
        **same: Any,
    ) -> Any:
        """Call the step for each of ``columns`` (side by side as in Python's ``map``); results in their order.

        Parameters
        ----------
        at_once
            How many are in flight; default: what the step says.
        failures
            ``raise``: once all have ended, a ``StepError`` tells of each that failed. ``keep``: a ``Failure`` stands
            in the place of its result.
        same
            Arguments that are the same for all.
        """
        elements = [self._bound(row, same) for row in zip(*columns, strict=True)]
        if not elements:
            return []
        session = SESSION.get() or Here()
        found = session.call(self, elements, at_once or self.at_once, True)
        failed = [one for one in found if isinstance(one, Failure)]
        if failed and failures == "raise":
            raise StepError(self.title, failed, len(elements))
        return found

    def may_retry(self, bases: Iterable[str], attempts: int) -> bool:
        """Whether a call that ended with an error (its class and their bases, by name) gets another attempt."""
        return attempts <= self.retries and not self.retry_on.isdisjoint(bases)

    def _one(self, found: Any) -> Any:
        if isinstance(found, Failure):
            raise StepError(self.title, [found], 1)
        return found

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        return dict(plain_signature(self.function).bind(*args, **kwargs).arguments)


class Here:
    """The session of plain Python: a map that runs in place, with the same retries and failures."""

    def call(self, step: Step[Any, Any], elements: list[dict[str, Any]], at_once: int, wait: bool) -> list[Any]:
        return [self._one(step, number, arguments) for number, arguments in enumerate(elements)]

    def _one(self, step: Step[Any, Any], number: int, arguments: dict[str, Any]) -> Any:
        for attempts in range(1, step.retries + 2):
            try:
                return step.function(**arguments)
            except Exception as error:
                if not step.may_retry(bases_of(error), attempts):
                    return Failure(number, in_short(arguments), type(error).__name__, str(error), attempts)
        raise AssertionError("the last attempt returns")


class Workflow(Generic[P, R]):
    """A function that calls steps, as something people run. ``SIMDECK`` is what forms and tables say of it."""

    def __init__(self, function: Callable[P, R], **options: Any) -> None:
        self.function = function
        self.name = function.__name__
        self._options = options
        functools.update_wrapper(self, function)

    @functools.cached_property
    def signature(self) -> Signature:
        return read(self.function)

    @functools.cached_property
    def SIMDECK(self) -> dict[str, Any]:  # noqa: N802
        """As of a workflow class: title, summary, inputs, outputs, headline, cures."""
        found, given = self.signature, self._options
        numbers = [name for name, one in found.outputs.items() if one.kind in ("integer", "number")]
        return {
            "title": given["title"] or words(self.name),
            "summary": given["summary"] or found.summary,
            "inputs": _merged({name: one.note for name, one in found.inputs.items()}, given["inputs"]),
            "outputs": _merged({name: _output_note(one.note) for name, one in found.outputs.items()}, given["outputs"]),
            "headline": list(numbers[:3] if given["headline"] is None else given["headline"]),
            "cures": given["cures"] or {},
        }

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    title: str = ...,
    cores: int = ...,
    memory: str = ...,
    walltime: str = ...,
    retries: int = ...,
    retry_on: tuple[type[BaseException], ...] = ...,
    at_once: int = ...,
    files: Iterable[str] = ...,
    engine: bool = ...,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    title: str = "",
    cores: int = 1,
    memory: str = "",
    walltime: str = "",
    retries: int = 0,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    at_once: int = AT_ONCE,
    files: Iterable[str] = (),
    engine: bool = False,
) -> Any:
    """Make a typed function a step.

    Parameters
    ----------
    title
        What people call it; default: its name in words.
    cores, memory, walltime
        What its job asks for, such as ``4``, ``"2 GiB"``, ``"30 min"``; default: one core, the app's or cluster's rest.
    retries, retry_on
        How often it is tried again, after which errors. A job that was lost or killed is always begun again.
    at_once
        How many elements of a ``map`` are in flight.
    files
        Patterns of files that the function writes into its working directory and that are kept, such as ``"*.png"``.
    engine
        Run it in the engine instead of a job: for what takes less than a tenth of a second and imports nothing large.
    """
    options = {
        "title": title, "cores": cores, "memory": memory, "walltime": walltime, "retries": retries,
        "retry_on": retry_on, "at_once": at_once, "files": files, "engine": engine,
    }  # fmt: skip
    return Step(function, **options) if function is not None else lambda found: Step(found, **options)


@overload
def workflow(function: Callable[P, R], /) -> Workflow[P, R]: ...
@overload
def workflow(
    *,
    title: str = ...,
    summary: str = ...,
    inputs: Mapping[str, Mapping[str, Any]] = ...,
    outputs: Mapping[str, Mapping[str, Any]] = ...,
    headline: Iterable[str] | None = ...,
    cures: Mapping[int, Any] | None = ...,
) -> Callable[[Callable[P, R]], Workflow[P, R]]: ...
def workflow(
    function: Callable[..., Any] | None = None,
    /,
    *,
    title: str = "",
    summary: str = "",
    inputs: Mapping[str, Mapping[str, Any]] | None = None,
    outputs: Mapping[str, Mapping[str, Any]] | None = None,
    headline: Iterable[str] | None = None,
    cures: Mapping[int, Any] | None = None,
) -> Any:
    """Make a typed function that calls steps a workflow; options add to what annotations and docstring say.

    The engine calls the function again after each step, with the results so far, until it returns: what has an effect,
    takes long, or differs from call to call (time, random numbers) belongs into steps.
    """
    options = {
        "title": title, "summary": summary, "inputs": inputs or {}, "outputs": outputs or {}, "headline": headline,
        "cures": cures,
    }  # fmt: skip
    return Workflow(function, **options) if function is not None else lambda found: Workflow(found, **options)


def named(kind: type) -> str:
    """A class by module and name, as it is compared over the border of two environments."""
    return f"{kind.__module__}.{kind.__qualname__}"


def bases_of(error: BaseException) -> list[str]:
    """An error's class and all its bases, by name."""
    return [named(kind) for kind in type(error).__mro__ if kind is not object]


def in_short(arguments: Mapping[str, Any]) -> str:
    """Arguments in at most a line, for sentences about failures."""
    parts = []
    for name, value in arguments.items():
        text = repr(value)
        parts.append(f"{name}={text if len(text) <= 40 else text[:39] + '…'}")
    return ", ".join(parts)[:200]


def _output_note(note: Mapping[str, Any]) -> dict[str, Any]:
    kept = {"title": note["title"]}
    if "x-simdeck-unit" in note:
        kept["unit"] = note["x-simdeck-unit"]
    if said := note.get("help") or note.get("description"):
        kept["help"] = said
    return kept


def _merged(found: dict[str, dict[str, Any]], given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {**note, **given.get(name, {})} for name, note in found.items()}
