"""What the workflow backend tells the other rooms: runs, their events and the workflows that can be run.

These models are the wire format of the REST API too (``model_dump(mode="json", by_alias=True)``). They import nothing
but pydantic, so that the light client can use them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(_iso, return_type=str, when_used="json")]
"""A moment in UTC; ISO 8601 with ``Z`` in JSON."""


class RunState(StrEnum):
    """Where a run stands. ``accepted`` means durable but not begun; the last four are final."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen in this state."""
        return self in ENDED_STATES


ENDED_STATES = frozenset({RunState.FINISHED, RunState.FAILED, RunState.CANCELLED, RunState.REJECTED})


class RunRequest(BaseModel):
    """What a caller sends to have something run."""

    model_config = ConfigDict(extra="forbid")

    workflow: str = Field(min_length=1, max_length=200, examples=["molecule.optimize"])
    inputs: dict[str, Any] = Field(
        default_factory=dict, description="Input values by name, as the workflow's schema asks."
    )
    title: str | None = Field(default=None, max_length=200)


class Run(BaseModel):
    """One run, from acceptance to its end."""

    id: str
    workflow: str
    app: str
    app_version: str
    title: str
    state: RunState
    created: Moment
    started: Moment | None = None
    ended: Moment | None = None
    progress: dict[str, Any] | None = Field(default=None, description="The last line of live progress.")
    summary: dict[str, Any] | None = Field(
        default=None,
        description='Headline results: {name: {"title", "value", "unit"}}; null until the run has finished.',
    )
    problem: dict[str, Any] | None = Field(default=None, description="Why it did not finish, as problem+json.")
    retry_of: str | None = None
    process: str | None = Field(default=None, description="UUID of the AiiDA process.")
    paused: bool = False


class RunPage(BaseModel):
    """Runs, newest first. ``next_cursor`` fetches the following page; null on the last one."""

    items: list[Run]
    next_cursor: str | None = None


class Event(BaseModel):
    """Something that happened in a run. ``seq`` rises within the run, without a promise of being gapless.

    Types: ``state`` (``{state, paused, problem?}``), ``progress`` (a line of ``progress.jsonl``), ``step`` (a process
    of the run changed: ``{process, label, kind, state, exit_status?, message?}``), ``log`` (``{level, message}``).
    """

    seq: int
    time: Moment
    type: str
    data: dict[str, Any]


class OutputSpec(BaseModel):
    """One declared output of a workflow."""

    name: str
    title: str
    type: str = Field(description="The AiiDA data type's name, for example Float or StructureData.")
    unit: str | None = None
    help: str | None = None


class Workflow(BaseModel):
    """A workflow of an installed app. ``schema`` is the JSON Schema of its inputs (2020-12)."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(description="The entry point's name, for example molecule.optimize.")
    app: str = ""
    app_version: str = ""
    title: str
    summary: str = ""
    input_schema: dict[str, Any] = Field(alias="schema")
    outputs: list[OutputSpec] = Field(default_factory=list)
    headline: list[str] = Field(default_factory=list)


class FileEntry(BaseModel):
    """A file of a run: where it is below the run, its size in bytes, and the AiiDA node that holds it."""

    path: str
    size: int
    node: str
