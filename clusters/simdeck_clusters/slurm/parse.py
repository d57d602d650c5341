"""What Slurm's commands print, read into the models. Anything unexpected is ``Garbled``, never "none".

Tested with recorded outputs (``tests/clusters/fixtures``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from simdeck_clusters.models import Estimate, Job, JobState
from simdeck_clusters.slurm.argv import QUEUE_FIELDS

_NULL = {"", "(null)", "N/A", "n/a", "None", "NONE", "Unknown", "None assigned", "UNLIMITED", "INFINITE", "infinite"}
_TASKS = re.compile(r"\d+_\[(.*?)(?:%\d+)?\]")
_ESTIMATE = re.compile(
    r"Job \d+ to start at (\S+)(?: a)? using (\d+) processors on nodes? (.*?)(?: in partition (\S+))?\s*$", re.MULTILINE
)
_SUBMITTED = re.compile(r"([1-9]\d{0,11})(?:;[A-Za-z0-9_.\-]+)?")


class Garbled(ValueError):  # noqa: N818 - a state of the answer
    """A command succeeded but its output is not what Slurm prints."""


def text(value: str) -> str:
    """Return a field, with Slurm's many words for "nothing" as empty text."""
    value = value.strip()
    return "" if value in _NULL else value


def time(value: str) -> float | None:
    """Return a time (s since the epoch) from seconds or from Slurm's local "2026-11-21T12:00:00"; ``None`` for none."""
    value = text(value)
    if not value:
        return None
    if re.fullmatch(r"\d{1,12}", value):
        return float(value) or None
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        return None


def minutes(value: str) -> int | None:
    """Return a limit in minutes from "1-02:03:04", "30:00" (minutes:seconds) or "30"; ``None`` for no limit."""
    value = text(value)
    matched = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", value)
    if matched is None:
        return None
    days, first, second, third = (int(part) if part is not None else None for part in matched.groups())
    assert first is not None
    if days is not None:
        hours, mins, seconds = first, second or 0, third or 0
    elif third is not None:
        hours, mins, seconds = first, second or 0, third
    else:
        hours, mins, seconds = 0, first, second or 0
    return (days or 0) * 1440 + hours * 60 + mins + (1 if seconds else 0)


def mebibytes(value: str) -> int | None:
    """Return memory in MiB, rounded up, from "4G", "2000M", "512K" or a number of MiB (older: "2Gn", "4Gc")."""
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGTP]?)[nc]?", text(value), re.IGNORECASE)
    if matched is None:
        return None
    size = float(matched[1]) * {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2, "P": 1024**3}[matched[2].upper()]
    return -int(-size // 1)


def number(value: str) -> int:
    """Return a whole number; 0 when it is none."""
    matched = re.match(r"\d+", value.strip())
    return int(matched[0]) if matched else 0


def state(value: str) -> JobState:
    """Return the state named first in ``value`` ("CANCELLED by 1001", "RUNNING,COMPLETING")."""
    word = re.match(r"[A-Z_]*", value.strip())
    try:
        return JobState(word[0] if word else "")
    except ValueError:
        return JobState.UNKNOWN


def queue(output: str, mark: str) -> list[Job]:
    """Return the jobs of a `squeue` call made with ``argv.queue(mark)``.

    Raises
    ------
    Garbled
        Anything stands outside the records, a record is cut off, or a field makes no sense.
    """
    return [queued(fields) for fields in records(output, mark)]


def records(output: str, mark: str) -> Iterator[list[str]]:
    """Yield the fields of each record of a `squeue` call made with ``mark``; errors as of ``queue``."""
    opening, closing, between = f"<{mark}>", f"</{mark}>", f"|{mark}|"
    at = 0
    while at < len(output):
        if output[at] == "\n":
            at += 1
            continue
        if not output.startswith(opening, at):
            raise Garbled(f"squeue: unexpected {output[at : at + 80]!r}")
        end = output.find(closing, at)
        if end < 0:
            raise Garbled("squeue: the output breaks off")
        yield output[at + len(opening) : end].split(between)
        at = end + len(closing)


def queued(fields: list[str]) -> Job:
    """Return the job of one record's fields.

    Raises
    ------
    Garbled
        A field makes no sense.
    """
    if len(fields) != len(QUEUE_FIELDS):
        raise Garbled(f"squeue: {len(fields)} fields in a record")
    by = dict(zip(QUEUE_FIELDS, fields, strict=True))
    job, user = by["i"].strip(), by["u"].strip()
    if not job[:1].isdigit() or not user or not by["T"].strip():
        raise Garbled(f"squeue: no job in {fields[:3]!r}"[:200])
    memory = mebibytes(by["m"])
    return Job(
        id=job,
        name=by["j"],
        user=user,
        state=state(by["T"]),
        partition=text(by["P"]),
        reason=text(by["r"]),
        account=text(by["a"]),
        qos=text(by["q"]),
        nodes=text(by["N"]),
        batch_host=text(by["B"]),
        submitted=time(by["V"]),
        started=time(by["S"]),
        ends=time(by["e"]),
        walltime_minutes=minutes(by["l"]),
        priority=number(by["Q"]),
        cores=number(by["C"]),
        memory_mb=memory or None,
        gres=text(by["b"]).replace("gres:", "").replace("gres/", ""),
        reservation=text(by["v"]),
        comment=text(by["k"]),
        node_count=number(by["D"]),
        tasks=_tasks(job),
    )


def _tasks(job: str) -> int:
    matched = _TASKS.fullmatch(job)
    if matched is None:
        return 1
    total = 0
    for part in matched[1].split(","):
        first, _, last = part.partition("-")
        last, _, step = last.partition(":")
        if first.isdigit() and last.isdigit():
            total += (int(last) - int(first)) // (number(step) or 1) + 1
        else:
            total += 1
    return total


def submitted(output: str) -> str:
    """Return the job id `sbatch --parsable` printed.

    Raises
    ------
    Garbled
        There is none.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    matched = _SUBMITTED.fullmatch(lines[-1]) if lines else None
    if matched is None:
        raise Garbled(f"sbatch: no job id in {output[:80]!r}")
    return matched[1]


def estimate(output: str) -> Estimate:
    """Return when and where `sbatch --test-only` expects the job to start.

    Raises
    ------
    Garbled
        It says nothing of the kind.
    """
    matched = _ESTIMATE.search(output)
    if matched is None:
        raise Garbled(f"sbatch --test-only: unexpected {output[:80]!r}")
    return Estimate(
        start=time(matched[1]),
        cores=int(matched[2]),
        nodes=text(matched[3]),
        partition=matched[4] or "",
        message=matched[0].strip(),
    )


def version(output: str) -> str:
    """Return "22.05.8" from "slurm 22.05.8" or "slurm-wlm 22.05.8"; empty when there is none."""
    matched = re.search(r"\b(\d{2}\.\d{2}(?:\.\d+)?)", output)
    return matched[1] if matched else ""


def nodelist(value: str, limit: int = 10_000) -> list[str]:
    """Return the names in a node list such as "cn[1-3,07],gpu1".

    Raises
    ------
    Garbled
        The list is not one, or names more than ``limit`` nodes.
    """
    names: list[str] = []
    for part in _outer_parts(text(value)):
        for one in _expand(part):
            names.append(one)
            if len(names) > limit:
                raise Garbled(f"more than {limit} nodes")
    return names


def _outer_parts(value: str) -> Iterator[str]:
    depth, begin = 0, 0
    for at, sign in enumerate(value):
        depth += (sign == "[") - (sign == "]")
        if depth not in (0, 1):
            raise Garbled(f"node list: {value[:80]!r}")
        if sign == "," and depth == 0:
            yield value[begin:at]
            begin = at + 1
    if depth:
        raise Garbled(f"node list: {value[:80]!r}")
    if value[begin:]:
        yield value[begin:]


def _expand(part: str) -> Iterable[str]:
    head, opened, rest = part.partition("[")
    if not opened:
        return [part]
    inside, _, tail = rest.partition("]")
    tails = list(_expand(tail))
    return (head + middle + end for middle in _numbers(inside) for end in tails)


def _numbers(ranges: str) -> Iterator[str]:
    for item in ranges.split(","):
        first, dash, last = item.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise Garbled(f"node list: {ranges[:80]!r}")
        for value in range(int(first), int(last or first) + 1):
            yield str(value).zfill(len(first))
