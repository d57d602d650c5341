"""What the agent adds to the API: tasks (installs and their like), their events, and its own state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# ``add`` is an install that leaves the version in use as it is; ``guest`` brings a version that others share.
TaskKind = Literal["install", "add", "guest", "rollback", "remove"]
TaskState = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: frozenset[str] = frozenset({"done", "failed", "cancelled"})


def now() -> str:
    """Return the present moment as ISO 8601 UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Task(BaseModel):
    """Something that lasts and is not a run: an install, a roll-back, a removal."""

    id: str
    kind: TaskKind
    app: str
    version: str | None = Field(default=None, description="The version asked for; once known, the one concerned.")
    state: TaskState
    step: str | None = Field(default=None, description="resolve, download, build, verify or ready.")
    message: str = Field(default="", description="The last sentence of progress.")
    problem: dict[str, Any] | None = Field(default=None, description="Why it failed, as problem+json.")
    created: str
    ended: str | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED


class TaskEvent(BaseModel):
    """Something that happened in a task. Types: ``step`` (``{step, message}``), ``log`` (``{line}``), ``state``."""

    seq: int
    time: str
    type: Literal["step", "log", "state"]
    data: dict[str, Any]


class TaskPage(BaseModel):
    """Tasks, newest first."""

    items: list[Task]


class InstallRequest(BaseModel):
    """Which version to install; without one, the newest."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: str | None = Field(default=None, min_length=1, max_length=100)
    beside: bool = Field(default=False, description="Leave the version in use as it is; the app has both then.")


class PinRequest(BaseModel):
    """The version, the one in use, that an app is to stay at."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: str = Field(min_length=1, max_length=100)


class WorkerStatus(BaseModel):
    """The workflow worker as the agent sees it."""

    state: str = Field(description="running, starting, failing or idle (not needed, not there).")
    reason: str | None = Field(default=None, description="Why it fails.")


class AgentStatus(BaseModel):
    """The agent as it is now."""

    user: str
    pid: int
    version: str
    started: str
    active: bool = Field(description="Whether a run or a task is unfinished.")
    worker: WorkerStatus
