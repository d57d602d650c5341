"""All servers of one hub as Slurm jobs: submits them, looks after them, ends them. Spawners are thin views of it.

Every step is written into the book first. A look at the queue, one for each cluster and shared by all servers, is held
against the book by ``judge``; what follows is done here, once, whoever else is waiting or has gone.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from simdeck_clusters.cluster import Cluster
from simdeck_clusters.executor import Executor, make_executor
from simdeck_clusters.models import Job, Snapshot
from simdeck_clusters.settings import ClusterSettings, SiteResources
from simdeck_clusters.watcher import Watcher
from simdeck_common.problems import Problem
from traitlets import Any as AnyTrait
from traitlets import Callable as CallableTrait
from traitlets import Float, Integer, Tuple, Unicode, default
from traitlets.config import LoggingConfigurable

from simdeck_spawners import dossier, judge
from simdeck_spawners.book import LIVE, PENDING, Book, Entry, Stage
from simdeck_spawners.files import PROGRAM, SCRIPT
from simdeck_spawners.nodes import Nodes
from simdeck_spawners.pace import Turns, agents_busy
from simdeck_spawners.points import crash_point
from simdeck_spawners.seal import Seal
from simdeck_spawners.tend import Tender

Files = Callable[[Entry], Awaitable[dict[str, Any]]]
"""Makes the files of a server's folder, by name; ``SCRIPT`` is submitted."""


class SlurmFleet(LoggingConfigurable):  # type: ignore[misc]
    """Configured as ``c.SlurmFleet.…``; one for each hub process."""

    data = Unicode(help="Simdeck's data folder; the book of servers and its key lie in `hub/` there.").tag(config=True)
    instance = Unicode(help="Id of the data folder, at least 8 characters; part of every job's name.").tag(config=True)
    api = Unicode(help="Base URL of the REST API as compute nodes reach it (SIMDECK_API).").tag(config=True)
    open_url = Unicode(
        "/services/deck/", help="The deck's page with the resource form; the hub's own spawn page leads there."
    ).tag(config=True)
    public = Unicode(help="Folder other parts read clusters' numbers from; empty: none is written.").tag(config=True)
    server = Tuple(
        default_value=(sys.executable, *PROGRAM),
        help="The server's program on compute nodes, where the environment names none of its own.",
    ).tag(config=True)
    launcher = Unicode(help="Path of simdeck-launch; empty: the clusters' own setting.").tag(config=True)
    site = AnyTrait(help="A simdeck_clusters.settings.SiteResources, or its fields as a dict.").tag(config=True)
    queue_timeout = Float(0.0, help="Seconds a job may wait in the queue; 0: for ever.").tag(config=True)
    boot_timeout = Float(300.0, help="Seconds from the job's start to the server's announcement.").tag(config=True)
    handshake_timeout = Float(120.0, help="Seconds from the announcement to the first answer.").tag(config=True)
    submit_limit = Integer(8, help="How many submissions may be under way at once.").tag(config=True)
    make_executor = CallableTrait(
        default_value=None, allow_none=True, help="Makes the Executor of a ClusterSettings; tests put theirs here."
    ).tag(config=True)

    clock = CallableTrait(time.time)
    watch_clock = AnyTrait(None, allow_none=True)

    @default("site")  # type: ignore[untyped-decorator]
    def _no_clusters(self) -> SiteResources:
        return SiteResources()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(self.site, SiteResources):
            self.site = SiteResources.model_validate(self.site)
        if len(self.instance) < 8:
            raise ValueError("c.SlurmFleet.instance must have at least 8 characters")
        folder = Path(self.data) / "hub"
        self.book = Book(folder / "servers.sqlite", self.instance, self.clock)
        self.seal = Seal(folder / "servers.key")
        self.clusters: dict[str, Cluster] = {}
        self.watchers: dict[str, Watcher] = {}
        for settings in self.site.clusters:
            cluster = Cluster(settings, self._executor(settings))
            self.clusters[settings.name] = cluster
            public = Path(self.public) if self.public else None
            busy = partial(agents_busy, Path(self.data))
            self.watchers[settings.name] = Watcher(cluster, public=public, clock=self.watch_clock, busy=busy)
        self.nodes = Nodes(self)
        self.tender = Tender(self)
        self.listeners: list[Callable[[str, Entry], None]] = []
        """Called with ``ended``, ``restarted`` or ``announced`` and the entry."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._launches: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._submissions = asyncio.Semaphore(self.submit_limit)
        self.ready = Turns()
        self._started = False
        self.pace = 1.0
        """What one second of waiting between two looks lasts; tests make it short."""

    def _executor(self, settings: ClusterSettings) -> Executor:
        own: Executor | None = self.make_executor(settings) if self.make_executor is not None else None
        return own or make_executor(settings, self.launcher or None)

    # --- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to look at the clusters' queues."""
        if self._started:
            return
        self._started = True
        for name, watcher in self.watchers.items():
            await watcher.start()
            self.spawn(self.tender.tend(name))

    async def stop(self) -> None:
        """Stop looking; jobs go on."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for watcher in self.watchers.values():
            await watcher.stop()
        self.book.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` beside everything else, until ``stop``."""
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log.error("Looking after servers met an error", exc_info=task.exception())

    # --- what is known ------------------------------------------------------------------------------------------

    def snapshot(self, cluster: str) -> Snapshot | None:
        """Return the last look at a cluster, or None before the first."""
        watcher = self.watchers.get(cluster)
        return watcher.snapshot if watcher is not None else None

    def snapshots(self) -> dict[str, Snapshot]:
        """Return the last look at each cluster."""
        found = {name: watcher.snapshot for name, watcher in self.watchers.items()}
        return {name: snapshot for name, snapshot in found.items() if snapshot is not None}

    def job(self, entry: Entry) -> Job | None:
        """Return the entry's job as last seen, when it has not ended."""
        snapshot = self.snapshot(entry.cluster)
        if snapshot is None:
            return None
        jobs = [job for job in snapshot.by_name.get(entry.job_name, ()) if not job.state.ended]
        return judge.ours(entry, jobs) if jobs else None

    def token(self, entry: Entry) -> str:
        """Return the entry's token."""
        return self.seal.open(entry.token)

    # --- waiting ------------------------------------------------------------------------------------------------

    async def changed(self, entry_id: str, seconds: float) -> None:
        """Return when something of the entry changed, or after ``seconds`` (times ``pace``)."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(entry_id, set()).add(waiter)
        try:
            await asyncio.wait([waiter], timeout=seconds * self.pace)
        finally:
            waiters = self._waiting.get(entry_id, set())
            waiters.discard(waiter)
            if not waiters:
                self._waiting.pop(entry_id, None)

    async def while_live(self, entry_id: str, work: Coroutine[Any, Any, bool]) -> bool:
        """Return what ``work`` does; False at once when the entry ends, for until then no new start is heard."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                entry = self.book.get(entry_id)
                if entry is None or entry.stage not in LIVE:
                    return False
                change = asyncio.ensure_future(self.changed(entry_id, 1))
                await asyncio.wait([task, change], return_when=asyncio.FIRST_COMPLETED)
                change.cancel()
            return task.result()
        finally:
            task.cancel()

    def notify(self, entry_id: str) -> None:
        """Wake whoever waits for the entry."""
        for waiter in self._waiting.get(entry_id, set()):
            if not waiter.done():
                waiter.set_result(None)

    def update(self, entry_id: str, **changes: Any) -> Entry:
        """Change the book and wake whoever waits for the entry."""
        entry = self.book.update(entry_id, **changes)
        self.notify(entry_id)
        return entry

    def move(self, entry_id: str, *stages: Stage, **changes: Any) -> Entry | None:
        """Change the book only while the entry is in one of ``stages``; return it, or None when it is not.

        Whoever has waited for anything since they read the entry changes its stage this way.
        """
        entry = self.book.get(entry_id)
        return self.update(entry_id, **changes) if entry is not None and entry.stage in stages else None

    def tell(self, what: str, entry: Entry) -> None:
        """Tell the hub's side what happened."""
        for listener in self.listeners:
            listener(what, entry)

    # --- starting -----------------------------------------------------------------------------------------------

    async def begin(self, user: str, server: str, cluster: str, options: dict[str, Any], token: str) -> Entry:
        """Write down that a server shall start. Nothing is done yet."""
        await crash_point("before-intent")
        entry = self.book.intend(user, server, cluster, options, self.seal.close(token))
        await crash_point("after-intent")
        return entry

    def launch(self, entry: Entry, files: Files) -> None:
        """Submit the entry's job unless it has one; goes on when the caller does not wait."""
        if entry.stage is Stage.INTENDED and entry.id not in self._launches:
            self._launches[entry.id] = self.spawn(self._launch(entry.id, files))

    async def _launch(self, entry_id: str, files: Files) -> None:
        try:
            pause = 1.0
            while True:
                entry = self.book.get(entry_id)
                if entry is None or entry.stage is not Stage.INTENDED:
                    return
                if await self._may_submit(entry):
                    async with self._submissions:
                        if await self._submit(entry, files):
                            return
                    pause = min(30.0, pause * 2)
                await self.changed(entry_id, pause)
        except Problem as problem:
            self.fail(entry_id, problem.to_json())
        except Exception as error:
            self.log.exception("Submitting %s failed", entry_id)
            self.fail(entry_id, Problem("server-submit-failed", reason=type(error).__name__).to_json())
        finally:
            self._launches.pop(entry_id, None)

    async def _may_submit(self, entry: Entry) -> bool:
        """Whether no job of this name can exist: none was tried, or all tries are long over and none is there."""
        if entry.tried is None:
            return True
        cluster = self.clusters[entry.cluster]
        # A killed hub's `sbatch` lives on until the launcher's own limit.
        if self.clock() <= entry.tried + cluster.settings.command_timeout:
            return False
        try:
            found = await cluster.find_by_name(entry.job_name, entry.user)
        except Problem:
            return False
        if found:
            job = found[0]
            submitted = job.submitted or self.clock()
            stage = judge.once_known(self.book.get(entry.id) or entry)
            self.move(entry.id, Stage.INTENDED, job_id=job.id, submitted=submitted, stage=stage)
        return not found

    async def _submit(self, entry: Entry, files: Files) -> bool:
        """Write the server's files and submit its job; return whether that is settled.

        Raises
        ------
        Problem
            Slurm, or the user's side, refused.
        """
        cluster = self.clusters[entry.cluster]
        tried = entry.tried
        try:
            contents = await files(entry)
            await crash_point("before-write")
            await cluster.write(entry.user, entry.job_name, contents)
            await crash_point("after-write")
            current = self.book.get(entry.id)
            if current is None or current.stage is not Stage.INTENDED:
                return True
            self.update(entry.id, tried=self.clock())
            job_id = await cluster.submit(entry.user, entry.job_name, contents[SCRIPT])
        except Problem as problem:
            if problem.code not in {"cluster-unavailable", "cluster-submit-unknown"}:
                raise
            self.log.warning("The job %s is not known to be submitted: %s", entry.job_name, problem.detail)
            if problem.code == "cluster-unavailable":
                self.update(entry.id, tried=tried)
            return False
        await crash_point("after-sbatch")
        current = self.book.get(entry.id)
        changes: dict[str, Any] = {"job_id": job_id, "submitted": self.clock()}
        if current is not None and current.stage is Stage.INTENDED:
            changes["stage"] = judge.once_known(current)
        self.update(entry.id, **changes)
        await crash_point("after-id")
        self.tender.look_soon(entry.cluster)
        return True

    def submitting(self, entry: Entry) -> bool:
        """Return whether a submission of the entry is under way in this process."""
        return entry.id in self._launches

    # --- announcing ---------------------------------------------------------------------------------------------

    async def announced(self, entry: Entry, port: int, remote: str) -> bool:
        """Take the port a server listens on; return False when it is not this server's turn to say so."""
        if entry.stage not in LIVE:
            return False
        node = await self.nodes.at(entry.cluster, remote)
        if entry.stage is Stage.RUNNING:
            if port == entry.port and node in (None, entry.node):
                return True
            # Perhaps its job was started again and we have not seen it yet; then nothing answers where it was.
            self.tender.look_soon(entry.cluster)
            if node is None or await self.nodes.answers(entry.host, entry.port):
                return False
            again = self.move(entry.id, Stage.RUNNING, stage=Stage.SUBMITTED, was_running=True, **judge.UNPLACED)
            if again is None:
                return False
            self.tell("restarted", again)
        await crash_point("during-handshake")
        host = await self.nodes.address(entry.cluster, node) if node else ""
        now = self.book.get(entry.id)
        if now is None or now.stage not in PENDING:
            return False
        stage = Stage.ANNOUNCED if now.job_id else Stage.INTENDED
        entry = self.update(entry.id, stage=stage, announced=self.clock(), port=port, host=host, node=node or "")
        if not host:
            self.tender.look_soon(entry.cluster)
        await crash_point("after-handshake")
        self.tell("announced", entry)
        return True

    # --- ending -------------------------------------------------------------------------------------------------

    async def end(self, entry_id: str, failure: dict[str, Any] | None = None) -> None:
        """Have the entry's job ended; ``failure`` says why when it was not asked for. Returns when Slurm was told."""
        entry = self.book.get(entry_id)
        if entry is None or entry.stage in (Stage.ENDING, Stage.ENDED):
            return
        await crash_point("before-ending")
        moved = self.move(entry_id, *LIVE, stage=Stage.ENDING, failure=failure)
        if moved is None:
            return
        entry = moved
        launch = self._launches.get(entry_id)
        if launch is not None:
            # What is being submitted must have its id before it can be cancelled.
            await asyncio.wait([launch])
        entry = self.book.get(entry_id) or entry
        if entry.job_id:
            await self.tender.cancel(entry)
        elif entry.tried is None and entry.stage is Stage.ENDING:
            self.update(entry_id, stage=Stage.ENDED, ended=self.clock())
        self.tender.look_soon(entry.cluster)

    async def give_up(self, entry_id: str, clock: str) -> None:
        """End a start whose ``clock`` (queue, boot, handshake) has run out, and say so."""
        entry = self.book.get(entry_id)
        if entry is None or entry.stage in (Stage.ENDING, Stage.ENDED):
            return
        job = self.job(entry)
        minutes = getattr(self, f"{clock}_timeout") / 60
        problem = Problem(
            f"server-{clock}-timeout", minutes=f"{minutes:g}", nodes=(job.nodes if job else entry.node) or "its node"
        )
        await self.end(entry_id, await dossier.with_log(self, entry, problem.to_json()))

    def fail(self, entry_id: str, problem: dict[str, Any]) -> None:
        """Write down that there is no job and why."""
        entry = self.book.get(entry_id)
        if entry is not None and entry.stage is not Stage.ENDED:
            failure = {**problem, "evidence": [], "log": "", "when": self.clock()}
            entry = self.update(entry_id, stage=Stage.ENDED, ended=self.clock(), failure=failure)
            self.tell("ended", entry)


_current: SlurmFleet | None = None


def current(config: Any = None) -> SlurmFleet:
    """Return this process's fleet, made from ``config`` when there is none yet."""
    global _current
    if _current is None:
        _current = SlurmFleet(config=config)
    return _current


def set_current(fleet: SlurmFleet | None) -> None:
    """Make ``fleet`` this process's; tests start over with ``None``."""
    global _current
    _current = fleet
