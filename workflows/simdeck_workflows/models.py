"""What the workflow backend tells the other rooms: runs, their events and the workflows that can be run.

These models are the wire format of the REST API too (``model_dump(mode="json", by_alias=True)``). They import nothing
but pydantic, so that the light client can use them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, field_validator


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


Priority = Literal["low", "normal", "high"]
"""Which of a user's own runs goes first where they cannot all go at once."""


class Notify(BaseModel):
    """Who is told when a run has ended. At least one of the two must be asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    webhook: str | None = Field(
        default=None,
        max_length=2000,
        description="An http(s) address that gets the ended run as a POST of JSON, until it answers with success.",
    )
    secret: str | None = Field(
        default=None,
        max_length=200,
        description="Signs the POST: `X-Simdeck-Signature: sha256=<HMAC of the body>`. Never shown again.",
    )
    email: bool = Field(default=False, description="A mail to the address that the site knows of the user.")

    @field_validator("webhook")
    @classmethod
    def webhook_is_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise ValueError("this is not a web address; write it as https://example.org/done, without a password")
        return value


class RunRequest(BaseModel):
    """What a caller sends to have something run."""

    model_config = ConfigDict(extra="forbid", strict=True)

    workflow: str = Field(min_length=1, max_length=200, examples=["molecule.optimize"])
    inputs: dict[str, Any] = Field(
        default_factory=dict, description="Input values by name, as the workflow's schema asks."
    )
    title: str | None = Field(default=None, max_length=200)
    priority: Priority = Field(default="normal", description="Before or after the user's other waiting runs.")
    reuse: bool = Field(
        default=False, description="Take results of identical calculations that were done before instead of computing."
    )
    notify: Notify | None = Field(default=None, description="Who is told when the run has ended.")


class Waiting(BaseModel):
    """Why a run, or one of its calculations, has not begun yet."""

    code: str
    title: str
    detail: str
    since: Moment | None = Field(default=None, description="Since when it waits for this reason.")


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
    cancelling: bool = Field(default=False, description="It shall be cancelled, and is being.")
    waiting: Waiting | None = Field(default=None, description="Why it waits, where a limit or a pause holds it back.")
    priority: Priority = "normal"
    reuse: bool = Field(default=False, description="Whether earlier identical calculations may be taken.")
    reused: int = Field(default=0, description="How many of its calculations were taken from earlier runs.")
    sweep: str | None = Field(default=None, description="The sweep it belongs to.")


class Kept(BaseModel):
    """Something that a run used and that stays when it is deleted."""

    kind: Literal["code", "data"]
    name: str = Field(description="The code's name, or the input's.")
    runs: list[str] = Field(default_factory=list, description="Other runs that use it; a few of them.")


class Deletion(BaseModel):
    """What goes when a run is deleted. Sizes in bytes."""

    run: Run
    nodes: int = Field(default=0, description="Nodes of the provenance graph.")
    files: int = Field(default=0, description="Files kept in them.")
    size: int = Field(default=0, description="What these files take.")
    folders: int = Field(default=0, description="Working directories of its calculations.")
    scratch: int = Field(default=0, description="What these take on the disk.")
    kept: list[Kept] = Field(default_factory=list, description="What it used and what stays all the same.")


class Scratch(BaseModel):
    """What working directories take on the disk, in bytes; and what of it nothing needs any more."""

    folders: int
    size: int
    ended_folders: int = Field(description="Directories of runs that have ended; their results are kept elsewhere.")
    ended_size: int
    stray_folders: int = Field(description="Directories of no known calculation, untouched for a day.")
    stray_size: int


class Cleaned(BaseModel):
    """What was given back."""

    folders: int
    size: int


class RunPage(BaseModel):
    """Runs, newest first. ``next_cursor`` fetches the following page; null on the last one."""

    items: list[Run]
    next_cursor: str | None = None


class Event(BaseModel):
    """Something that happened in a run. ``seq`` rises within the run, without a promise of being gapless.

    Types: ``state`` (``{state, paused, problem?}``), ``progress`` (a line of ``progress.jsonl``), ``step`` (a process
    of the run changed: ``{process, label, kind, state, exit_status?, message?}``), ``log`` (``{level, message}``),
    ``waiting`` (``{waiting: {code, title, detail, since} | null}``).
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
    groups: list[str] = Field(default_factory=list, description="Who may run it; empty: everybody who has the app.")


class FileEntry(BaseModel):
    """A file of a run: where it is below the run, its size in bytes, and the AiiDA node that holds it."""

    path: str
    size: int
    node: str
