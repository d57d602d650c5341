"""The workflow backend as the agent sees it. No AiiDA here: that is the worker's, reached over a Unix socket.

What a caller asks is written into the run store before anything happens; the worker is then nudged, or started, and
does it. So a request survives the death of either, and reading runs, events and outputs needs no worker at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simdeck_common.layout import UserHome
from simdeck_common.problems import Problem

from simdeck_workflows import clusters, codes, policy, pseudopotentials
from simdeck_workflows.backend_keeping import Keeping
from simdeck_workflows.backend_parts import check, pieces, release, title_of
from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.codes import RunCode
from simdeck_workflows.drawing import draw
from simdeck_workflows.environments import Environments
from simdeck_workflows.installed import InstalledWorkflows
from simdeck_workflows.models import (
    Event,
    FileEntry,
    Run,
    RunPage,
    RunRequest,
    RunState,
    Workflow,
)
from simdeck_workflows.notices import Notices
from simdeck_workflows.policy import NoticeSettings, RunPolicy
from simdeck_workflows.pseudopotentials import RunFamily
from simdeck_workflows.run_records import Records
from simdeck_workflows.ssh_keys import KeyStore
from simdeck_workflows.store import Store, digest, new_run
from simdeck_workflows.supervisor import Supervisor
from simdeck_workflows.sweeps import Sweep, SweepRequest, SweepTable, inputs_at, label, points

_EVENTS_AT_LEAST_EVERY = 2.0
_NOTICES_EVERY = 2.0
KEY_INPUT = "vault_id"
"""The input that names an SSH key of the user's, as HPCWaaS calls it."""

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class BackendSettings:
    """Python of the backend's environment, after how many seconds without work a worker ends, and a site's clusters.

    The first cluster is the default; without any, calculations run on this machine.
    """

    backend_python: Path
    worker_idle_seconds: float = 600.0
    clusters: tuple[RunCluster, ...] = ()
    codes: tuple[RunCode, ...] = ()
    pseudopotentials: tuple[RunFamily, ...] = ()
    notices: NoticeSettings = field(default_factory=NoticeSettings)
    policy: RunPolicy = field(default_factory=RunPolicy)
    user: str = ""
    site_apps: Path | None = None


class Backend(Keeping):
    """Runs of one user. Methods raise ``Problem``; see the catalogue's group "workflow backend"."""

    def __init__(self, home: UserHome, settings: BackendSettings) -> None:
        self._home = home
        self._clusters = settings.clusters
        self._codes = settings.codes
        self._families = settings.pseudopotentials
        self._policy = settings.policy
        self._user = settings.user
        self._store = Store(home.workflows / "runs.sqlite")
        self._installed = InstalledWorkflows(home.apps)
        self._environments = Environments(home, settings.backend_python, settings.site_apps)
        self.ssh_keys = KeyStore(home.workflows / "ssh_keys")
        self.records = Records(self._store)
        self.notices = Notices(self._store, settings.notices, settings.user)
        self._telling: asyncio.Task[None] | None = None
        self._ends = asyncio.Event()
        self._readers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._supervisor = Supervisor(
            home,
            self._environments.python,
            settings.worker_idle_seconds,
            needed=self._store.any_unfinished,
            on_changed=self._changed,
        )

    async def start(self) -> None:
        """Begin to look after the worker: one is started at once if runs are unfinished."""
        changed = clusters.write(self._home, self._clusters)
        changed = codes.write(self._home, self._codes) or changed
        changed = pseudopotentials.write(self._home, self._families) or changed
        if policy.write(self._home, self._user, self._policy) or changed:
            # A worker that lives knows the clusters and limits of before.
            await self._supervisor.end_worker()
        await self._supervisor.start()
        self._telling = asyncio.create_task(self._tell_ends())

    async def stop(self) -> None:
        """Let go of the worker, which lives on, and close the store."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        await self._supervisor.stop()
        self._store.close()

    async def reload(self) -> None:
        """Apps have changed: end the worker, so that the next one finds the new workflow folders. Runs go on.

        Where the next worker gets another environment, a worker with runs is left to finish them; it hands them over
        only when a run needs what is new.
        """
        if not (self._store.any_unfinished() and await asyncio.to_thread(self._environments.is_other)):
            await self._supervisor.end_worker()

    def worker_state(self) -> dict[str, Any]:
        """``{"state": "running" | "starting" | "failing" | "idle", "reason": …}``."""
        return self._supervisor.state()

    # --- workflows -----------------------------------------------------------------------------------------------

    def workflows(self) -> list[Workflow]:
        return [clusters.offer(workflow, self._clusters) for workflow in self._installed.all()]

    def workflow(self, name: str) -> Workflow:
        """Raises ``workflow-not-found``."""
        return clusters.offer(self._installed.get(name), self._clusters)

    async def validate(self, name: str, inputs: dict[str, Any]) -> None:
        """Check inputs by the JSON Schema and then by the process spec. Raises ``invalid-input``."""
        workflow = self.workflow(name)
        self._check(workflow, inputs)
        await self._supervisor.call(
            "validate", workflow=name, inputs=inputs, app=workflow.app, app_version=workflow.app_version
        )

    # --- runs ----------------------------------------------------------------------------------------------------

    def submit(self, request: RunRequest, idempotency_key: str | None = None) -> Run:
        """Accept a run; it is durable when this returns. The app's version is fixed here.

        Raises
        ------
        Problem
            ``workflow-not-found``, ``invalid-input`` (by the JSON Schema), ``idempotency-conflict``.
        """
        workflow = self.workflow(request.workflow)
        self._check(workflow, request.inputs)
        run = new_run(
            workflow.name, workflow.app, workflow.app_version, request.title or title_of(workflow, request.inputs)
        ).model_copy(update={"priority": request.priority, "reuse": request.reuse})
        accepted = self._store.accept(
            run,
            request.inputs,
            key=idempotency_key,
            digest=digest(request.model_dump(mode="json", exclude_defaults=True)),
            notify=request.notify,
        )
        self._supervisor.nudge()
        return accepted

    def retry(
        self,
        run_id: str,
        idempotency_key: str | None = None,
        changes: dict[str, Any] | None = None,
        reuse: bool = False,
    ) -> Run:
        """Accept an ended run's inputs anew, for the app's present version.

        ``changes``: inputs that shall be others this time; null takes one away. Raises ``run-not-ended``.
        """
        old = self._store.get(run_id)
        if not old.state.ended:
            raise Problem("run-not-ended")
        workflow = self.workflow(old.workflow)
        inputs = {**self._store.inputs(run_id), **(changes or {})}
        inputs = {name: value for name, value in inputs.items() if value is not None or name not in (changes or {})}
        self._check(workflow, inputs)
        run = new_run(workflow.name, workflow.app, workflow.app_version, old.title, retry_of=run_id)
        run = run.model_copy(update={"priority": old.priority, "reuse": reuse})
        asked = {"retry": run_id} | ({"inputs": changes} if changes else {}) | ({"reuse": True} if reuse else {})
        accepted = self._store.accept(run, inputs, key=idempotency_key, digest=digest(asked))
        self._supervisor.nudge()
        return accepted

    # --- sweeps --------------------------------------------------------------------------------------------------

    def sweep(self, request: SweepRequest, idempotency_key: str | None = None) -> Sweep:
        """Accept a sweep: all its runs, or none. Raises what ``submit`` does."""
        workflow = self.workflow(request.workflow)
        title = request.title or f"{workflow.title}: {', '.join(request.vary)}"
        rows = []
        for point in points(request):
            inputs = inputs_at(request, point)
            self._check(workflow, inputs)
            made = new_run(workflow.name, workflow.app, workflow.app_version, f"{title}: {label(point)}"[:200])
            rows.append((made.model_copy(update={"priority": request.priority, "reuse": request.reuse}), inputs, point))
        asked = digest(request.model_dump(mode="json", exclude_defaults=True))
        found = self.records.accept_sweep(request, title, rows, key=idempotency_key, digest=asked)
        self._supervisor.nudge()
        return found

    async def cancel_sweep(self, number: str) -> SweepTable:
        """Want all runs of a sweep cancelled that have not ended."""
        for run_id in await asyncio.to_thread(self.records.unfinished_in, number):
            with contextlib.suppress(Problem):
                await self.cancel(run_id)
        return await asyncio.to_thread(self.records.sweep, number)

    # --- lists, wishes -------------------------------------------------------------------------------------------

    def list_runs(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        state: RunState | None = None,
        workflow: str | None = None,
        app: str | None = None,
        sweep: str | None = None,
        only: Collection[str] | None = None,
    ) -> RunPage:
        return self._store.page(
            limit=limit, cursor=cursor, state=state, workflow=workflow, app=app, sweep=sweep, only=only
        )

    def run(self, run_id: str) -> Run:
        return self._store.get(run_id)

    def rename(self, run_id: str, title: str) -> Run:
        return self._store.rename(run_id, title)

    async def cancel(self, run_id: str) -> Run:
        """Want the run cancelled. It is when its state says so; its calculations are dead by then."""
        run = self._store.want_cancel(run_id)
        self._told(run_id)
        return run

    async def pause(self, run_id: str) -> Run:
        """Want the run to rest: no further step begins. A calculation that runs goes on to its end."""
        run = self._store.set_paused(run_id, True)
        self._told(run_id)
        return run

    async def resume(self, run_id: str) -> Run:
        run = self._store.set_paused(run_id, False)
        self._told(run_id)
        return run

    def active(self) -> bool:
        """Whether any run is unfinished, or an ended one's notice has not been taken yet."""
        return self._store.any_unfinished() or self.notices.pending()

    def versions_in_use(self, app: str) -> set[str]:
        return self._store.versions_in_use(app)

    async def events(self, run_id: str, after: int = 0) -> AsyncIterator[Event]:
        """The run's events with ``seq`` above ``after``, as they come; ends after the run has ended."""
        self._store.get(run_id)
        changed = asyncio.Event()
        self._readers[run_id].add(changed)
        try:
            while True:
                changed.clear()
                # State first: what was told before it had ended is then certainly among the events read next.
                ended = self._store.get(run_id).state.ended
                found = self._store.events(run_id, after)
                for event in found:
                    after = event.seq
                    yield event
                if found:
                    continue
                if ended:
                    return
                # The worker tells of changes; looking by oneself is for when it just died.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_EVENTS_AT_LEAST_EVERY):
                        await changed.wait()
        finally:
            self._readers[run_id].discard(changed)
            if not self._readers[run_id]:
                del self._readers[run_id]

    async def history(self, run_id: str, after: int = 0, limit: int = 500, wait: float = 0.0) -> list[Event]:
        """At most ``limit`` events after ``after``; where there are none, wait up to ``wait`` seconds for some."""
        if found := self._store.events(run_id, after, limit):
            return found
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                async for _event in self.events(run_id, after):
                    break
        return self._store.events(run_id, after, limit)

    # --- what a run holds ----------------------------------------------------------------------------------------

    def inputs(self, run_id: str) -> dict[str, Any]:
        return self._store.inputs(run_id)

    def outputs(self, run_id: str) -> dict[str, Any]:
        """The outputs by name; empty until the run has ended."""
        return self._store.outputs(run_id) or {}

    async def files(self, run_id: str) -> list[FileEntry]:
        return [FileEntry.model_validate(item) for item in await self._of_process(run_id, "files", [])]

    async def open_file(self, run_id: str, path: str) -> AsyncIterator[bytes]:
        """Return the bytes of a file, piece by piece. Raises ``run-file-not-found`` before the first piece."""
        if self._store.get(run_id).process is None:
            raise Problem("run-file-not-found", path=path)
        return pieces(Path(await self._supervisor.call("export", run=run_id, path=path)))

    async def log(self, run_id: str) -> str:
        return str(await self._of_process(run_id, "log", ""))

    async def graph(self, run_id: str) -> dict[str, Any]:
        """``{nodes, edges}``: see ``simdeck_workflows.engine.graph``."""
        return dict(await self._of_process(run_id, "graph", {"nodes": [], "edges": []}))

    async def graph_svg(self, run_id: str) -> str:
        return draw(await self.graph(run_id), self._store.get(run_id).title)

    async def archive(self, run_id: str) -> Path:
        """Write the run as a zip file and return its path. Give it to ``release`` after use."""
        self._store.get(run_id)
        return Path(await self._supervisor.call("archive", run=run_id))

    @staticmethod
    def release(path: Path) -> None:
        """Delete a file that was handed over, with its folder."""
        release(path)

    # --- below ---------------------------------------------------------------------------------------------------

    async def _tell_ends(self) -> None:
        """Tell those who asked that a run has ended. A run's end wakes this; the clock sees to what is tried again."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_NOTICES_EVERY):
                    await self._ends.wait()
            ended = self._ends.is_set()
            self._ends.clear()
            try:
                if ended:
                    await self._move_if_idle()
                await self.notices.send_due()
            except Exception:
                LOG.exception("notices could not be sent; they are tried again")

    async def _move_if_idle(self) -> None:
        """Have a worker that has finished its runs end where the next one gets another environment."""
        if not self._store.any_unfinished() and await asyncio.to_thread(self._environments.is_other):
            await self._supervisor.end_worker()

    def _check(self, workflow: Workflow, inputs: dict[str, Any]) -> None:
        check(workflow, inputs)
        self._environments.check(workflow.app)
        key = inputs.get(KEY_INPUT)
        if isinstance(key, str) and key and KEY_INPUT in workflow.input_schema.get("properties", {}):
            try:
                self.ssh_keys.get(key)
            except Problem as problem:
                raise Problem("ssh-key-gone", field=KEY_INPUT, key=key) from problem

    def _told(self, run_id: str) -> None:
        self._changed(run_id)
        self._supervisor.nudge()

    def _changed(self, run_id: str) -> None:
        self._ends.set()
        for reader in self._readers.get(run_id, ()):
            reader.set()
