"""Looking after servers: each look at a cluster's queue is held against the book, and what follows is done.

Nothing here depends on who started a server or whether anybody waits for it, so a hub that comes back goes on where the
last one stopped.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from simdeck_clusters.models import Job, Snapshot
from simdeck_common.problems import Problem

from simdeck_spawners import dossier
from simdeck_spawners.book import PENDING, Entry, Stage
from simdeck_spawners.clocks import Clocks
from simdeck_spawners.judge import Verdict, judge, strays
from simdeck_spawners.points import crash_point

if TYPE_CHECKING:
    from simdeck_spawners.fleet import SlurmFleet

AGAIN_SECONDS = 60.0
"""A cancelled job that is still there after this is cancelled once more: slurmctld may have lost its state."""

ASK_SECONDS = 30.0
TICK_SECONDS = 0.2
"""How soon a new look is noticed; it costs a comparison."""
CLOCK_SECONDS = 1.0


class Tender:
    """Looks after the servers of one fleet."""

    def __init__(self, fleet: SlurmFleet) -> None:
        self.fleet = fleet
        self._seen: dict[str, tuple[Any, ...]] = {}
        self._ending: set[str] = set()
        self._strays: dict[tuple[str, str], float] = {}
        self._asking: set[str] = set()
        self._missed: dict[str, set[str]] = {}
        """Names of jobs that the last look at a cluster missed, while their end was not certain yet."""
        self._clocks: dict[str, Clocks] = {}
        self._late: set[str] = set()
        """Ids of starts that are being given up."""
        self.tick = TICK_SECONDS

    def look_soon(self, cluster: str) -> None:
        """Ask the cluster before its turn; the watcher keeps its own measure."""
        if cluster not in self._asking:
            self._asking.add(cluster)
            self.fleet.spawn(self._ask(cluster))

    async def _ask(self, cluster: str) -> None:
        try:
            await self.fleet.watchers[cluster].refresh(ASK_SECONDS)
        finally:
            self._asking.discard(cluster)

    async def tend(self, cluster: str) -> None:
        """Look after the servers of ``cluster`` at each look at its queue, until cancelled."""
        watcher = self.fleet.watchers[cluster]
        last: Snapshot | None = None
        timed = self.fleet.clock()
        while True:
            snapshot = watcher.snapshot
            try:
                if snapshot is not last or self._certain_now(cluster):
                    last = snapshot
                    await self.look(cluster, snapshot)
                if self.fleet.clock() - timed >= CLOCK_SECONDS:
                    timed = self.fleet.clock()
                    self._mind_clocks(cluster)
            except Exception:
                # Whatever goes wrong with one look must not leave servers without care.
                self.fleet.log.exception("Looking after the servers on %s", cluster)
            await asyncio.sleep(self.tick)

    def _certain_now(self, cluster: str) -> bool:
        """Whether a missed job is known to be gone since: that is asked after a look, maybe the last for long."""
        find = self.fleet.watchers[cluster].find
        return any((seen := find(name)) is not None and seen.gone for name in self._missed.get(cluster, ()))

    def _mind_clocks(self, cluster: str) -> None:
        """Give up servers that take too long: also one whose job was started again, for which nobody waits."""
        for entry in self.fleet.book.unfinished(cluster):
            if entry.stage not in PENDING:
                self._clocks.pop(entry.id, None)
            elif entry.id not in self._late:
                clocks = self._clocks.setdefault(entry.id, Clocks(self.fleet))
                late = clocks.late(entry, self.fleet.job(entry))
                if late is not None:
                    self._late.add(entry.id)
                    self.fleet.spawn(self._give_up(entry.id, late))

    async def _give_up(self, entry_id: str, clock: str) -> None:
        try:
            await self.fleet.give_up(entry_id, clock)
        finally:
            self._late.discard(entry_id)

    async def look(self, cluster: str, snapshot: Snapshot) -> None:
        """Carry out what one look means."""
        self._missed[cluster] = set()
        for entry in self.fleet.book.unfinished(cluster):
            try:
                await self._look_at(entry, snapshot)
            except Problem as problem:
                self.fleet.log.warning("%s: %s", entry.job_name, problem.detail)
        for job in strays(snapshot, self.fleet.instance, [one.job_name for one in self.fleet.book.unfinished()]):
            await self._cancel_stray(cluster, job)

    async def _look_at(self, entry: Entry, snapshot: Snapshot) -> None:
        fleet = self.fleet
        # Others of the same look may have taken their time.
        now = fleet.book.get(entry.id)
        if now is None or now.stage is Stage.ENDED:
            return
        entry = now
        verdict = judge(entry, snapshot)
        if verdict.changes:
            entry = fleet.update(entry.id, **verdict.changes)
        if entry.job_id:
            # While it is watched, the queue is asked often enough, and its end is made sure of.
            fleet.watchers[entry.cluster].track(entry.job_name, entry.user, entry.job_id)
        if verdict.restarted:
            fleet.log.warning("Slurm starts the job %s (%s) again", entry.job_id, entry.job_name)
            fleet.tell("restarted", entry)
        if verdict.job is not None:
            await self._place(entry, verdict.job)
        for job in verdict.cancel:
            if job is verdict.job:
                await self.cancel(entry)
            else:
                await self._cancel_stray(entry.cluster, job)
        if verdict.absent:
            await self._absent(entry)
        elif entry.stage is Stage.ENDING and entry.cancelled and fleet.clock() > entry.cancelled + AGAIN_SECONDS:
            fleet.update(entry.id, cancelled=None)
        facts = _facts(verdict, snapshot)
        if self._seen.get(entry.id) != facts:
            self._seen[entry.id] = facts
            fleet.notify(entry.id)

    async def _place(self, entry: Entry, job: Job) -> None:
        """Fill in, or put right, on which node the server is: Slurm's word counts."""
        if entry.stage not in (Stage.ANNOUNCED, Stage.RUNNING) or not job.state.running:
            return
        node = job.batch_host or job.nodes
        # What stands there may be a node's bare name, from before its address was known.
        if node and (node != entry.node or entry.host in ("", node)):
            host = await self.fleet.nodes.address(entry.cluster, node)
            if (node, host) == (entry.node, entry.host):
                return
            placed = self.fleet.move(entry.id, Stage.ANNOUNCED, Stage.RUNNING, node=node, host=host)
            if placed is not None:
                self.fleet.tell("announced", placed)

    # --- ending -------------------------------------------------------------------------------------------------

    async def cancel(self, entry: Entry) -> None:
        """End the entry's job, once; when Slurm cannot be asked, a later look does it."""
        if entry.id in self._ending or entry.cancelled is not None:
            return
        self._ending.add(entry.id)
        try:
            await crash_point("before-scancel")
            await self.fleet.clusters[entry.cluster].cancel(entry.user, entry.job_id)
            await crash_point("after-scancel")
            self.fleet.update(entry.id, cancelled=self.fleet.clock())
        except Problem as problem:
            self.fleet.log.warning("Cannot end job %s yet: %s", entry.job_id, problem.detail)
        finally:
            self._ending.discard(entry.id)

    async def _cancel_stray(self, cluster: str, job: Job) -> None:
        """End a job of ours that belongs to no server."""
        key = (cluster, job.id)
        now = self.fleet.clock()
        if now - self._strays.get(key, float("-inf")) < AGAIN_SECONDS:
            return
        self._strays[key] = now
        self.fleet.log.warning("Ending the stray job %s (%s) of %s", job.id, job.name, job.user)
        try:
            await self.fleet.clusters[cluster].cancel(job.user, job.id)
        except Problem as problem:
            self._strays.pop(key, None)
            self.fleet.log.warning("Cannot end the stray job %s yet: %s", job.id, problem.detail)

    async def _absent(self, entry: Entry) -> None:
        """The queue shows no job of this name: ask once more what became of it before anything is believed."""
        fleet = self.fleet
        if not entry.job_id:
            waited = fleet.clusters[entry.cluster].settings.command_timeout
            over = entry.tried is None or fleet.clock() > entry.tried + waited
            if entry.stage is Stage.ENDING and over and not fleet.submitting(entry):
                self._ended(fleet.update(entry.id, stage=Stage.ENDED, ended=fleet.clock()))
            return
        sighting = fleet.watchers[entry.cluster].find(entry.job_name)
        if sighting is None or not sighting.gone:
            self._missed.setdefault(entry.cluster, set()).add(entry.job_name)
            return
        failure = entry.failure
        if entry.stage is not Stage.ENDING or failure is not None:
            failure = await dossier.build(fleet, entry, sighting.end)
        await crash_point("before-end")
        current = fleet.book.get(entry.id)
        if current is None or current.stage is Stage.ENDED:
            return
        if current.stage is Stage.ENDING and current.failure is None:
            # It was asked to end while we looked.
            failure = None
        self._ended(fleet.update(entry.id, stage=Stage.ENDED, ended=fleet.clock(), failure=failure))

    def _ended(self, entry: Entry) -> None:
        self._seen.pop(entry.id, None)
        self._clocks.pop(entry.id, None)
        self.fleet.watchers[entry.cluster].forget(entry.job_name)
        self.fleet.tell("ended", entry)
        if entry.failure is None:
            self.fleet.spawn(self._clean(entry))

    async def _clean(self, entry: Entry) -> None:
        """Remove a stopped server's folder: its token is dead, its log is nobody's need."""
        try:
            await self.fleet.clusters[entry.cluster].clean(entry.user, entry.job_name)
        except Problem as problem:
            self.fleet.log.info("The folder of %s stays: %s", entry.job_name, problem.detail)


def _facts(verdict: Verdict, snapshot: Snapshot) -> tuple[Any, ...]:
    """What a person who waits would see change."""
    job = verdict.job
    if job is None:
        return (verdict.absent, snapshot.unknown_since)
    return (job.state, job.reason, job.nodes, job.started, snapshot.position(job.id), snapshot.unknown_since)
