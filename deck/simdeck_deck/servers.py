"""What the hub says of a person's servers and of the clusters they may use: the models of the REST API.

They take what a newer or older hub leaves out or adds; times may come as ISO 8601 text or as seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

DEFAULT = "-"
"""The default server's name in addresses; the hub itself calls it by an empty text."""

NAME = r"^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$"
"""Names of servers beside the default one, as JupyterHub takes them."""

Phase = Literal[
    "none", "submitting", "queued", "booting", "connecting", "running", "ending", "failed", "unknown"
]  # fmt: skip
STARTING = ("submitting", "queued", "booting", "connecting")


def _text(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return "" if value is None else str(value)


def _time(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC).isoformat().replace("+00:00", "Z")
    return value


def _phase(value: Any) -> Any:
    known = ("none", *STARTING, "running", "ending", "failed")
    return value if value in known else "unknown"


Text = Annotated[str, BeforeValidator(_text)]
Time = Annotated[str | None, BeforeValidator(_time)]


class JobView(BaseModel):
    """A server's batch job. ``state`` and ``reason`` are Slurm's names; the other texts are for people."""

    cluster: Text = ""
    cluster_title: Text = Field(default="", description="The cluster as people call it.")
    id: Text = ""
    name: Text = ""
    state: Text = ""
    reason: Text = ""
    reason_text: Text = Field(default="", description="Why it waits, in a sentence.")
    remedy: Text = Field(default="", description="What can be done about it.")
    position: int | None = Field(default=None, description="Its place among the jobs that wait, from 1.")
    estimated_start: Time = None
    nodes: Text = ""
    submitted: Time = None
    started: Time = None
    ends: Time = None


class Evidence(BaseModel):
    """One thing that speaks for the cause of a failure."""

    label: Text = ""
    text: Text = ""


class FailureView(BaseModel):
    """Why a server ended: the cause in a sentence, what shows it, what to do."""

    code: Text = "unexpected"
    title: Text = "The server ended"
    detail: Text = ""
    remedy: Text = ""
    evidence: list[Evidence] = []
    log: Text = Field(default="", description="The last lines of the server's log.")
    when: Time = None


class ServerView(BaseModel):
    """One of the caller's servers. ``name`` is ``-`` for the default one."""

    name: str = DEFAULT
    phase: Annotated[Phase, BeforeValidator(_phase)] = "none"
    since: Time = None
    elapsed: float | None = Field(default=None, description="Seconds in this phase.")
    job: JobView | None = Field(default=None, description="Its batch job; null where servers are local processes.")
    options: dict[str, Any] = Field(default_factory=dict, description="What it was started with.")
    url: str | None = Field(default=None, description="Where it answers, once it runs.")
    walltime_left: float | None = Field(default=None, description="Seconds until its job ends by itself.")
    unknown_since: Time = Field(default=None, description="Since when the scheduler has not answered.")
    failure: FailureView | None = None

    @property
    def active(self) -> bool:
        """Whether it holds or waits for resources."""
        return self.phase not in ("none", "failed")


class ServerList(BaseModel):
    """The caller's servers, the default one first."""

    items: list[ServerView]


class Limits(BaseModel):
    """The most that one request of the caller may have; null is not known, so left to the scheduler."""

    cores: int | None = None
    memory_mb: int | None = None
    gpus: int | None = None
    walltime_minutes: int | None = None


class Free(BaseModel):
    """What is free now. ``memory_mb`` is the most on one node."""

    cores: int | None = None
    memory_mb: int | None = None
    gpus: dict[str, int] = {}


class Total(BaseModel):
    """A partition's size."""

    cores: int | None = None
    nodes: int | None = None


class PartitionView(BaseModel):
    """A partition that the caller may choose."""

    name: str
    title: Text = ""
    summary: Text = ""
    up: bool = True
    default: bool = False
    limits: Limits = Limits()
    gpu_types: dict[str, int] = Field(default={}, description="The most of each type on one node.")
    free: Free = Free()
    total: Total = Total()
    waiting: int | None = Field(default=None, description="Jobs that wait for it.")


class AccountView(BaseModel):
    """An account that the caller may charge."""

    name: str
    default: bool = False
    qos: list[str] = []
    core_hours_left: float | None = Field(default=None, description="Null: no limit.")
    core_hours_limit: float | None = None


class ReservationView(BaseModel):
    """Nodes held for the caller or their account."""

    name: str
    start: Time = None
    end: Time = None
    active: bool = False
    partition: Text = ""


class NamedChoice(BaseModel):
    """Something to choose by name."""

    name: str
    title: Text = ""
    summary: Text = ""


class PresetView(NamedChoice):
    """A choice of several values at once."""

    options: dict[str, Any] = {}


class ClusterView(BaseModel):
    """A cluster as the caller may use it: limits, what is free, and how old these numbers are."""

    name: str
    title: Text = ""
    age: float | None = Field(default=None, description="Seconds since the scheduler was asked; null: never.")
    unknown_since: Time = None
    accounting: bool = False
    defaults: dict[str, Any] = {}
    partitions: list[PartitionView] = []
    accounts: list[AccountView] = []
    qos: list[str] = []
    reservations: list[ReservationView] = []
    environments: list[NamedChoice] = []
    presets: list[PresetView] = []


class ClusterList(BaseModel):
    """The clusters that the caller may use; none where servers are local processes."""

    items: list[ClusterView]


class Cost(BaseModel):
    """What a request costs at most."""

    core_hours: float | None = None
    balance: float | None = Field(default=None, description="Core-hours left of the account; null: no limit.")


class Sooner(BaseModel):
    """A smaller request that would start earlier: what is different, and all its options."""

    change: Text
    options: dict[str, Any] = {}
    start: Time = None


class EstimateView(BaseModel):
    """When a request would start, and what it costs."""

    start: Time = Field(default=None, description="Null: the scheduler does not say.")
    cost: Cost = Cost()
    sooner: list[Sooner] = []


class Options(BaseModel):
    """What a form begins with. ``source`` says where the values come from first."""

    options: dict[str, Any] = {}
    source: Literal["last", "app", "site"] = "site"


def hub_name(name: str) -> str:
    """Return the hub's own name for a server of an address."""
    return "" if name == DEFAULT else name


def view_of(model: Mapping[str, Any], name: str) -> ServerView:
    """Return the view of a server from JupyterHub's own model, for a hub that starts local processes."""
    pending = model.get("pending")
    phase: Phase = "none"
    if pending == "spawn":
        phase = "booting"
    elif pending == "stop":
        phase = "ending"
    elif model.get("ready"):
        phase = "running"
    url = model.get("url") if phase == "running" else None
    return ServerView(name=name or DEFAULT, phase=phase, since=model.get("started"), url=url)
