"""Servers as the pages show them: phase, job, what it waits for, time left, why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simdeck_deck.pages.views.amounts import memory_words, size_words, start_words, walltime_words
from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.problems import ProblemView
from simdeck_deck.pages.views.states import StateView
from simdeck_deck.pages.views.text import ago, duration, full_time, parse_time
from simdeck_deck.servers import DEFAULT, STARTING, FailureView, JobView, ServerView

# Seconds before the end from which the time left is a warning.
SHORT_TIME = 15 * 60

PHASES = {
    "none": StateView("none", "Not running", "stop", "neutral", False),
    "submitting": StateView("submitting", "Being submitted", "running", "busy", True),
    "queued": StateView("queued", "In the queue", "clock", "wait", True),
    "booting": StateView("booting", "Starting", "running", "busy", True),
    "connecting": StateView("connecting", "Connecting", "running", "busy", True),
    "running": StateView("running", "Running", "check", "good", False),
    "ending": StateView("ending", "Ending", "running", "busy", True),
    "failed": StateView("failed", "Failed", "alert", "bad", False),
    "unknown": StateView("unknown", "Not known", "alert", "neutral", True),
}

STEPS = (
    ("submitting", "Submit", "The request goes to the scheduler"),
    ("queued", "Queue", "The job waits for its turn"),
    ("booting", "Start", "The node starts your server"),
    ("connecting", "Connect", "The hub reaches the server"),
    ("running", "Ready", "The server answers"),
)


@dataclass(frozen=True)
class StepView:
    """A step of a start; ``state`` is ``done``, ``now`` or ``open``."""

    key: str
    title: str
    help: str
    state: str


@dataclass(frozen=True)
class QueueView:
    """What a job waits for. Empty texts are not known."""

    position: str
    reason: str
    remedy: str
    code: str
    start: str
    start_full: str


@dataclass(frozen=True)
class FailureCard:
    """Why a server ended, with what shows it."""

    problem: ProblemView
    evidence: tuple[tuple[str, str], ...]
    log: str
    when: str


@dataclass(frozen=True)
class ServerCard:
    """One server. ``left`` is its job's time left, ``short`` whether that is nearly over."""

    name: str
    title: str
    state: StateView
    app: str
    job: str
    place: str
    size: str
    left: str
    short: bool
    ends_full: str
    since: str
    elapsed: str
    url: str
    open_url: str
    open_words: str
    lab_url: str
    starting: bool
    active: bool
    running: bool
    named: bool
    batch: bool
    unknown: str
    steps: tuple[StepView, ...]
    queue: QueueView | None
    failure: FailureCard | None


def server_card(server: ServerView, links: Links, now: datetime, titles: Mapping[str, str] | None = None) -> ServerCard:
    """Build the card; ``titles`` are the installed apps' by id."""
    app = str(server.options.get("app") or "")
    title = (titles or {}).get(app, app)
    job = server.job or JobView()
    named = server.name != DEFAULT
    hub_name = server.name if named else ""
    left = server.walltime_left
    running = server.phase == "running"
    return ServerCard(
        name=server.name,
        title=server.name if named else "Default server",
        state=PHASES[server.phase],
        app=title,
        job=f"Job {job.id}" if job.id else "",
        place=" on ".join(part for part in (job.nodes, job.cluster_title or job.cluster) if part),
        size=size_words(server.options),
        left=duration(left) if left is not None and running else "",
        short=left is not None and left <= SHORT_TIME and running,
        ends_full=full_time(job.ends) if running else "",
        since=ago(server.since, now),
        elapsed=_elapsed(server, now),
        url=links.page("servers", server.name),
        open_url=links.app_page(app, None, hub_name) if app else links.lab_of(hub_name),
        open_words=f"Open {title}" if app else "Open JupyterLab",
        lab_url=links.lab_of(hub_name),
        starting=server.phase in STARTING,
        active=server.active,
        running=running,
        named=named,
        batch=server.job is not None,
        unknown=duration((now - since).total_seconds()) if (since := parse_time(server.unknown_since)) else "",
        steps=_steps(server.phase),
        queue=_queue(job, now) if server.phase == "queued" else None,
        failure=_failure(server.failure, now) if server.failure is not None else None,
    )


def _elapsed(server: ServerView, now: datetime) -> str:
    since = parse_time(server.job.submitted if server.job and server.phase == "queued" else server.since)
    if since is not None:
        return duration((now - since).total_seconds())
    return duration(server.elapsed) if server.elapsed is not None else ""


def _steps(phase: str) -> tuple[StepView, ...]:
    keys = [key for key, _, _ in STEPS]
    at = keys.index(phase) if phase in keys else -1
    return tuple(
        StepView(key, title, words, "done" if number < at else "now" if number == at else "open")
        for number, (key, title, words) in enumerate(STEPS)
    )


def _queue(job: JobView, now: datetime) -> QueueView:
    start = parse_time(job.estimated_start)
    return QueueView(
        position=_ordinal(job.position) if job.position else "",
        reason=job.reason_text,
        remedy=job.remedy,
        code=job.reason,
        start=start_words(job.estimated_start, now),
        start_full=full_time(job.estimated_start) if start else "",
    )


def _ordinal(number: int) -> str:
    last = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{last}"


def _failure(failure: FailureView, now: datetime) -> FailureCard:
    return FailureCard(
        problem=ProblemView(failure.title, failure.detail, failure.remedy, failure.code),
        evidence=tuple((item.label, item.text) for item in failure.evidence),
        log=failure.log,
        when=ago(failure.when, now),
    )


def remedied(server: ServerView) -> dict[str, Any]:
    """Return what to change of a failed server's options so that the same does not happen again."""
    code = server.failure.code if server.failure is not None else ""
    changes: dict[str, Any] = {}
    memory, minutes = server.options.get("memory_mb"), server.options.get("walltime_minutes")
    if code == "server-out-of-memory" and isinstance(memory, int):
        changes["memory_mb"] = memory * 2
    if code == "server-time-limit" and isinstance(minutes, int):
        changes["walltime_minutes"] = minutes * 2
    return changes


def remedy_words(changes: Mapping[str, Any]) -> str:
    """Return the changes of ``remedied`` in words: ``16 GiB``, ``a time limit of 4:00``; empty for none."""
    words = []
    if "memory_mb" in changes:
        words.append(memory_words(changes["memory_mb"]))
    if "walltime_minutes" in changes:
        words.append(f"a time limit of {walltime_words(changes['walltime_minutes'])}")
    return " and ".join(words)
