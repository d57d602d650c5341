"""The one watcher of a cluster: a single `squeue` answers for everybody, in the hub and in the other rooms.

- At most one `squeue` every two seconds, however many wait: the cost on the controller does not grow with users.
- An error, a time-out or an answer that makes no sense is "not known since …", never "gone". Only a job that is missing
  from a good answer *and* that the controller or accounting says is over (or twice knows nothing of) is gone.
- Nodes, limits and accounts are asked far less often, by the same watcher, and never hold up the jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from simdeck_common.files import write_atomically
from simdeck_common.problems import Problem

from simdeck_clusters.clock import Clock, RealClock
from simdeck_clusters.cluster import Cluster
from simdeck_clusters.models import Job, Snapshot
from simdeck_clusters.sightings import Facts, Sighting, Watched
from simdeck_clusters.views import CALCULATION, public_view

LEAST_SECONDS = 2.0
LONGEST_BACKOFF = 60.0
MISSES = 2
CONFIRMED_AT_ONCE = 8
"""Ends looked up after one `squeue`; more of them wait for the next."""
PUBLISH_SECONDS = 1.5

__all__ = ["Sighting", "Watcher"]

log = logging.getLogger(__name__)


class Watcher:
    """Watches one cluster.

    Parameters
    ----------
    cluster
        The cluster to ask.
    public
        Folder below which ``clusters/<name>.json`` is written for other rooms; ``None``: not written.
    clock
        Time; tests give one of their own.
    rng
        Source of the jitter that keeps several watchers from asking in step.
    busy
        Whether somebody may submit jobs, or wait for their ends, whom this watcher does not know of.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        public: Path | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        busy: Callable[[], bool] | None = None,
    ) -> None:
        self.cluster = cluster
        self.clock: Clock = clock or RealClock()
        self.failures = 0  # `squeue` calls in a row without a good answer
        self.last_error = ""
        self._public = public
        self._busy = busy or (lambda: False)
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self._jobs: tuple[Job, ...] = ()
        self._taken = 0.0
        self._unknown_since: float | None = self.clock.time()
        self._facts = Facts()
        self._watched: dict[str, Watched] = {}
        self._wake = asyncio.Event()
        self._wanted = 0.0
        self._polled = asyncio.Event()
        self._begun = 0.0
        self._published: tuple[float, bool] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._first = asyncio.Event()  # set once the scheduler has told its limits, or has not answered
        self._snapshot = self._made()

    # --- for others -------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.cluster.name

    @property
    def snapshot(self) -> Snapshot:
        """The cluster as last known; ``unknown_since`` is set until the first good answer and while none comes."""
        return self._snapshot

    @property
    def unknown_since(self) -> float | None:
        """Since when the scheduler has not answered (s since the epoch); ``None`` while it does."""
        return self._unknown_since

    @property
    def watched(self) -> int:
        """How many jobs are watched."""
        return len(self._watched)

    async def start(self) -> None:
        """Begin to ask."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._ask_jobs()), asyncio.create_task(self._ask_facts())]

    async def stop(self) -> None:
        """Ask no more; what is known stays."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def track(self, name: str, user: str, job_id: str | None = None) -> Sighting:
        """Watch the job of this name and user; give its id as soon as it is known.

        A job that is not seen yet counts as missing only in an answer asked for after this call.
        """
        entry = self._watched.get(name)
        if entry is None or entry.sighting.user != user or (job_id is not None and entry.job_id not in {None, job_id}):
            sighting = Sighting(name, user, 1, unknown_since=self._unknown_since)
            entry = self._watched[name] = Watched(sighting, job_id, self.clock.time())
            self._match(entry, self._snapshot)
        elif job_id is not None and entry.job_id is None:
            entry.job_id, entry.since, entry.misses = job_id, self.clock.time(), 0
        self._hurry()
        return entry.sighting

    def forget(self, name: str) -> None:
        """Watch the job no longer; who waits for its change is told."""
        entry = self._watched.pop(name, None)
        if entry is not None:
            entry.changed.set()

    def find(self, name: str) -> Sighting | None:
        """Return what is known of a watched job; ``None`` when it is not watched."""
        entry = self._watched.get(name)
        return entry.sighting if entry is not None else None

    async def wait_for_change(self, name: str, after: int = 0, seconds: float | None = None) -> Sighting | None:
        """Return the sighting once its serial is above ``after``, or what it is after ``seconds``.

        ``None``: the job is not watched (any more).
        """
        while True:
            entry = self._watched.get(name)
            if entry is None or entry.sighting.serial > after:
                return entry.sighting if entry is not None else None
            if seconds is None:
                await entry.changed.wait()
            elif not await self.clock.wait(entry.changed, seconds):
                return self.find(name)

    async def refresh(self, seconds: float | None = None) -> Snapshot:
        """Return a snapshot of a `squeue` begun after this call, or after ``seconds`` the one there is.

        It does not raise the rate: many callers share one answer, and while the scheduler fails its pace is kept.
        """
        asked = self.clock.time()
        deadline = None if seconds is None else asked + seconds
        self._wanted = asked
        self._hurry()
        while self._begun < asked or self._taken < asked:
            polled = self._polled
            if deadline is None:
                await polled.wait()
            elif not await self.clock.wait(polled, deadline - self.clock.time()):
                break
        return self._snapshot

    async def first_facts(self, seconds: float) -> None:
        """Return once nodes and limits are known; sooner when the scheduler does not answer, or after ``seconds``."""
        await self.clock.wait(self._first, seconds)

    def refresh_facts(self) -> None:
        """Ask for nodes and limits at the next opportunity."""
        self._facts.taken = None

    # --- the loop of jobs -------------------------------------------------------------------------------------------

    async def _ask_jobs(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.poll()
            except asyncio.CancelledError:
                raise
            except Exception:
                # The watcher must outlive any bug in what it calls: a hub without eyes would lose servers.
                log.exception("watching %s", self.name)
                self._failed("an internal error; see the hub's log")
            await self._pause()

    async def poll(self) -> None:
        """Ask once, and tell everybody."""
        begun = self.clock.time()
        self._begun = begun
        try:
            jobs = await self.cluster.queue()
        except Problem as problem:
            self._failed(problem.detail)
            return
        if self.failures:
            log.warning("%s answers again after %d failed calls", self.name, self.failures)
        self.failures, self.last_error, self._unknown_since = 0, "", None
        self._jobs, self._taken = tuple(jobs), begun
        self._snapshot = self._made()
        missing = [entry for entry in list(self._watched.values()) if not self._match(entry, self._snapshot)]
        # Those that were missed longest come first, so that each gets its turn.
        missing.sort(key=lambda entry: -entry.misses)
        await asyncio.gather(*(self._confirm(entry) for entry in missing[:CONFIRMED_AT_ONCE]))
        self._tell()

    def _failed(self, reason: str) -> None:
        self.failures += 1
        self.last_error = reason
        self._first.set()
        if self._unknown_since is None:
            self._unknown_since = self._taken
        if self.failures == 1:
            log.warning("%s is not known now: %s", self.name, reason)
        self._snapshot = self._made()
        for entry in self._watched.values():
            self._set(entry, unknown_since=self._unknown_since)
        self._tell()

    async def _pause(self) -> None:
        period = self._period()
        least = LEAST_SECONDS
        if self.failures:
            # From the short period: after a hiccup somebody may wait for an end, also where nobody waited before.
            period = min(LONGEST_BACKOFF, self.cluster.settings.poll_seconds * 2 ** min(self.failures, 6))
            least = period
        period *= self._rng.uniform(0.9, 1.1)
        # First the pause that nobody may cut short, then the rest.
        await self.clock.wait(asyncio.Event(), max(LEAST_SECONDS, least * self._rng.uniform(1.0, 1.1)))
        if not self.failures and period > least and not self._wanted > self._begun:
            await self.clock.wait(self._wake, period - least)

    def _period(self) -> float:
        settings = self.cluster.settings
        for entry in self._watched.values():
            job = entry.sighting.job
            if not entry.sighting.gone and (job is None or not job.state.running):
                return settings.poll_seconds
        if self._busy() or any(job.name.startswith(CALCULATION) for job in self._jobs):
            # Users' workers read what is written here, and wait for their jobs to be seen and to end.
            return settings.poll_seconds
        return settings.idle_poll_seconds

    def _hurry(self) -> None:
        self._wake.set()

    # --- what an answer means for a watched job ---------------------------------------------------------------------

    def _match(self, entry: Watched, snapshot: Snapshot) -> bool:
        """Take over what the answer says of the job; return whether it says anything."""
        if entry.sighting.gone:
            return True
        mine = [
            job
            for job in snapshot.by_name.get(entry.sighting.name, ())
            if job.user == entry.sighting.user and not job.state.ended
        ]
        if entry.job_id is not None:
            found = snapshot.by_id.get(entry.job_id)
            # An id is given out again some day: then it belongs to a job of another name.
            job = found if found in mine else None
        else:
            job = max(mine, key=lambda one: (one.submitted or 0.0, len(one.id), one.id), default=None)
        if job is None:
            if snapshot.taken >= entry.since and snapshot.unknown_since is None:
                entry.misses += 1
                return False
            return True
        entry.job_id, entry.misses = job.id, 0
        others = tuple(one for one in mine if one.id != job.id)
        self._set(
            entry,
            job=job,
            others=others,
            position=snapshot.position(job.id),
            unknown_since=snapshot.unknown_since,
        )
        return True

    async def _confirm(self, entry: Watched) -> None:
        """Ask about a job that is missing; it is gone only when that is said, or when twice nothing is known of it."""
        with contextlib.suppress(Problem):
            if entry.job_id is None:
                await self._look_for(entry)
                return
            shown = await self.cluster.job(entry.job_id)
            if shown is not None and shown[1] is None:
                entry.misses = 0
                self._set(entry, job=replace(shown[0], name=entry.sighting.name), unknown_since=None)
                return
            end = await self.cluster.accounted(entry.job_id, shown[1] if shown is not None else None)
            if end is not None or entry.misses >= MISSES:
                self._set(entry, gone=True, end=end, position=None, unknown_since=None)
                return
            self._hurry()

    async def _look_for(self, entry: Watched) -> None:
        """Look for a job whose id was never learnt, also among those that ended."""
        jobs = await self.cluster.find_by_name(entry.sighting.name, entry.sighting.user)
        if jobs:
            newest = max(jobs, key=lambda one: (one.submitted or 0.0, len(one.id), one.id))
            entry.job_id = newest.id
            self._set(entry, job=newest)
            return
        ends = await self.cluster.history_by_name(entry.sighting.name, entry.sighting.user)
        if ends:
            entry.job_id = ends[-1].id
        elif entry.misses >= MISSES:
            self._set(entry, gone=True, unknown_since=None)
        self._hurry()

    def _set(self, entry: Watched, **changes: object) -> None:
        known = entry.sighting
        if any(getattr(known, name) != value for name, value in changes.items()):
            entry.sighting = replace(known, serial=known.serial + 1, **changes)  # type: ignore[arg-type]
            entry.changed.set()
            entry.changed = asyncio.Event()

    # --- nodes, limits, accounts ------------------------------------------------------------------------------------

    async def _ask_facts(self) -> None:
        while True:
            if self._unknown_since is None:
                try:
                    await self.poll_facts()
                except Problem as problem:
                    log.warning("%s: limits and nodes are as before: %s", self.name, problem.detail)
                except asyncio.CancelledError:
                    raise
                except Exception:
                    log.exception("asking %s for its nodes and limits", self.name)
            waited = self._polled
            await waited.wait()

    async def poll_facts(self) -> None:
        """Ask for what is due of nodes, limits and accounts.

        Raises
        ------
        Problem
            ``cluster-unavailable``; what is known stays.
        """
        if await self._facts.refresh(self.cluster, self.clock.time()):
            self._snapshot = self._made()
            self._first.set()
            self._publish(force=True)

    # --- telling ----------------------------------------------------------------------------------------------------

    def _made(self) -> Snapshot:
        known = self._facts
        return Snapshot(
            cluster=self.name,
            taken=self._taken,
            jobs=self._jobs,
            nodes=known.nodes,
            partitions=known.partitions,
            reservations=known.reservations,
            associations=known.associations,
            facts_taken=known.taken if known.nodes else None,
            version=known.version,
            unknown_since=self._unknown_since,
        )

    def _tell(self) -> None:
        self._polled.set()
        self._polled = asyncio.Event()
        self._publish()

    def _publish(self, *, force: bool = False) -> None:
        if self._public is None:
            return
        now, unknown = self.clock.time(), self._unknown_since is not None
        last = self._published
        if last is not None and last[1] == unknown and now - last[0] < PUBLISH_SECONDS and not force:
            return
        self._published = (now, unknown)
        target = self._public / "clusters" / f"{self.name}.json"
        try:
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            write_atomically(target, json.dumps(public_view(self._snapshot, self.cluster.settings)), mode=0o644)
        except OSError as error:
            log.warning("%s could not be written: %s", target, error)
