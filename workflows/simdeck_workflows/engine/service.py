"""What the agent may ask of the worker (JSON-RPC methods). Ids in, JSON out; files are handed over as paths."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simdeck_common.layout import UserHome, private_dir
from simdeck_common.problems import Problem

from simdeck_workflows.engine import outputs, scratch
from simdeck_workflows.engine.archive import write_archive
from simdeck_workflows.engine.citations import citations
from simdeck_workflows.engine.graph import graph_of
from simdeck_workflows.models import Workflow
from simdeck_workflows.rpc import Handler
from simdeck_workflows.store import Store

if TYPE_CHECKING:
    from simdeck_workflows.engine.runs import Runs
    from simdeck_workflows.engine.worker import Worker


class Service:
    """The methods, by name: see ``handlers``."""

    runs: Runs

    def __init__(self, home: UserHome, store: Store, worker: Worker) -> None:
        self._home = home
        self._store = store
        self._worker = worker

    def handlers(self) -> dict[str, Handler]:
        methods: list[Callable[..., Any]] = [
            self.nudge, self.status, self.stop, self.validate, self.outputs, self.files, self.export, self.log,
            self.graph, self.archive, self.deletion, self.delete,
            self.provenance, self.crate, self.citations, self.take_in, self.scratch, self.clean_scratch,
        ]  # fmt: skip
        return {method.__name__: self._used(method) for method in methods}

    def _used(self, method: Callable[..., Any]) -> Handler:
        async def handler(**params: Any) -> Any:
            self._worker.touch()
            return await method(**params)

        return handler

    async def nudge(self) -> None:
        """Something was written into the store."""
        self._worker.nudge()

    async def status(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "started": self._worker.started, "uptime": time.time() - self._worker.started}

    async def stop(self) -> None:
        """End now; what runs is carried on by the next worker."""
        self._worker.stop()

    async def validate(self, workflow: str, inputs: dict[str, Any], app: str, app_version: str) -> None:
        if self.runs.is_stale(app):
            # Not answered: the caller asks the next worker, which knows the app as it is now.
            self.runs.hand_over()
            await asyncio.Event().wait()
        self.runs.validate(workflow, inputs, app, app_version)

    async def outputs(self, run: str) -> dict[str, Any]:
        """The outputs so far."""
        node = self.runs.node(self._store.get(run))
        return {} if node is None else outputs.outputs(node)

    async def files(self, run: str) -> list[dict[str, Any]]:
        node = self.runs.node(self._store.get(run))
        return [] if node is None else [place.entry.model_dump(mode="json") for place in outputs.files(node)]

    async def export(self, run: str, path: str) -> str:
        """Copy one file of a run to a place where the caller can read it; the caller deletes the copy's folder."""
        node = self.runs.node(self._store.get(run))
        place = next((place for place in outputs.files(node) if place.entry.path == path), None) if node else None
        if place is None:
            raise Problem("run-file-not-found", path=path)
        target = self._handover() / "file"
        with place.node.base.repository.open(place.inner, "rb") as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        return str(target)

    async def log(self, run: str) -> str:
        node = self.runs.node(self._store.get(run))
        return "" if node is None else outputs.log(node)

    async def graph(self, run: str) -> dict[str, Any]:
        node = self.runs.node(self._store.get(run))
        return {"nodes": [], "edges": []} if node is None else graph_of(node)

    async def archive(self, run: str) -> str:
        """Write the run as a zip file; the caller deletes its folder."""
        found = self._store.get(run)
        node = self.runs.node(found)
        target = self._handover() / f"{found.workflow}-{found.id[:8]}.zip"
        values = self._store.outputs(run) if found.state.ended else None
        if values is None:
            values = {} if node is None else outputs.outputs(node)
        write_archive(target, found, self._store.inputs(run), values, node)
        return str(target)

    async def deletion(self, run: str) -> dict[str, Any]:
        """What deleting the run takes away."""
        return self.runs.deletion(self._store.get(run))

    async def delete(self, run: str) -> None:
        """Delete the run's nodes and working directories; its record is the caller's."""
        found = self._store.get(run)
        if not found.state.ended:
            raise Problem("run-not-ended")
        self.runs.delete(found)

    async def provenance(self, run: str) -> str:
        """Write the run as an AiiDA archive; the caller deletes its folder."""
        from simdeck_workflows.engine import exchange

        target = self._handover() / "run.aiida"
        exchange.write_aiida(target, self._ended_node(run))
        return str(target)

    async def crate(self, run: str, workflow: dict[str, Any], user: str, license: str | None) -> str:
        """Write the run as a Workflow Run RO-Crate; the caller deletes its folder."""
        from simdeck_workflows.engine import crate, exchange
        from simdeck_workflows.engine.runs import process_class

        found, node = self._store.get(run), self._ended_node(run)
        target = self._handover() / "crate.zip"
        archive = target.with_name("run.aiida")
        exchange.write_aiida(archive, node)
        try:
            process = process_class(found.workflow)
        except Problem:
            process = None
        crate.write_crate(
            target,
            found,
            Workflow.model_validate(workflow),
            process,
            self._store.inputs(run),
            self._store.outputs(run) or {},
            node,
            user=user,
            apps=self._home.apps,
            archive=archive,
            license=license,
        )
        return str(target)

    async def citations(self, run: str) -> list[dict[str, Any]]:
        """What to cite for the run."""
        found = self._store.get(run)
        version = self._home.apps / found.app / "versions" / found.app_version
        return citations(self.runs.node(found), version)

    async def take_in(self, path: str) -> list[dict[str, Any]]:
        """Take in an AiiDA archive; return its top processes as records of runs."""
        from simdeck_workflows.engine import exchange

        return [exchange.record_of(node) for node in exchange.read_aiida(Path(path))]

    async def scratch(self) -> dict[str, Any]:
        """What working directories take."""
        return scratch.look(self.runs.scratch())

    async def clean_scratch(self, older_than_days: float) -> dict[str, int]:
        """Remove the working directories of ended runs."""
        return scratch.clean(self.runs.scratch(), older_than_days)

    def _ended_node(self, run: str) -> Any:
        found = self._store.get(run)
        if not found.state.ended:
            raise Problem("run-not-ended")
        if (node := self.runs.node(found)) is None:
            raise Problem("run-without-process")
        return node

    def _handover(self) -> Path:
        base = private_dir(self._home.workflows / "handover")
        return Path(tempfile.mkdtemp(dir=base))
