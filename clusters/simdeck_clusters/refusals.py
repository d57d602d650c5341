"""The scheduler's error messages: is it down, did it refuse, and which field is to be changed."""

from __future__ import annotations

import re

from simdeck_clusters.reasons import explain as explain_reason

_OUTAGE = re.compile(
    r"unable to contact slurm controller|socket timed out|connection (?:refused|timed out|reset)|"
    r"controller is (?:not responding|down)|slurmctld.*(?:down|not responding)|"
    r"zero bytes were transmitted or received|unexpected message received|transport endpoint|"
    r"communication connection failure|network is unreachable|no route to host|"
    r"(?:munge|authentication).*(?:fail|credential|socket|error)|protocol authentication error|"
    r"slurm backup controller in standby|resource temporarily unavailable|slurm temporarily unable|"
    r"could not establish a configuration source|unable to determine this slurmd|unable to process configuration|"
    r"rpc rate limit|please retry|temporarily unable to accept",
    re.IGNORECASE,
)
_MAY_HAVE_HAPPENED = re.compile(
    r"socket timed out|zero bytes were transmitted|connection reset|unexpected message received|did not (?:end|answer)|"
    r"communication connection failure|transport endpoint",
    re.IGNORECASE,
)
_NO_JOB = re.compile(r"invalid job id|job/step already completing or completed|already completed|no job", re.IGNORECASE)
_NO_ACCOUNTING = re.compile(
    r"accounting storage is disabled|supported accounting_storage plugin|"
    r"only 'accounting_storage/slurmdbd' is supported|slurmdbd.*not (?:enabled|configured)|"
    r"no such file or directory.*(?:sacct|sacctmgr)|accounting_storage/none",
    re.IGNORECASE,
)
_LAUNCHER = re.compile(r"simdeck-launch|^sudo:|; sudo:|a password is required|may not run|no launcher", re.IGNORECASE)

_FIELDS: tuple[tuple[str, str, str], ...] = (
    (r"invalid account or account/partition", "account", "choose an account that may use this partition"),
    (r"account", "account", "choose another account"),
    (r"invalid qos|qos .*(?:not|permission)", "qos", "choose another QoS"),
    (r"reservation", "reservation", "choose another reservation, or none"),
    (r"time limit|wall ?clock|walltime|MaxWall", "walltime_minutes", "ask for less time"),
    (r"memory", "memory_mb", "ask for less memory"),
    (r"gres|gpu", "gpus", "choose another GPU type or fewer of them"),
    (r"cpu count|more processors|too many cpus|MaxCPU", "cores", "ask for fewer cores"),
    (r"partition", "partition", "choose another partition"),
    (r"requested node configuration is not available", "cores", "ask for less; no node can hold all of this"),
    (r"node count|more nodes", "partition", "choose another partition"),
    (r"license", "partition", "ask the administrator about licenses"),
)
_LIMIT = re.compile(r"(?:QOS|Assoc)(?:Max|Grp|Min)[A-Za-z]+")


def is_outage(message: str) -> bool:
    """Return whether the scheduler did not answer, or only that it cannot now."""
    return _OUTAGE.search(message) is not None


def may_have_happened(code: int, message: str) -> bool:
    """Return whether a submission that failed this way may have been taken all the same."""
    return code == 124 or _MAY_HAVE_HAPPENED.search(message) is not None


def is_no_such_job(message: str) -> bool:
    """Return whether the scheduler says that it knows no such job (any more)."""
    return _NO_JOB.search(message) is not None


def is_no_accounting(message: str) -> bool:
    """Return whether the cluster keeps no accounts."""
    return _NO_ACCOUNTING.search(message) is not None


def is_launcher(message: str) -> bool:
    """Return whether it was sudo or the launcher that refused, not the scheduler."""
    return _LAUNCHER.search(message) is not None


def words(message: str) -> str:
    """Return the scheduler's sentence without its program's prefixes and what repeats."""
    parts: list[str] = []
    for part in message.split(";"):
        part = re.sub(r"^\s*(?:s[a-z]+: )?(?:error: )?", "", part).strip().rstrip(".")
        part = re.sub(r"^(?:Batch job submission failed|allocation failure): ", "", part)
        if part and part not in parts:
            parts.append(part)
    return "; ".join(parts) or "no reason"


def explain(message: str) -> tuple[str | None, str]:
    """Return the field to change (of ``ResourceRequest``) and what to do, as far as the message tells."""
    if limit := _LIMIT.search(message):
        return _limited(limit[0]), explain_reason(limit[0]).remedy.rstrip(".")
    for pattern, field, hint in _FIELDS:
        if re.search(pattern, message, re.IGNORECASE):
            return field, hint
    return None, "ask the administrator what the cluster's limits are"


def _limited(reason: str) -> str | None:
    for word, field in (
        ("Wall", "walltime_minutes"),
        ("Minutes", "walltime_minutes"),
        ("Mem", "memory_mb"),
        ("GRES", "gpus"),
        ("Cpu", "cores"),
        ("CPU", "cores"),
    ):
        if word in reason:
            return field
    return None
