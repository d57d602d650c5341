"""The view of a run's state, with what can be done about it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import traitlets

from simdeck_widgets.base import View, script, style
from simdeck_widgets.run_model import RunModel

MAX_DOWNLOAD = 200_000_000
"""Bytes brought through the page's connection; larger archives are fetched from the deck's page of the run."""


class RunMonitor(View):
    """Shows a :class:`~simdeck_widgets.run_model.RunModel` and carries out cancel, pause, resume, retry and download.

    Parameters
    ----------
    describe
        Turns the model into (sentence, fraction done or −1).
    failed
        Told of an action's exception.
    """

    _esm = script("run")
    _css = style()
    run = traitlets.Dict().tag(sync=True)
    step = traitlets.Unicode().tag(sync=True)
    fraction = traitlets.Float(-1).tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Unicode().tag(sync=True)
    actions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    addressed = traitlets.Bool(True).tag(sync=True)

    def __init__(
        self,
        model: RunModel,
        *,
        archive: Callable[[str, Path], Awaitable[Any]] | None = None,
        describe: Callable[[RunModel], tuple[str, float]] | None = None,
        failed: Callable[[BaseException], None] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.model = model
        self._archive = archive
        self._describe = describe or generic_step
        self._failed = failed or (lambda error: None)
        model.observe(lambda _: self.refresh(), ["run", "progress", "steps", "connection"])
        for name, call in {
            "cancel": model.cancel,
            "pause": model.pause,
            "resume": model.resume,
            "retry": model.retry,
        }.items():
            self.when(name, lambda *_, name=name, call=call: self.perform(name, call))
        self.when("archive", lambda *_: self.perform("archive", self.download))
        self.refresh()

    def refresh(self) -> None:
        """Show the model's present state."""
        model = self.model
        sentence, fraction = self._describe(model) if model.run else ("", -1.0)
        with self.hold_sync():
            self.run = {k: v for k, v in model.run.items() if k not in {"progress", "summary", "problem"}}
            self.step = sentence
            self.fraction = fraction
            self.note = (
                "The service does not answer; trying again. Your runs go on." if model.connection == "lost" else
                "" if model.ended or not model.run else
                "You may close this page: the run goes on, and the deck's list of runs brings you back here."
            )  # fmt: skip
            self.actions = offered(model.run, self._archive is not None)

    def perform(self, name: str, call: Callable[[], Awaitable[Any]]) -> asyncio.Task[None]:
        """Carry out an action once, showing that it is under way."""

        async def work() -> None:
            self.busy = name
            try:
                await call()
            except Exception as error:
                self._failed(error)
            finally:
                self.busy = ""

        return asyncio.ensure_future(work())

    async def download(self) -> None:
        """Fetch the run's archive and hand it to the browser as a file."""
        if self._archive is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.zip"
            await self._archive(self.model.id, path)
            size = path.stat().st_size
            if size > MAX_DOWNLOAD:
                self.note = f"The archive is {size / 1e6:.0f} MB; download it from the run's page on the deck."
                return
            name = f"{file_name(self.model.run.get('title') or 'run')}-{self.model.id[:8]}.zip"
            self.send({"type": "save", "name": name, "mime": "application/zip"}, buffers=[path.read_bytes()])


def offered(run: dict[str, Any], archive: bool) -> list[str]:
    """The actions that make sense for a run now, the likeliest first."""
    state = run.get("state")
    if state is None:
        return []
    if state in {"accepted", "running"}:
        return (
            ["resume" if run.get("paused") else "pause", "cancel", "new"] if state == "running" else ["cancel", "new"]
        )
    download = ["archive"] if archive and state != "rejected" else []
    again = ["retry"] if state in {"failed", "cancelled"} else []
    return ["change", *again, *download, "new"]


def generic_step(model: RunModel) -> tuple[str, float]:
    """The last progress line in words, where an app has none of its own."""
    last = model.progress[-1] if model.progress else {}
    return str(last.get("message") or last.get("stage") or ""), -1.0


def file_name(title: str) -> str:
    """A title as a file name: letters, digits and dashes."""
    kept = "".join(c if c.isalnum() else "-" for c in title).strip("-")
    while "--" in kept:
        kept = kept.replace("--", "-")
    return kept[:60] or "run"
