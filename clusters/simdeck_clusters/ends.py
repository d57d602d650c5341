"""Why a server's job ended: from what Slurm, the job's own record and its log tell, to one cause with its evidence.

Codes are stable; the words are the catalogue's (``server-…``). Certain knowledge comes first: what Slurm says by name,
then the stage the job's script reached, then its exit status, then what the log's last lines look like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from simdeck_common.problems import Problem

from simdeck_clusters.models import EndRecord, JobEnd, JobState
from simdeck_clusters.quantities import memory_text, minutes_text
from simdeck_clusters.reasons import explain
from simdeck_clusters.slurm.script import ExitCode

LOG_LINES = 40
LOG_HEADER = "simdeck: job "
"""How the job script begins its part of the log."""
NEARLY_ALL = 0.97
"""A peak this near the limit, with the server killed, is taken for "out of memory"."""


class Cause(StrEnum):
    """The causes told apart; each is a code of the catalogue."""

    OUT_OF_MEMORY = "server-out-of-memory"
    TIME_LIMIT = "server-time-limit"
    NODE_FAILURE = "server-node-failure"
    PREEMPTED = "server-preempted"
    CANCELLED_BY_USER = "server-cancelled"
    CANCELLED_BY_ADMIN = "server-cancelled-by-admin"
    LIMIT_REFUSED = "server-limit-refused"
    LAUNCH_FAILED = "server-launch-failed"
    ENVIRONMENT_MISSING = "server-environment-missing"
    MODULE_MISSING = "server-module-missing"
    SETUP_FAILED = "server-setup-failed"
    COMMAND_NOT_FOUND = "server-command-not-found"
    HUB_UNREACHABLE = "server-hub-unreachable"
    DIED_BEFORE_READY = "server-died-before-ready"
    REQUEUED = "server-requeued"
    CRASHED = "server-crashed"
    ENDED = "server-ended"
    UNKNOWN = "server-end-unknown"


@dataclass(frozen=True)
class Evidence:
    """One fact a person or a helpdesk can check."""

    label: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """The cause as a problem for people, its evidence, and the log's last lines."""

    cause: Cause
    problem: Problem
    evidence: tuple[Evidence, ...]
    log: str = ""


_HUB = re.compile(
    r"(?:hub|api_url|/hub/api)[^\n]{0,200}(?:connection refused|timed? ?out|no route to host|unreachable|"
    r"name or service not known|failed to connect|temporary failure in name resolution)|"
    r"failed to connect to (?:my )?hub|cannot reach the hub",
    re.IGNORECASE,
)
# Only Slurm's own lines: a program may well say "out of memory" about a GPU.
_OOM = re.compile(
    r"slurmstepd[^\n]*(?:oom[-_ ]?kill|out[- ]of[- ]memory|exceeded (?:job|step) memory limit)", re.IGNORECASE
)
_TIME = re.compile(r"slurmstepd[^\n]*CANCELLED AT \S+ DUE TO TIME LIMIT", re.IGNORECASE)
_PREEMPT = re.compile(r"slurmstepd[^\n]*CANCELLED AT \S+ DUE TO PREEMPTION", re.IGNORECASE)
_NODE = re.compile(r"slurmstepd[^\n]*DUE TO NODE FAIL", re.IGNORECASE)
_MODULE = re.compile(
    r"(?:unable to locate a modulefile for|following module\(s\) are unknown:?)\s*'?\"?([^\s'\"]+)", re.IGNORECASE
)
_COMMAND = re.compile(r"([A-Za-z0-9_./+\-]{1,120}): (?:command not found|No such file or directory)\s*$", re.MULTILINE)
# What the container programs say when the image lacks the server's program; their status is 1 then.
_INSIDE = re.compile(
    r"^(?:bwrap: execvp (\S+): No such file|ch-run\[\d+\]: error: can't execve(?:\(2\))?: (\S+): No such file)",
    re.MULTILINE,
)
_LAUNCH_REASONS = ("JobLaunchFailure", "launch_failed", "SystemFailure", "user_env_retrieval")
_KILLED = {9, 137}


def explain_end(
    end: JobEnd | None,
    *,
    record: EndRecord | None = None,
    log: str = "",
    ready: bool = True,
    asked_by_us: bool = False,
    uid: int | None = None,
    user: str = "",
    cluster: str = "",
) -> Verdict:
    """Return why the job ended.

    Parameters
    ----------
    end
        Slurm's word, where anything remembers the job.
    record
        What the job's script wrote; one of another job is passed over.
    log
        The end of the server's log.
    ready
        Whether the server had answered the hub before.
    asked_by_us
        Whether the hub had ended it at its owner's wish.
    uid, user
        Who the job belonged to, to tell their own `scancel` from an administrator's.
    """
    if record is not None and end is not None and record.job != end.id:
        record = None
    latest = _latest(log)
    tail = "\n".join(latest[-LOG_LINES:])
    cause, params = _cause(end, record, "\n".join(latest), ready=ready, asked_by_us=asked_by_us, owner={user, str(uid)})
    problem = Problem(cause.value, **{"cluster": cluster or "of this site", **params})
    return Verdict(cause, problem, tuple(_evidence(end, record)), tail)


def _latest(log: str) -> list[str]:
    """Return the lines of the log's last run: a job that started again has added to what was there."""
    lines = log.splitlines()
    begins = [at for at, line in enumerate(lines) if line.startswith(LOG_HEADER)]
    return lines[begins[-1] :] if begins else lines


def _cause(
    end: JobEnd | None, record: EndRecord | None, log: str, *, ready: bool, asked_by_us: bool, owner: set[str]
) -> tuple[Cause, dict[str, str]]:
    state = end.state if end is not None else JobState.UNKNOWN
    said = _said_by_slurm(end, record, state, log, asked_by_us=asked_by_us, owner=owner)
    if said is not None:
        return said
    if _out_of_memory(end, record, log):
        return Cause.OUT_OF_MEMORY, _memory(end, record)
    if record is not None and (reached := _by_stage(record)) is not None:
        return reached
    code = record.code if record is not None else end.exit_code if end is not None else None
    if code == ExitCode.HUB_UNREACHABLE or (not ready and _HUB.search(log)):
        return Cause.HUB_UNREACHABLE, {"node": (end.nodes if end is not None else "") or "the node"}
    if not ready and (module := _MODULE.search(log)):
        return Cause.MODULE_MISSING, {"module": module[1]}
    if code == ExitCode.COMMAND_MISSING:
        found = _COMMAND.search(log)
        return Cause.COMMAND_NOT_FOUND, {"command": found[1] if found else "the server's program"}
    if not ready and (inside := _INSIDE.search(log)):
        return Cause.COMMAND_NOT_FOUND, {"command": inside[1] or inside[2]}
    if code is None and end is None:
        return Cause.UNKNOWN, {}
    killed = end is not None and bool(end.signal)
    if (code == 0 and not killed) or state is JobState.COMPLETED:
        return (Cause.ENDED if ready else Cause.DIED_BEFORE_READY), {"status": str(code or 0)}
    status = _status(code, end, record)
    return (Cause.CRASHED if ready else Cause.DIED_BEFORE_READY), {"status": status}


def _said_by_slurm(
    end: JobEnd | None, record: EndRecord | None, state: JobState, log: str, *, asked_by_us: bool, owner: set[str]
) -> tuple[Cause, dict[str, str]] | None:
    reason = end.reason if end is not None else ""
    if state is JobState.OUT_OF_MEMORY or reason == "OutOfMemory":
        return Cause.OUT_OF_MEMORY, _memory(end, record)
    if state in {JobState.TIMEOUT, JobState.DEADLINE} or reason == "TimeLimit" or _TIME.search(log):
        limit = end.walltime_minutes if end is not None else None
        return Cause.TIME_LIMIT, {"time": minutes_text(limit) if limit else "its time"}
    if state is JobState.PREEMPTED or _PREEMPT.search(log):
        return Cause.PREEMPTED, {}
    if state in {JobState.NODE_FAIL, JobState.BOOT_FAIL} or reason == "NodeDown" or _NODE.search(log):
        return Cause.NODE_FAILURE, {"node": (end.nodes if end is not None else "") or "its node"}
    if state in {JobState.REQUEUED, JobState.REQUEUE_HOLD, JobState.SPECIAL_EXIT}:
        return Cause.REQUEUED, {}
    began = log.startswith(LOG_HEADER) or (end is not None and bool(end.signal))
    # Slurm says JobLaunchFailure also when a script that ran was killed.
    if state is JobState.LAUNCH_FAILED or (reason.startswith(_LAUNCH_REASONS) and not began):
        return Cause.LAUNCH_FAILED, {"node": (end.nodes if end is not None else "") or "its node"}
    if state in {JobState.CANCELLED, JobState.REVOKED}:
        return _cancelled(end, asked_by_us=asked_by_us, owner=owner)
    return None


def _cancelled(end: JobEnd | None, *, asked_by_us: bool, owner: set[str]) -> tuple[Cause, dict[str, str]]:
    if asked_by_us:
        return Cause.CANCELLED_BY_USER, {}
    if end is not None and end.reason:
        explained = explain(end.reason)
        never_started = end.started is None or end.ended is None or end.started >= end.ended
        if never_started and explained.known and end.reason.startswith(("QOS", "Assoc", "Max", "Partition", "Account")):
            return Cause.LIMIT_REFUSED, {"reason": explained.sentence.rstrip("."), "remedy": explained.remedy}
    by = end.cancelled_by if end is not None else ""
    if by and by not in owner:
        return Cause.CANCELLED_BY_ADMIN, {}
    return Cause.CANCELLED_BY_USER, {}


def _by_stage(record: EndRecord) -> tuple[Cause, dict[str, str]] | None:
    if record.stage == "modules":
        return Cause.MODULE_MISSING, {"module": record.detail or "a module"}
    if record.stage == "environment":
        return Cause.ENVIRONMENT_MISSING, {"environment": record.detail or "the environment"}
    if record.stage == "setup":
        return Cause.SETUP_FAILED, {"status": str(record.code)}
    if record.stage == "command":
        return Cause.COMMAND_NOT_FOUND, {"command": record.detail or "the server's program"}
    return None


def _out_of_memory(end: JobEnd | None, record: EndRecord | None, log: str) -> bool:
    if _OOM.search(log):
        return True
    if record is None:
        return False
    if record.code in _KILLED and record.out_of_memory_kills:
        return True
    peak, limit = _peak(end, record), _limit(end, record)
    return record.code in _KILLED and peak is not None and limit is not None and peak >= NEARLY_ALL * limit


def _peak(end: JobEnd | None, record: EndRecord | None) -> int | None:
    known = [one.peak_memory_mb for one in (end, record) if one is not None and one.peak_memory_mb]
    return max(known) if known else None


def _limit(end: JobEnd | None, record: EndRecord | None) -> int | None:
    return next((one.memory_limit_mb for one in (end, record) if one is not None and one.memory_limit_mb), None)


def _memory(end: JobEnd | None, record: EndRecord | None) -> dict[str, str]:
    limit = _limit(end, record)
    return {"limit": memory_text(limit) if limit else "its memory"}


def _status(code: int | None, end: JobEnd | None, record: EndRecord | None) -> str:
    signal = (record.signal if record is not None else "") or (end.signal if end is not None else None)
    if code is not None and code > 128 and not signal:
        signal = code - 128
    return f"status {code} (signal {signal})" if signal else f"status {code}"


def _evidence(end: JobEnd | None, record: EndRecord | None) -> list[Evidence]:
    facts: list[tuple[str, str]] = []
    if end is not None:
        source = {"sacct": "Slurm's accounting", "scontrol": "Slurm", "record": "the job itself"}.get(end.source, "")
        facts.append(("State", f"{end.state.value}" + (f" (says {source})" if source else "")))
        if end.reason and end.reason != "None":
            facts.append(("Slurm's reason", end.reason))
        if end.nodes:
            facts.append(("Node", end.nodes))
        if end.started is not None and end.ended is not None and end.ended > end.started:
            seconds = round(end.ended - end.started)
            facts.append(("Ran for", minutes_text(round(seconds / 60)) if seconds >= 60 else f"{seconds} s"))
    code = record.code if record is not None else end.exit_code if end is not None else None
    if code is not None:
        facts.append(("Exit", _status(code, end, record)))
    peak, limit = _peak(end, record), _limit(end, record)
    if peak is not None:
        facts.append(("Peak memory", memory_text(peak) + (f" of {memory_text(limit)}" if limit else "")))
    if record is not None:
        facts.append(("Stage reached", record.stage + (f" ({record.detail})" if record.detail else "")))
    restarts = max((one.restarts for one in (end, record) if one is not None), default=0)
    if restarts:
        facts.append(("Started again", f"{restarts} times"))
    return [Evidence(label, text) for label, text in facts]
