"""What a look at the queue means for one server: pure decisions, carried out by ``fleet``.

Only Slurm's word moves anything here. A look that is older than what we did last says nothing about it, and a queue
that could not be asked is never looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from simdeck_clusters.models import Job, JobState, Snapshot

from simdeck_spawners.book import Entry, Stage

CLOCKS_APART = 2.0
"""Seconds by which the hub's and the controller's clocks may differ without being noticed."""
UNSEEN_APART = 30.0
"""The same for a job that was never seen to run before: there is no earlier start to compare with."""
UNPLACED: dict[str, Any] = {"port": 0, "host": "", "node": "", "announced": None}
"""A server that has to say again where it is."""


@dataclass(frozen=True)
class Verdict:
    """What follows for one entry."""

    job: Job | None = None
    """Its job, when there is one that has not ended."""
    changes: dict[str, Any] = field(default_factory=dict)
    """For the book."""
    cancel: tuple[Job, ...] = ()
    """Jobs that shall end."""
    absent: bool = False
    """Slurm answered and shows no such job: it ended, or never was."""
    restarted: bool = False
    """Slurm took the job back and starts it anew."""


def judge(entry: Entry, snapshot: Snapshot) -> Verdict:
    """Return what ``snapshot`` means for ``entry``."""
    if snapshot.unknown_since is not None:
        return Verdict()
    jobs = [job for job in snapshot.by_name.get(entry.job_name, ()) if not job.state.ended]
    if not jobs:
        acted = max(time for time in (entry.created, entry.tried, entry.submitted) if time is not None)
        return Verdict(absent=snapshot.taken > acted)
    job = ours(entry, jobs)
    surplus = tuple(one for one in jobs if one is not job and one.state is not JobState.COMPLETING)
    changes: dict[str, Any] = {}
    if entry.job_id != job.id:
        # The hub died between `sbatch` and noting what it said.
        changes |= {"job_id": job.id, "submitted": job.submitted or snapshot.taken}
        if entry.stage is Stage.INTENDED:
            changes["stage"] = once_known(entry)
    if entry.stage is Stage.ENDING:
        unwanted = entry.cancelled is None and job.state is not JobState.COMPLETING
        return Verdict(job, changes, (*surplus, job) if unwanted else surplus)
    restarted = _restarted(entry, job, snapshot.taken)
    if restarted:
        ran = entry.was_running or entry.stage is Stage.RUNNING
        changes |= {"stage": Stage.SUBMITTED, "was_running": ran, **UNPLACED}
    started = job.started if job.state.running else None
    if (started != entry.started and started is not None) or restarted:
        changes["started"] = started
    return Verdict(job, changes, surplus, restarted=restarted)


def once_known(entry: Entry) -> Stage:
    """Return the stage of an intended start whose job turns out to exist: its server may have been faster."""
    return Stage.ANNOUNCED if entry.announced is not None else Stage.SUBMITTED


def ours(entry: Entry, jobs: list[Job]) -> Job:
    """Of several jobs of one name, the one we know; else the first that was submitted."""
    known = [job for job in jobs if job.id == entry.job_id]
    return min(known or jobs, key=lambda job: (len(job.id), job.id))


def _restarted(entry: Entry, job: Job, taken: float) -> bool:
    """Whether the server that announced itself belongs to an earlier run of the job."""
    if entry.announced is None or taken <= entry.announced:
        return False
    if job.state.waiting or job.state is JobState.CONFIGURING:
        return True
    if not job.state.running:
        return False
    node = job.batch_host or job.nodes
    if entry.node and node and node != entry.node:
        return True
    if job.started is None or job.started == entry.started:
        return False
    apart = UNSEEN_APART if entry.started is None else CLOCKS_APART
    return entry.announced + apart < job.started


def strays(snapshot: Snapshot, instance: str, known: Iterable[str]) -> list[Job]:
    """Return jobs that carry the mark of ``instance`` and belong to none of the ``known`` job names."""
    if snapshot.unknown_since is not None:
        return []
    ours = re.compile(rf"simdeck-{re.escape(instance[:8])}-[0-9a-f]{{12}}")
    names = set(known)
    return [
        job
        for job in snapshot.jobs
        if ours.fullmatch(job.name)
        and job.name not in names
        and (not job.comment or job.comment.startswith(f"simdeck:{instance[:8]}"))
        and not job.state.ended
        and job.state is not JobState.COMPLETING
    ]
