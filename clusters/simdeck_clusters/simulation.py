"""The machine behind ``simulated.SimulatedSlurm``: nodes, jobs, a queue in order of priority, on a clock of its own.

Nothing happens by itself: each look (``catch_up``) lets everything happen that is due by the clock.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from simdeck_clusters.models import JobState


class SimulatedClock:
    """Time that stands still until ``advance``; waits end in the order of their time."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.now = start
        self._waits: list[tuple[float, int, asyncio.Event]] = []
        self._count = itertools.count()

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self.now

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until ``event`` is set or ``seconds`` of this clock have passed; return whether it is set."""
        if event.is_set() or seconds <= 0:
            await asyncio.sleep(0)
            return event.is_set()
        due = asyncio.Event()
        heapq.heappush(self._waits, (self.now + seconds, next(self._count), due))
        tasks = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(due.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        return event.is_set()

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, everything that waits for them in its turn."""
        target = self.now + seconds
        await settle()
        while self._waits and self._waits[0][0] <= target:
            when, _, due = heapq.heappop(self._waits)
            self.now = max(self.now, when)
            due.set()
            await settle()
        self.now = target
        await settle()


async def settle(rounds: int = 30) -> None:
    """Let every task that can go on do so."""
    for _ in range(rounds):
        await asyncio.sleep(0)


@dataclass
class SimulatedNode:
    """A node and what is left of it."""

    name: str
    cores: int = 32
    memory_mb: int = 128_000
    gpu_type: str = ""
    gpus: int = 0
    partitions: tuple[str, ...] = ("normal",)
    down: bool = False
    jobs: dict[str, SimulatedJob] = field(default_factory=dict)

    def free(self) -> tuple[int, int, int]:
        """Return cores, memory (MiB) and GPUs that nobody has."""
        held = self.jobs.values()
        return (
            self.cores - sum(job.cores for job in held),
            self.memory_mb - sum(job.memory_mb for job in held),
            self.gpus - sum(job.gpus for job in held),
        )

    def could_hold(self, job: SimulatedJob) -> bool:
        """Return whether the job would fit on the empty node."""
        kind = not job.gpu_type or job.gpu_type == self.gpu_type
        fits = job.cores <= self.cores and job.memory_mb <= self.memory_mb and job.gpus <= self.gpus
        return job.partition in self.partitions and fits and (kind or not job.gpus)

    def can_hold(self, job: SimulatedJob) -> bool:
        """Return whether the job fits now."""
        cores, memory, gpus = self.free()
        enough = job.cores <= cores and job.memory_mb <= memory and job.gpus <= gpus
        return not self.down and enough and self.could_hold(job)


@dataclass
class SimulatedJob:
    """A job; ``script`` is what was submitted."""

    id: str
    user: str
    server: str
    script: str
    name: str
    comment: str
    partition: str
    cores: int
    memory_mb: int
    gpus: int
    gpu_type: str
    walltime_minutes: int
    submitted: float
    account: str = ""
    qos: str = ""
    reservation: str = ""
    priority: int = 1000
    requeue: bool = True
    state: JobState = JobState.PENDING
    reason: str = "Priority"
    node: str = ""
    started: float | None = None
    ended: float | None = None
    eligible: float = 0.0
    exit_code: int = 0
    signal: int = 0
    cancelled_by: str = ""
    restarts: int = 0
    held: str = ""
    signals: list[str] = field(default_factory=list)

    @property
    def ends(self) -> float | None:
        """When its time is up."""
        return None if self.started is None else self.started + self.walltime_minutes * 60


Heard = Callable[[SimulatedJob], None]


class Machine:
    """Nodes and jobs. ``on_start`` and ``on_end`` are told of each job that begins and ends to run."""

    def __init__(self, nodes: list[SimulatedNode], *, max_minutes: dict[str, int] | None = None) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.max_minutes = max_minutes or {}
        self.jobs: dict[str, SimulatedJob] = {}
        self.remember_seconds = 300.0
        """How long the controller remembers a job that ended (MinJobAge)."""
        self.forgotten: set[str] = set()
        self.on_start: Heard | None = None
        self.on_end: Heard | None = None
        self.waiting: dict[str, SimulatedJob] = {}
        self.running: dict[str, SimulatedJob] = {}
        self._ids = itertools.count(1)
        self._stale = True
        self._due = 0.0

    @property
    def partitions(self) -> list[str]:
        """All partitions, in the order nodes name them."""
        return list(dict.fromkeys(name for node in self.nodes.values() for name in node.partitions))

    def next_id(self) -> str:
        """Return an id nobody has."""
        return str(next(self._ids))

    def add(self, job: SimulatedJob, now: float) -> None:
        """Put a job into the queue."""
        self.jobs[job.id] = self.waiting[job.id] = job
        self._stale = True
        self.catch_up(now)

    def catch_up(self, now: float) -> None:
        """Let everything happen that is due; costs nothing when nothing is."""
        if not self._stale and now < self._due:
            return
        for job in list(self.running.values()):
            if job.ends is not None and job.ends <= now:
                self.end(job, JobState.TIMEOUT, job.ends, signal=15)
        self._schedule(now)
        later = [job.eligible for job in self.waiting.values() if job.eligible > now]
        self._due = min([*later, *(job.ends or now for job in self.running.values())], default=float("inf"))
        self._stale = False

    def changed(self) -> None:
        """Have the queue looked at again: something about nodes or jobs was changed from outside."""
        self._stale = True

    def remembers(self, job_id: str, now: float) -> SimulatedJob | None:
        """Return a job the controller still knows: one that goes on, or ended not long ago."""
        job = self.jobs.get(job_id)
        if job is None or job_id in self.forgotten:
            return None
        return None if job.ended is not None and now - job.ended > self.remember_seconds else job

    def _schedule(self, now: float) -> None:
        full: set[str] = set()
        for job in sorted(self.waiting.values(), key=lambda one: (-one.priority, int(one.id))):
            if job.held:
                job.reason = job.held
            elif job.eligible > now:
                job.reason = "BeginTime"
            elif job.partition in full:
                job.reason = "Priority"
            elif not any(node.could_hold(job) for node in self.nodes.values() if not node.down):
                job.reason = "ReqNodeNotAvail"
            else:
                node = next((node for node in self.nodes.values() if node.can_hold(job)), None)
                if node is None:
                    job.reason = "Resources"
                    full.add(job.partition)
                else:
                    self._start(job, node, now)

    def _start(self, job: SimulatedJob, node: SimulatedNode, now: float) -> None:
        del self.waiting[job.id]
        self.running[job.id] = node.jobs[job.id] = job
        job.state, job.reason, job.node, job.started, job.ended = JobState.RUNNING, "None", node.name, now, None
        if self.on_start is not None:
            self.on_start(job)

    def end(
        self, job: SimulatedJob, state: JobState, now: float, *, code: int = 0, signal: int = 0, by: str = ""
    ) -> None:
        """End a job, waiting or running."""
        ran = self._leave(job)
        self.waiting.pop(job.id, None)
        job.state, job.ended, job.exit_code, job.signal, job.cancelled_by = state, now, code, signal, by
        job.reason, self._stale = "None", True
        if ran and self.on_end is not None:
            self.on_end(job)

    def requeue(self, job: SimulatedJob, now: float, *, pause: float = 0.0) -> None:
        """Put a running job back into the queue, not to start before ``pause`` seconds are over."""
        if self._leave(job) and self.on_end is not None:
            self.on_end(job)
        job.state, job.node, job.started, job.ended = JobState.PENDING, "", None, None
        job.eligible, job.reason, job.restarts = now + pause, "BeginTime" if pause else "Priority", job.restarts + 1
        self.waiting[job.id] = job
        self._stale = True

    def _leave(self, job: SimulatedJob) -> bool:
        if self.running.pop(job.id, None) is None:
            return False
        self.nodes[job.node].jobs.pop(job.id, None)
        return True

    def fail_node(self, name: str, now: float) -> None:
        """Take a node down: its jobs are put back where they may be, else they end with NODE_FAIL."""
        node = self.nodes[name]
        node.down = self._stale = True
        for job in list(node.jobs.values()):
            if job.requeue:
                self.requeue(job, now, pause=120.0)
            else:
                self.end(job, JobState.NODE_FAIL, now, code=1)

    def expected_start(self, job: SimulatedJob, now: float) -> tuple[float, str] | None:
        """Return when and where a waiting (or thought of) job would start; ``None``: never."""
        free = {name: list(node.free()) for name, node in self.nodes.items() if not node.down}
        ends = [(one.ends or now, one.node, one.cores, one.memory_mb, one.gpus) for one in self.running.values()]
        heapq.heapify(ends)
        ahead = [one for one in self.waiting.values() if one.partition == job.partition and not one.held]
        ahead = [one for one in ahead if (-one.priority, int(one.id)) < (-job.priority, int(job.id))]
        moment = now
        for one in [*sorted(ahead, key=lambda each: (-each.priority, int(each.id))), job]:
            while True:
                place = next((name for name, left in free.items() if self._fits(one, name, left)), None)
                if place is not None:
                    break
                if not ends:
                    return None
                moment, name, *back = heapq.heappop(ends)
                if name in free:
                    free[name] = [left + more for left, more in zip(free[name], back, strict=True)]
            if one is job:
                return moment, place
            taken = (one.cores, one.memory_mb, one.gpus)
            free[place] = [left - less for left, less in zip(free[place], taken, strict=True)]
            heapq.heappush(ends, (moment + one.walltime_minutes * 60, place, *taken))
        return None

    def _fits(self, job: SimulatedJob, name: str, left: list[int]) -> bool:
        enough = job.cores <= left[0] and job.memory_mb <= left[1] and job.gpus <= left[2]
        return enough and self.nodes[name].could_hold(job)
