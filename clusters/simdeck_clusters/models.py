"""What is known of a cluster and its jobs: frozen dataclasses; times in seconds since the epoch, memory in MiB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType


class JobState(StrEnum):
    """Slurm's names of a job's states, and ``UNKNOWN`` for a name this version does not know."""

    PENDING = "PENDING"
    CONFIGURING = "CONFIGURING"
    RUNNING = "RUNNING"
    COMPLETING = "COMPLETING"
    SUSPENDED = "SUSPENDED"
    STOPPED = "STOPPED"
    RESIZING = "RESIZING"
    SIGNALING = "SIGNALING"
    STAGE_OUT = "STAGE_OUT"
    REQUEUED = "REQUEUED"
    REQUEUE_FED = "REQUEUE_FED"
    REQUEUE_HOLD = "REQUEUE_HOLD"
    RESV_DEL_HOLD = "RESV_DEL_HOLD"
    SPECIAL_EXIT = "SPECIAL_EXIT"
    POWER_UP_NODE = "POWER_UP_NODE"
    UPDATE_DB = "UPDATE_DB"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMEOUT = "TIMEOUT"
    NODE_FAIL = "NODE_FAIL"
    PREEMPTED = "PREEMPTED"
    BOOT_FAIL = "BOOT_FAIL"
    DEADLINE = "DEADLINE"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    REVOKED = "REVOKED"
    LAUNCH_FAILED = "LAUNCH_FAILED"
    RECONFIG_FAIL = "RECONFIG_FAIL"
    EXPEDITING = "EXPEDITING"
    UNKNOWN = "UNKNOWN"

    @property
    def ended(self) -> bool:
        """Whether the job is over for good (a requeued one is not; COMPLETING still holds its nodes)."""
        return self in _ENDED

    @property
    def waiting(self) -> bool:
        """Whether the job holds no node yet."""
        return self in _WAITING

    @property
    def running(self) -> bool:
        """Whether the job's processes run, or are only held still."""
        return self in _RUNNING


_ENDED = {
    JobState.COMPLETED,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.TIMEOUT,
    JobState.NODE_FAIL,
    JobState.PREEMPTED,
    JobState.BOOT_FAIL,
    JobState.DEADLINE,
    JobState.OUT_OF_MEMORY,
    JobState.REVOKED,
    JobState.LAUNCH_FAILED,
    JobState.RECONFIG_FAIL,
}
_WAITING = {
    JobState.PENDING,
    JobState.REQUEUED,
    JobState.REQUEUE_FED,
    JobState.REQUEUE_HOLD,
    JobState.RESV_DEL_HOLD,
    JobState.SPECIAL_EXIT,
}
_RUNNING = {
    JobState.RUNNING,
    JobState.SUSPENDED,
    JobState.STOPPED,
    JobState.RESIZING,
    JobState.SIGNALING,
}


@dataclass(frozen=True, slots=True)
class Job:
    """One job as `squeue` or `scontrol` shows it. An array's pending rest is one entry with ``tasks`` above 1."""

    id: str
    name: str
    user: str
    state: JobState
    partition: str = ""
    reason: str = ""
    account: str = ""
    qos: str = ""
    nodes: str = ""
    batch_host: str = ""
    submitted: float | None = None
    started: float | None = None
    """When it started; of a waiting job, when Slurm expects it to (if it says so)."""
    ends: float | None = None
    walltime_minutes: int | None = None
    priority: int = 0
    cores: int = 0
    memory_mb: int | None = None
    gres: str = ""
    reservation: str = ""
    comment: str = ""
    node_count: int = 0
    tasks: int = 1
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended, as far as some source says; ``source`` is ``sacct``, ``scontrol``, ``record`` or ``none``."""

    id: str
    state: JobState
    source: str
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    started: float | None = None
    ended: float | None = None
    nodes: str = ""
    peak_memory_mb: int | None = None
    memory_limit_mb: int | None = None
    walltime_minutes: int | None = None
    cancelled_by: str = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class EndRecord:
    """What the job script itself wrote at its end; it survives where no accounting exists."""

    job: str
    stage: str
    code: int
    detail: str = ""
    signal: str = ""
    warned: bool = False
    peak_memory_mb: int | None = None
    memory_limit_mb: int | None = None
    out_of_memory_kills: int = 0
    restarts: int = 0
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """GPUs of one type on a node; ``type`` is empty where Slurm knows no type."""

    type: str
    total: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A node, its size and what of it is in use."""

    name: str
    address: str
    host: str
    states: frozenset[str]
    partitions: tuple[str, ...]
    cores: int
    cores_used: int
    memory_mb: int
    memory_used_mb: int
    gpus: tuple[Gpu, ...] = ()
    features: tuple[str, ...] = ()
    reason: str = ""
    slurm_version: str = ""

    @property
    def usable(self) -> bool:
        """Whether Slurm would start a job here if there were room."""
        return not self.states & _UNUSABLE

    @property
    def cores_free(self) -> int:
        """Cores a job could get now."""
        return max(0, self.cores - self.cores_used) if self.usable else 0

    @property
    def memory_free_mb(self) -> int:
        """Memory a job could get now."""
        return max(0, self.memory_mb - self.memory_used_mb) if self.usable else 0


_UNUSABLE = frozenset(
    [
        "DOWN",
        "DRAIN",
        "DRAINED",
        "DRAINING",
        "FAIL",
        "FAILING",
        "FUTURE",
        "MAINT",
        "NOT_RESPONDING",
        "UNKNOWN",
        "POWERING_DOWN",
        "REBOOT",
        "REBOOT_ISSUED",
        "REBOOT_REQUESTED",
        "ERROR",
        "INVAL",
        "INVALID_REG",
        "BLOCKED",
    ]
)
"""Node states in which Slurm starts nothing new; a node that is off to save power is switched on for a job."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition and its limits; ``None`` is no limit."""

    name: str
    up: bool
    default: bool = False
    hidden: bool = False
    max_walltime_minutes: int | None = None
    default_walltime_minutes: int | None = None
    max_nodes: int | None = None
    max_cores_per_node: int | None = None
    max_memory_per_node_mb: int | None = None
    max_memory_per_core_mb: int | None = None
    nodes: str = ""
    total_cores: int = 0
    allow_accounts: frozenset[str] | None = None
    deny_accounts: frozenset[str] = frozenset()
    allow_groups: frozenset[str] | None = None
    allow_qos: frozenset[str] | None = None
    deny_qos: frozenset[str] = frozenset()
    qos: str = ""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Nodes held for some users or accounts for some time."""

    name: str
    start: float | None
    end: float | None
    nodes: str = ""
    partition: str = ""
    users: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    active: bool = False

    @property
    def maintenance(self) -> bool:
        """Whether this keeps nodes free for work on the cluster itself."""
        return bool(self.flags & {"MAINT"})


@dataclass(frozen=True, slots=True)
class Association:
    """That a user may charge an account, with which QoS, and what is left of the account's core-minutes."""

    user: str
    account: str
    partition: str = ""
    qos: tuple[str, ...] = ()
    default_qos: str = ""
    default: bool = False
    max_walltime_minutes: int | None = None
    max_jobs: int | None = None
    core_minutes_limit: int | None = None
    core_minutes_used: int | None = None
    fairshare: float | None = None

    @property
    def core_hours_left(self) -> float | None:
        """Core-hours left of the account's limit; ``None`` where it has none."""
        if self.core_minutes_limit is None:
            return None
        return max(0.0, (self.core_minutes_limit - (self.core_minutes_used or 0)) / 60)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What `sbatch --test-only` says: when the job would start, and where; no ``start`` when it says nothing."""

    start: float | None
    nodes: str = ""
    cores: int | None = None
    partition: str = ""
    message: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A cluster at one moment. ``taken`` is when jobs were asked for, ``facts_taken`` when nodes and limits were."""

    cluster: str
    taken: float
    jobs: tuple[Job, ...] = ()
    nodes: Mapping[str, Node] = field(default_factory=lambda: MappingProxyType({}))
    partitions: Mapping[str, Partition] = field(default_factory=lambda: MappingProxyType({}))
    reservations: Mapping[str, Reservation] = field(default_factory=lambda: MappingProxyType({}))
    associations: tuple[Association, ...] | None = None
    """``None`` where the cluster keeps no accounts."""
    facts_taken: float | None = None
    version: str = ""
    unknown_since: float | None = None
    """Since when the scheduler has not answered; ``None`` while it does."""

    @cached_property
    def by_id(self) -> Mapping[str, Job]:
        """Jobs by id."""
        return {job.id: job for job in self.jobs}

    @cached_property
    def by_name(self) -> Mapping[str, tuple[Job, ...]]:
        """Jobs by name; several jobs may carry one name."""
        found: dict[str, tuple[Job, ...]] = {}
        for job in self.jobs:
            found[job.name] = (*found.get(job.name, ()), job)
        return found

    @cached_property
    def _ranks(self) -> Mapping[str, int]:
        """How many jobs wait ahead of each waiting job, its own included, in its partition."""
        ranks: dict[str, int] = {}
        waiting: dict[str, list[Job]] = {}
        for job in self.jobs:
            if job.state is JobState.PENDING and in_line(job.reason):
                for partition in job.partition.split(","):
                    waiting.setdefault(partition, []).append(job)
        for jobs in waiting.values():
            ahead = 0
            for job in sorted(jobs, key=lambda job: (-job.priority, _number(job.id))):
                # A job offered to several partitions stands where it is nearest to its start.
                ranks[job.id] = min(ranks.get(job.id, ahead + 1), ahead + 1)
                ahead += job.tasks
        return ranks

    def position(self, job_id: str) -> int | None:
        """Return the place in the partition's queue, from 1; ``None`` for a job that does not wait its turn."""
        return self._ranks.get(job_id)

    def nodes_of(self, partition: str) -> Iterator[Node]:
        """Yield the partition's nodes."""
        return (node for node in self.nodes.values() if partition in node.partitions)

    def gpu_types(self, partition: str | None = None) -> dict[str, int]:
        """Return GPU types with how many one node has at most; of one partition, or of all."""
        found: dict[str, int] = {}
        for node in self.nodes.values() if partition is None else self.nodes_of(partition):
            for gpu in node.gpus:
                found[gpu.type] = max(found.get(gpu.type, 0), gpu.total)
        return found

    def age(self, now: float) -> float:
        """Return how old the jobs' part is (s)."""
        return max(0.0, now - self.taken)


def in_line(reason: str) -> bool:
    """Return whether a waiting job competes for nodes; one that is held or over a limit has no place in the queue."""
    return not reason or reason.startswith(("Priority", "Resources", "ReqNodeNotAvail", "Nodes", "Licenses", "Prolog"))


def _number(job_id: str) -> tuple[int, str]:
    digits = job_id.split("_", 1)[0].split("+", 1)[0]
    return (int(digits) if digits.isdigit() else 0, job_id)
