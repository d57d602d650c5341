"""What pages and callers see of a server: the ServerView of ``docs/contracts.md``, from the book and the last look."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from simdeck_clusters.models import Job, Snapshot
from simdeck_clusters.reasons import explain

from simdeck_spawners.book import Entry, Stage

if TYPE_CHECKING:
    from simdeck_spawners.fleet import SlurmFleet

SENTENCES = {
    "none": "This server is not running.",
    "submitting": "Handing the job to {cluster}…",
    "queued": "The job waits in the queue of {cluster}. {reason}",
    "booting": "The job runs on {nodes}; the server is starting.",
    "connecting": "The server has started; waiting for its first answer.",
    "running": "The server is running.",
    "ending": "The job is being ended.",
    "failed": "{failure}",
    "unknown": "{cluster} does not answer at the moment. The job is not lost; this page goes on by itself.",
}


def phase(entry: Entry | None, job: Job | None, *, known: bool, routed: bool = True) -> str:
    """Return the phase a person sees.

    ``known`` says whether the scheduler answers, ``routed`` whether the proxy leads to the server.
    """
    if entry is None:
        return "none"
    if entry.stage is Stage.ENDED:
        return "failed" if entry.failure is not None else "none"
    if entry.stage is Stage.ENDING or (entry.stage is Stage.RUNNING and routed):
        return str(entry.stage)
    if entry.stage in (Stage.ANNOUNCED, Stage.RUNNING):
        return "connecting"
    if not known:
        return "unknown"
    if entry.stage is Stage.INTENDED:
        return "submitting"
    if job is not None and job.state.running:
        return "booting"
    return "queued"


def server(fleet: SlurmFleet, user: Any, name: str) -> dict[str, Any]:
    """Return the ServerView of the user's server ``name`` (empty: the default one)."""
    entry = fleet.book.live(user.name, name) or fleet.book.latest(user.name, name)
    return view(fleet, entry, name=name, url=user.server_url(name), routed=_routed(user, name))


def _routed(user: Any, name: str) -> bool:
    """Return whether the server's address leads to it: before that, the person's default server would answer there."""
    if name not in user.spawners:
        return False
    spawner = user.spawners[name]
    return spawner.server is not None and spawner.pending != "spawn"


def view(fleet: SlurmFleet, entry: Entry | None, *, name: str, url: str, routed: bool) -> dict[str, Any]:
    """Return the ServerView of an entry. Times are ISO 8601 in UTC, durations seconds."""
    now = fleet.clock()
    snapshot = fleet.snapshot(entry.cluster) if entry is not None else None
    job = fleet.job(entry) if entry is not None else None
    unknown_since = snapshot.unknown_since if snapshot is not None else None
    answers = snapshot is not None and unknown_since is None
    seen = phase(entry, job, known=answers, routed=routed)
    open_ = entry is not None and entry.stage is not Stage.ENDED
    left = job.ends - now if job is not None and job.state.running and job.ends else None
    return {
        "name": name,
        "phase": seen,
        "since": iso(entry.since) if entry is not None else None,
        "job": _job(fleet, entry, job, snapshot) if entry is not None else None,
        "options": entry.options if entry is not None else {},
        "url": url if seen == "running" else None,
        "walltime_left": max(0, round(left)) if left is not None else None,
        "unknown_since": iso(unknown_since) if open_ else None,
        "failure": _failure(entry) if entry is not None and entry.stage is Stage.ENDED else None,
        "elapsed": round(now - entry.since) if entry is not None and open_ else None,
    }


def _job(fleet: SlurmFleet, entry: Entry, job: Job | None, snapshot: Snapshot | None) -> dict[str, Any]:
    waits = job is not None and job.state.waiting
    why = explain(job.reason) if job is not None and waits and job.reason else None
    return {
        "cluster": entry.cluster,
        "cluster_title": fleet.clusters[entry.cluster].settings.label
        if entry.cluster in fleet.clusters
        else entry.cluster,
        "id": entry.job_id or None,
        "name": entry.job_name,
        "state": job.state.value if job is not None else None,
        "reason": job.reason if job is not None and waits else None,
        "reason_text": why.sentence if why else None,
        "remedy": why.remedy if why else None,
        "position": snapshot.position(job.id) if job is not None and snapshot is not None else None,
        "estimated_start": iso(job.started) if job is not None and waits else None,
        "nodes": (job.nodes if job is not None else entry.node) or None,
        "submitted": iso(entry.submitted),
        "started": iso(job.started if job is not None and not waits else entry.started),
        "ends": iso(job.ends) if job is not None and not waits else None,
    }


def _failure(entry: Entry) -> dict[str, Any] | None:
    if entry.failure is None:
        return None
    failure = {key: entry.failure.get(key) for key in ("code", "title", "detail", "remedy", "evidence", "log")}
    return failure | {"when": iso(entry.failure.get("when") or entry.ended)}


def sentence(seen: dict[str, Any]) -> str:
    """Return the view in one sentence, for pages that show no more."""
    job, failure = seen["job"] or {}, seen["failure"] or {}
    return (
        SENTENCES[seen["phase"]]
        .format(
            cluster=job.get("cluster_title", "the cluster"),
            reason=job.get("reason_text") or "",
            nodes=job.get("nodes") or "its node",
            failure=failure.get("detail", "The server did not start."),
        )
        .strip()
    )


def iso(moment: float | None) -> str | None:
    """Return seconds since the epoch as ISO 8601 in UTC."""
    if not moment:
        return None
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
