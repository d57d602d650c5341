"""The part of the backend that keeps, gives away and throws away what runs have made."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from simdeck_common.layout import UserHome, private_dir
from simdeck_common.problems import Problem

from simdeck_workflows.backend_parts import release
from simdeck_workflows.diff import RunDiff, diff_runs
from simdeck_workflows.installed import InstalledWorkflows
from simdeck_workflows.models import Cleaned, Deletion, Run, Scratch, Workflow
from simdeck_workflows.run_records import Records
from simdeck_workflows.store import Store
from simdeck_workflows.supervisor import Supervisor


class Keeping:
    """Deletion, comparison, exports, imports, scratch: see ``Backend``, which this is a part of."""

    _home: UserHome
    _user: str
    _store: Store
    _installed: InstalledWorkflows
    _supervisor: Supervisor
    records: Records

    async def deletion(self, run_id: str) -> Deletion:
        """What deleting a run takes away. Raises ``run-not-ended``, ``run-in-use``."""
        run = self._store.get(run_id)
        if not run.state.ended:
            raise Problem("run-not-ended")
        return Deletion(run=run, **(await self._of_process(run_id, "deletion", {})))

    async def delete(self, run_id: str) -> None:
        """Delete a run: provenance, files, working directories, its record. Raises as ``deletion`` does."""
        await self.deletion(run_id)
        await self._of_process(run_id, "delete", None)
        await asyncio.to_thread(self.records.delete, run_id)

    def diff(self, left: str, right: str) -> RunDiff:
        """What differs between two runs. Raises ``run-not-found``."""
        runs = self._store.get(left), self._store.get(right)
        inputs = self._store.inputs(left), self._store.inputs(right)
        return diff_runs(runs, inputs, (self._store.outputs(left) or {}, self._store.outputs(right) or {}))

    async def export(self, run_id: str, kind: str, license: str | None = None) -> Path:
        """Write an ended run as ``aiida`` (archive) or ``crate`` (RO-Crate). Give the path to ``release`` after use."""
        run = self._store.get(run_id)
        if kind == "aiida":
            return Path(await self._supervisor.call("provenance", run=run_id))
        try:
            workflow = self._installed.get(run.workflow)
        except Problem:
            workflow = Workflow(name=run.workflow, title=run.workflow, schema={})
        asked = {"workflow": workflow.model_dump(mode="json", by_alias=True), "user": self._user, "license": license}
        return Path(await self._supervisor.call("crate", run=run_id, **asked))

    async def citations(self, run_id: str) -> list[dict[str, Any]]:
        """What to cite for a run: ``[{kind, text, doi?, version?}]``."""
        self._store.get(run_id)
        return list(await self._supervisor.call("citations", run=run_id))

    async def import_archive(self, pieces: AsyncIterator[bytes]) -> list[Run]:
        """Take in somebody's AiiDA archive; its top processes become ended runs. Raises ``archive-refused``."""
        base = private_dir(self._home.workflows / "handover")
        path = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=base)) / "archive.aiida"
        try:
            with path.open("wb") as stream:
                async for piece in pieces:
                    await asyncio.to_thread(stream.write, piece)
            found = await self._supervisor.call("take_in", path=str(path))
        finally:
            release(path)
        return [await asyncio.to_thread(self.records.note_imported, record) for record in found]

    async def scratch(self) -> Scratch:
        return Scratch.model_validate(await self._supervisor.call("scratch"))

    async def clean_scratch(self, older_than_days: float) -> Cleaned:
        """Remove the working directories of runs that ended so long ago; results stay."""
        found = await self._supervisor.call("clean_scratch", older_than_days=older_than_days)
        return Cleaned.model_validate(found)

    async def _of_process(self, run_id: str, method: str, nothing: Any) -> Any:
        if self._store.get(run_id).process is None:
            return nothing
        return await self._supervisor.call(method, run=run_id)
