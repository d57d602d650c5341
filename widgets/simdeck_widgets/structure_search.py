"""Searching databases of structures."""

from __future__ import annotations

import asyncio
from typing import Any

import traitlets

from simdeck_widgets.base import View, script, style
from simdeck_widgets.optimade_model import OptimadeModel


class StructureSearch(View):
    """Shows an :class:`~simdeck_widgets.optimade_model.OptimadeModel`: database, question, answers to choose from."""

    _esm = script("search")
    _css = style()
    providers = traitlets.List().tag(sync=True)
    provider = traitlets.Unicode().tag(sync=True)
    results = traitlets.List().tag(sync=True)
    searched = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    chosen = traitlets.Unicode().tag(sync=True)
    example = traitlets.Unicode("SiO2, or Si O").tag(sync=True)

    def __init__(self, model: OptimadeModel, **traits: Any) -> None:
        super().__init__(**traits)
        self.model = model
        self._tasks: set[asyncio.Task[None]] = set()
        self.providers = [{"id": one.id, "title": one.title} for one in model.providers]
        traitlets.link((model, "provider"), (self, "provider"))
        for name in ("results", "searched", "busy", "error", "chosen"):
            traitlets.dlink((model, name), (self, name))
        self.when("search", lambda said, _: self._do(model.search(str(said["text"])[:200])))
        self.when("choose", lambda said, _: self._do(model.choose(str(said["id"]))))

    def _do(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
