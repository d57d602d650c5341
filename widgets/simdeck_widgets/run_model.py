"""A run as a page sees it: followed over the API's event stream, with reconnecting. No widget.

Everything happens on the kernel's event loop: :meth:`RunModel.open` starts a task and returns; traits change as
news come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import traitlets
from simdeck_workflows.models import ENDED_STATES, Run

REOPEN_DELAYS = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds between tries to reach the service again; the last one is repeated for as long as the page is open."""


class Api(Protocol):
    """What of ``simdeck_workflows.client.AsyncClient`` is used."""

    async def run(self, run_id: str) -> Run: ...
    def events(self, run_id: str, after: int = 0) -> Any: ...
    async def inputs(self, run_id: str) -> dict[str, Any]: ...
    async def outputs(self, run_id: str) -> dict[str, Any]: ...
    async def cancel(self, run_id: str) -> Run: ...
    async def pause(self, run_id: str) -> Run: ...
    async def resume(self, run_id: str) -> Run: ...
    async def retry(self, run_id: str) -> Run: ...


class RunModel(traitlets.HasTraits):  # type: ignore[misc]
    """One run: what it is, its progress so far, and its results when it has ended.

    Traits
    ------
    run
        The API's Run as a dict; empty when no run is open.
    progress
        All lines of live progress so far, oldest first.
    steps
        All ``step`` events so far.
    inputs, outputs
        By name; outputs are filled when the run has ended.
    connection
        ``idle``, ``live``, or ``lost`` while the service does not answer (it is tried again and again).
    error
        The exception that stopped following, for example of a run that does not exist.
    """

    run = traitlets.Dict()
    progress = traitlets.List()
    steps = traitlets.List()
    inputs = traitlets.Dict()
    outputs = traitlets.Dict()
    connection = traitlets.Unicode("idle")
    error = traitlets.Any(allow_none=True)

    def __init__(self, api: Api, delays: tuple[float, ...] = REOPEN_DELAYS) -> None:
        super().__init__()
        self._api = api
        self._delays = delays
        self._task: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return str(self.run.get("id", ""))

    @property
    def ended(self) -> bool:
        return self.run.get("state") in ENDED_STATES

    def open(self, run_id: str) -> asyncio.Task[None]:
        """Follow ``run_id`` instead of whatever was followed; the task ends when the run has ended and is read."""
        self.close()
        with self.hold_trait_notifications():
            self.run = {}
            self.progress, self.steps, self.inputs, self.outputs = [], [], {}, {}
            self.error = None
        self._task = asyncio.ensure_future(self._follow(run_id))
        return self._task

    def close(self) -> None:
        """Stop following. The run goes on."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.connection = "idle"

    def forget(self) -> None:
        """Stop following and show no run."""
        self.close()
        with self.hold_trait_notifications():
            self.run = {}
            self.progress, self.steps, self.inputs, self.outputs = [], [], {}, {}
            self.error = None

    async def cancel(self) -> None:
        """Ask for the run to be cancelled."""
        await self._act(self._api.cancel)

    async def pause(self) -> None:
        """Ask for the run to pause."""
        await self._act(self._api.pause)

    async def resume(self) -> None:
        """Let a paused run go on."""
        await self._act(self._api.resume)

    async def retry(self) -> str:
        """Have the same run done again; returns the new run's id and follows it."""
        fresh = await self._api.retry(self.id)
        self.open(fresh.id)
        return fresh.id

    async def _act(self, call: Callable[[str], Awaitable[Run]]) -> None:
        self.run = dump(await call(self.id))

    async def _follow(self, run_id: str) -> None:
        after, failures = 0, 0
        while True:
            try:
                run = dump(await self._api.run(run_id))
                if not self.inputs:
                    self.inputs = await self._api.inputs(run_id)
                self.run = run
                self.connection = "live"
                async for event in self._api.events(run_id, after):
                    after, failures = event.seq, 0
                    self.connection = "live"
                    self._take(event.type, event.data)
                run = dump(await self._api.run(run_id))
                outputs = await self._api.outputs(run_id)
                with self.hold_trait_notifications():
                    self.outputs = outputs
                    self.run = run
                    self.connection = "idle"
                return
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if not temporary(error):
                    self.connection = "idle"
                    self.error = error
                    return
                self.connection = "lost"
                await asyncio.sleep(self._delays[min(failures, len(self._delays) - 1)])
                failures += 1

    def _take(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "progress":
            self.progress = [*self.progress, data]
        elif kind == "step":
            self.steps = [*self.steps, data]
        # The end is shown together with the results, when they are read.
        elif kind == "state" and data.get("state") not in ENDED_STATES:
            self.run = {**self.run, **{k: v for k, v in data.items() if k in {"state", "paused"}}}


def temporary(error: BaseException) -> bool:
    """Whether trying again later can help: the service is out of reach, or says that it is for now."""
    if type(error).__module__.partition(".")[0] == "httpx" or isinstance(error, OSError | TimeoutError):
        return True
    return getattr(error, "status", None) in {429, 502, 503, 504}


def dump(run: Run) -> dict[str, Any]:
    """A run as plain JSON."""
    return run.model_dump(mode="json", by_alias=True)
