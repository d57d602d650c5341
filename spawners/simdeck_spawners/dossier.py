"""Why a server ended by itself: gathered while it can still be asked, kept in the book, packed for support."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

from simdeck_clusters.cluster import ServerFiles, from_record
from simdeck_clusters.ends import explain_end
from simdeck_clusters.models import JobEnd
from simdeck_common.problems import Problem

from simdeck_spawners import views
from simdeck_spawners.book import Entry, Stage

if TYPE_CHECKING:
    from simdeck_spawners.fleet import SlurmFleet

LOG_LINES = 60


async def build(fleet: SlurmFleet, entry: Entry, end: JobEnd | None) -> dict[str, Any]:
    """Return why the entry's job ended, by Slurm, the job's own record and its log, as far as these are to be had."""
    left = await _left(fleet, entry)
    if end is None and left.end is not None:
        end = from_record(left.end, entry.job_id)
    verdict = explain_end(
        end,
        record=left.end,
        log=left.log,
        ready=entry.stage is Stage.RUNNING or entry.was_running,
        user=entry.user,
        cluster=fleet.clusters[entry.cluster].settings.label,
    )
    failure = {
        **verdict.problem.to_json(),
        "evidence": [{"label": one.label, "text": one.text} for one in verdict.evidence],
        "log": verdict.log,
        "when": fleet.clock(),
    }
    if entry.failure is not None:
        # We ended it ourselves and know why; what Slurm says is further evidence.
        failure |= {key: entry.failure[key] for key in ("type", "code", "title", "detail", "remedy", "status")}
    return failure


async def with_log(fleet: SlurmFleet, entry: Entry, problem: dict[str, Any]) -> dict[str, Any]:
    """Return ``problem`` as a failure, with the last lines of the server's log."""
    left = await _left(fleet, entry)
    log = "\n".join(left.log.splitlines()[-LOG_LINES:])
    return {**problem, "evidence": [], "log": log, "when": fleet.clock()}


async def _left(fleet: SlurmFleet, entry: Entry) -> ServerFiles:
    try:
        return await fleet.clusters[entry.cluster].read(entry.user, entry.job_name)
    except Problem as problem:
        fleet.log.info("What %s left cannot be read: %s", entry.job_name, problem.detail)
        return ServerFiles()


async def bundle(fleet: SlurmFleet, entry: Entry, view: dict[str, Any]) -> bytes:
    """Return a zip for support: what the page shows, the log, what the job left. No token is in it."""
    left = await _left(fleet, entry)
    failure = entry.failure or {}
    about = {
        "user": entry.user,
        "server": entry.server or "-",
        "cluster": entry.cluster,
        "job": entry.job_id,
        "job_name": entry.job_name,
        "created": views.iso(entry.created),
        "submitted": views.iso(entry.submitted),
        "started": views.iso(entry.started),
        "ended": views.iso(entry.ended),
        "files": list(left.files),
    }
    readme = [
        f"Server {entry.server or '-'} of {entry.user} on {entry.cluster}, job {entry.job_id or 'not submitted'}.",
        "",
        str(failure.get("title", "")),
        str(failure.get("detail", "")),
        str(failure.get("remedy", "")),
        "",
        *(f"{one['label']}: {one['text']}" for one in failure.get("evidence", [])),
    ]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", "\n".join(readme) + "\n")
        archive.writestr("server.json", json.dumps(view, indent=2))
        archive.writestr("job.json", json.dumps(about, indent=2))
        archive.writestr("job.log", left.log or str(failure.get("log") or ""))
    return packed.getvalue()
