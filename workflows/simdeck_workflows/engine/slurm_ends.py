"""How a Slurm job ended, and why that is: from what the scheduler still knows, as words for the run.

The evidence is gathered once, when the job has ended, and stays with the calculation. Accounting is not needed: the
controller remembers a job for some minutes; where `sacct` works it adds the peak of memory.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from aiida import orm
from aiida.engine.processes.exit_code import ExitCode
from simdeck_clusters.models import JobState
from simdeck_clusters.quantities import memory_mib, memory_text, minutes, minutes_text
from simdeck_common.problems import Problem

from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.engine import slurm_commands, tree
from simdeck_workflows.engine.slurm_commands import QueueEntry, SchedulerSilentError

REFUSED = 171
STATUS = {
    "job-out-of-memory": 110,
    "job-time-limit": 120,
    "job-node-failed": 140,
    "job-refused": REFUSED,
    "job-cancelled": 172,
    "job-preempted": 173,
}
"""Exit statuses of calculations; AiiDA's own numbers where it has one."""

_CODES = {
    JobState.OUT_OF_MEMORY: "job-out-of-memory",
    JobState.TIMEOUT: "job-time-limit",
    JobState.DEADLINE: "job-time-limit",
    JobState.NODE_FAIL: "job-node-failed",
    JobState.BOOT_FAIL: "job-node-failed",
    JobState.LAUNCH_FAILED: "job-node-failed",
    JobState.PREEMPTED: "job-preempted",
    JobState.CANCELLED: "job-cancelled",
    JobState.REVOKED: "job-cancelled",
}
# What slurmstepd writes into the job's error file; the first that is found counts.
_SIGNS = (
    (
        re.compile(r"oom[-_ ]kill|exceeded (?:job |step )?memory limit|out of memory", re.IGNORECASE),
        "job-out-of-memory",
    ),
    (re.compile(r"slurmstepd: .*CANCELLED AT .*DUE TO TIME LIMIT"), "job-time-limit"),
    (re.compile(r"slurmstepd: .*CANCELLED AT .*DUE TO NODE FAILURE"), "job-node-failed"),
    (re.compile(r"slurmstepd: .*CANCELLED AT .*DUE TO PREEMPTION"), "job-preempted"),
    (re.compile(r"slurmstepd: .*CANCELLED AT "), "job-cancelled"),
)


@dataclass(frozen=True)
class End:
    """The evidence: state and reason by Slurm's names, memory in MiB, the time limit in minutes."""

    state: str = "UNKNOWN"
    reason: str = ""
    exit_code: str = ""
    cluster: str = ""
    job: str = ""
    node: str = ""
    memory_mb: int | None = None
    peak_memory_mb: int | None = None
    walltime_minutes: int | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, detailed: Any) -> End | None:
        """Read what AiiDA kept of :func:`find`; None for anything else."""
        try:
            return cls(**json.loads(detailed["stdout"]))
        except (TypeError, ValueError, KeyError):
            return None


def find(cluster: RunCluster, number: str, seen: QueueEntry | None) -> End:
    """Ask once how a job ended; what was ``seen`` of it in the queue is the answer where nobody knows more."""
    known: dict[str, Any] = {"cluster": cluster.title or cluster.name, "job": number}
    if seen is not None and seen.id:
        number = known["job"] = seen.id
    if seen is not None and seen.state.ended:
        known |= {"state": seen.state.value, "reason": seen.reason, "node": seen.nodes}
    try:
        code, out, _err = slurm_commands.run(cluster, "scontrol", ["--oneliner", "show", "job", number], timeout=5.0)
        if code == 0:
            known |= _of_scontrol(slurm_commands.parse_scontrol(out))
        if known.get("state", "UNKNOWN") in ("UNKNOWN", "OUT_OF_MEMORY"):
            known |= _of_sacct(cluster, number, known)
    except SchedulerSilentError:
        pass
    return End(**known)


def _of_scontrol(pairs: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "state": slurm_commands.state_of(pairs.get("JobState", "")).value,
        "reason": pairs.get("Reason", "").replace("None", ""),
        "exit_code": pairs.get("ExitCode", ""),
        "node": pairs.get("NodeList", "").replace("(null)", ""),
    }
    return found | _amounts(pairs.get("MinMemoryNode", ""), pairs.get("TimeLimit", ""))


def _amounts(memory: str, limit: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        found["memory_mb"] = memory_mib(memory) or None
    with contextlib.suppress(ValueError):
        found["walltime_minutes"] = minutes(limit)
    return found


def _of_sacct(cluster: RunCluster, number: str, known: dict[str, Any]) -> dict[str, Any]:
    fields = "JobIDRaw,State,MaxRSS,NodeList"
    code, out, _err = slurm_commands.run(
        cluster, "sacct", ["--noheader", "--parsable2", f"--format={fields}", "--jobs", number], timeout=5.0
    )
    if code != 0:
        return {}
    found: dict[str, Any] = {}
    for line in out.splitlines():
        parts = line.split("|")
        if len(parts) != 4:
            continue
        if parts[0] == number and known.get("state", "UNKNOWN") == "UNKNOWN":
            found |= {"state": slurm_commands.state_of(parts[1]).value, "node": parts[3]}
        try:
            found["peak_memory_mb"] = max(memory_mib(parts[2]), found.get("peak_memory_mb", 0))
        except ValueError:
            continue
    return found


def problem(end: End | None, stderr: str) -> Problem | None:
    """Why the scheduler ended the job, for people; None where it ended by itself."""
    end = end or End()
    code = _CODES.get(JobState(end.state))
    if code in (None, "job-cancelled"):
        code = next((name for sign, name in _SIGNS if sign.search(stderr)), code)
    if code is None:
        return None
    limit = memory_text(end.memory_mb) if end.memory_mb else "what it had asked for"
    return Problem(
        code,
        cluster=end.cluster,
        node=end.node or "the node",
        memory=f"{limit}, with a peak of {memory_text(end.peak_memory_mb)}" if end.peak_memory_mb else limit,
        walltime=minutes_text(end.walltime_minutes) if end.walltime_minutes else "the one it had asked for",
    )


def exit_code(end: End | None, stderr: str) -> ExitCode | None:
    """The same as an exit code of the calculation, which its parser may overrule."""
    found = problem(end, stderr)
    return ExitCode(STATUS[found.code], found.detail, invalidates_cache=True) if found is not None else None


def cause(node: Any) -> Problem | None:
    """What the scheduler did to the last calculation of a failed run, if that is why it failed."""
    calculations = [job for job in tree.calculations(node) if job.is_terminated]
    if not calculations or calculations[-1].is_finished_ok:
        return None
    last = calculations[-1]
    if last.exit_status == REFUSED:
        return Problem("job-refused", detail=last.exit_message)
    end = End.of(last.get_detailed_job_info() or {})
    return problem(end, _errors(last)) if end is not None else None


def _errors(job: orm.CalcJobNode) -> str:
    return str(job.get_scheduler_stderr() or "")
