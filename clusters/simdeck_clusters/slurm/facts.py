"""`scontrol show` and accounting, read into the models: nodes, partitions, reservations, accounts, one job's end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from simdeck_clusters.models import Association, Gpu, Job, JobEnd, Node, Partition, Reservation
from simdeck_clusters.slurm.argv import HISTORY_FIELDS
from simdeck_clusters.slurm.parse import Garbled, mebibytes, minutes, number, state, text, time

_PAIR = re.compile(r"(?:^|\s)([A-Za-z][A-Za-z0-9_/:.]*)=")
_GPU = re.compile(r"gpu(?::([A-Za-z0-9_.\-]+))??:(\d+)(?:\([^)]*\))?")


def pairs(line: str) -> dict[str, str]:
    """Return the Key=value pairs of one line of `scontrol`; a value goes on until the next key."""
    found = list(_PAIR.finditer(line))
    ends = [*(one.start() for one in found[1:]), len(line)]
    return {one[1]: line[one.end() : end].strip() for one, end in zip(found, ends, strict=False)}


def _lines(output: str, key: str, nothing: str) -> Iterator[dict[str, str]]:
    for line in output.splitlines():
        if not line.strip() or line.strip().lower().startswith(nothing):
            continue
        if not line.startswith(f"{key}="):
            raise Garbled(f"scontrol: unexpected {line[:80]!r}")
        yield pairs(line)


def nodes(output: str) -> dict[str, Node]:
    """Return the nodes of `scontrol show node --oneliner`.

    Raises
    ------
    Garbled
        A line is none of a node.
    """
    return {by["NodeName"]: _node(by) for by in _lines(output, "NodeName", "no nodes in the system")}


def _node(by: dict[str, str]) -> Node:
    name = by["NodeName"]
    states = re.sub(r"[*~#!%$@^\-]", "+", by.get("State", "UNKNOWN"))
    marks = {"*": "NOT_RESPONDING", "%": "POWERING_DOWN", "$": "MAINT", "@": "REBOOT_REQUESTED"}
    flags = {word for sign, word in marks.items() if sign in by.get("State", "")}
    memory = number(by.get("RealMemory", "0")) - number(by.get("MemSpecLimit", "0"))
    return Node(
        name=name,
        address=text(by.get("NodeAddr", "")) or name,
        host=text(by.get("NodeHostName", "")) or name,
        states=frozenset({word for word in states.split("+") if word} | flags),
        partitions=tuple(part for part in text(by.get("Partitions", "")).split(",") if part),
        cores=number(by.get("CPUEfctv", "") or by.get("CPUTot", "0")),
        cores_used=number(by.get("CPUAlloc", "0")),
        memory_mb=max(0, memory),
        memory_used_mb=number(by.get("AllocMem", "0")),
        gpus=_gpus(by),
        features=tuple(part for part in text(by.get("ActiveFeatures", "")).split(",") if part),
        reason=text(by.get("Reason", "")),
        slurm_version=text(by.get("Version", "")),
    )


def _gpus(by: dict[str, str]) -> tuple[Gpu, ...]:
    totals: dict[str, int] = {}
    for kind, count in _GPU.findall(text(by.get("Gres", ""))):
        totals[kind] = totals.get(kind, 0) + int(count)
    used: dict[str, int] = {}
    for kind, count in _GPU.findall(text(by.get("GresUsed", ""))):
        used[kind] = used.get(kind, 0) + int(count)
    return tuple(Gpu(kind, total, min(total, used.get(kind, 0))) for kind, total in sorted(totals.items()))


def partitions(output: str) -> dict[str, Partition]:
    """Return the partitions of `scontrol show partition --oneliner`.

    Raises
    ------
    Garbled
        A line is none of a partition.
    """
    return {by["PartitionName"]: _partition(by) for by in _lines(output, "PartitionName", "no partitions in")}


def _partition(by: dict[str, str]) -> Partition:
    return Partition(
        name=by["PartitionName"],
        up=by.get("State", "UP") == "UP",
        default=by.get("Default") == "YES",
        hidden=by.get("Hidden") == "YES" or by.get("RootOnly") == "YES",
        max_walltime_minutes=minutes(by.get("MaxTime", "")),
        default_walltime_minutes=minutes(by.get("DefaultTime", "")),
        max_nodes=_limit(by.get("MaxNodes", "")),
        max_cores_per_node=_limit(by.get("MaxCPUsPerNode", "")),
        max_memory_per_node_mb=_limit(by.get("MaxMemPerNode", "")),
        max_memory_per_core_mb=_limit(by.get("MaxMemPerCPU", "")),
        nodes=text(by.get("Nodes", "")),
        total_cores=number(by.get("TotalCPUs", "0")),
        allow_accounts=_set(by.get("AllowAccounts", "ALL")),
        deny_accounts=_set(by.get("DenyAccounts", "")) or frozenset(),
        allow_groups=_set(by.get("AllowGroups", "ALL")),
        allow_qos=_set(by.get("AllowQos", by.get("AllowQOS", "ALL"))),
        deny_qos=_set(by.get("DenyQos", by.get("DenyQOS", ""))) or frozenset(),
        qos=text(by.get("QoS", "")),
    )


def _limit(value: str) -> int | None:
    return int(value) if value.isdigit() and int(value) > 0 else None


def _set(value: str) -> frozenset[str] | None:
    value = text(value)
    return None if value in {"ALL", ""} else frozenset(part for part in value.split(",") if part)


def reservations(output: str) -> dict[str, Reservation]:
    """Return the reservations of `scontrol show reservation --oneliner`.

    Raises
    ------
    Garbled
        A line is none of a reservation.
    """
    found = {}
    for by in _lines(output, "ReservationName", "no reservations in the system"):
        found[by["ReservationName"]] = Reservation(
            name=by["ReservationName"],
            start=time(by.get("StartTime", "")),
            end=time(by.get("EndTime", "")),
            nodes=text(by.get("Nodes", "")),
            partition=text(by.get("PartitionName", "")),
            users=_set(by.get("Users", "")) or frozenset(),
            accounts=_set(by.get("Accounts", "")) or frozenset(),
            flags=_set(by.get("Flags", "")) or frozenset(),
            active=by.get("State") == "ACTIVE",
        )
    return found


def job(output: str) -> tuple[Job, JobEnd | None]:
    """Return the job of `scontrol show job`, and its end when it has ended.

    Raises
    ------
    Garbled
        This is no job.
    """
    if not output.lstrip().startswith("JobId="):
        raise Garbled(f"scontrol: unexpected {output[:80]!r}")
    first, *lines = output.strip().split("\n\n", 1)[0].splitlines()
    head, _, name = first.partition(" JobName=")
    by = {"JobId": head.removeprefix("JobId="), "JobName": name}
    for line in lines:
        # Names, comments and paths are the user's: what stands earlier is Slurm's and wins.
        by = pairs(line) | by
    if "JobState" not in by:
        raise Garbled("scontrol: a job without a state")
    user = by.get("UserId", "").partition("(")[0]
    shown = state(by["JobState"])
    node_list, exit_code = text(by.get("NodeList", "")), by.get("ExitCode", "0:0")
    found = Job(
        id=by["JobId"].split()[0],
        name=by.get("JobName", ""),
        user=user,
        state=shown,
        partition=text(by.get("Partition", "")),
        reason=text(by.get("Reason", "").partition(" Dependency=")[0]),
        account=text(by.get("Account", "")),
        qos=text(by.get("QOS", "")),
        nodes=node_list,
        batch_host=text(by.get("BatchHost", "")),
        submitted=time(by.get("SubmitTime", "")),
        started=time(by.get("StartTime", "")),
        ends=time(by.get("EndTime", "")),
        walltime_minutes=minutes(by.get("TimeLimit", "")),
        priority=number(by.get("Priority", "")),
        cores=number(by.get("NumCPUs", "")),
        memory_mb=_memory(by),
        gres=text(by.get("TresPerNode", "")).replace("gres:", "").replace("gres/", ""),
        reservation=text(by.get("Reservation", "")),
        comment=text(by.get("Comment", "")),
        node_count=number(by.get("NumNodes", "")),
        restarts=number(by.get("Restarts", "")),
    )
    if not shown.ended:
        return found, None
    code, signal = _exit(exit_code)
    return found, JobEnd(
        id=found.id,
        state=shown,
        source="scontrol",
        exit_code=code,
        signal=signal,
        reason=found.reason,
        started=found.started,
        ended=found.ends,
        nodes=node_list,
        memory_limit_mb=found.memory_mb,
        walltime_minutes=found.walltime_minutes,
        restarts=found.restarts,
    )


def _memory(by: dict[str, str]) -> int | None:
    for tres in (by.get("AllocTRES", ""), by.get("TRES", ""), by.get("ReqTRES", "")):
        if matched := re.search(r"\bmem=(\d+(?:\.\d+)?[KMGT]?)", tres):
            return mebibytes(matched[1])
    return mebibytes(by.get("MinMemoryNode", ""))


def _exit(value: str) -> tuple[int | None, int | None]:
    code, _, signal = value.strip().partition(":")
    if not code.isdigit():
        return None, None
    return int(code), int(signal) if signal.isdigit() and int(signal) else None


def history(output: str) -> list[JobEnd]:
    """Return the jobs `sacct` shows, oldest first, each with the highest memory of its steps; running ones too.

    Raises
    ------
    Garbled
        A line has not the fields asked for.
    """
    names = HISTORY_FIELDS.split(",")
    ends: list[JobEnd] = []
    for line in output.splitlines():
        if not line.strip():
            continue
        fields = line.split("|")
        if len(fields) != len(names) or not fields[0][:1].isdigit():
            raise Garbled(f"sacct: unexpected {line[:80]!r}")
        by = dict(zip(names, fields, strict=True))
        base, dot, _ = by["JobIDRaw"].partition(".")
        peak = mebibytes(by["MaxRSS"])
        if dot:
            if ends and ends[-1].id == base and peak is not None:
                ends[-1] = replace(ends[-1], peak_memory_mb=max(peak, ends[-1].peak_memory_mb or 0))
            continue
        ends.append(_accounted(by, peak))
    for at, end in enumerate(ends):
        ends[at] = replace(end, restarts=sum(earlier.id == end.id for earlier in ends[:at]))
    return ends


def _accounted(by: dict[str, str], peak: int | None) -> JobEnd:
    code, signal = _exit(by["ExitCode"])
    limit = mebibytes(by["ReqMem"])
    if limit is not None and by["ReqMem"].endswith("c"):
        limit *= max(1, number(by["ReqCPUS"]))
    return JobEnd(
        id=by["JobIDRaw"],
        state=state(by["State"]),
        source="sacct",
        exit_code=code,
        signal=signal,
        reason=text(by["Reason"]),
        started=time(by["Start"]),
        ended=time(by["End"]),
        nodes=text(by["NodeList"]),
        peak_memory_mb=peak,
        memory_limit_mb=limit or None,
        walltime_minutes=minutes(by["TimelimitRaw"]),
        cancelled_by=by["State"].partition(" by ")[2].strip(),
    )


def associations(output: str, users: str = "", usage: str = "") -> tuple[Association, ...]:
    """Return who may charge which account, from `sacctmgr`, with what `sshare` says is used.

    Raises
    ------
    Garbled
        A line has not the fields asked for.
    """
    defaults = dict(_fields(users, 2))
    budgets, shares = _budgets(usage)
    found = []
    for user, account, partition, qos, default_qos, max_wall, max_jobs, own_limit in _fields(output, 8):
        if not user:
            if account not in budgets and (limit := _cpu_minutes(own_limit)) is not None:
                budgets[account] = (limit, 0)
            continue
        found.append(
            Association(
                user=user,
                account=account,
                partition=partition,
                qos=tuple(name for name in qos.split(",") if name),
                default_qos=default_qos,
                default=defaults.get(user) == account,
                max_walltime_minutes=minutes(max_wall),
                max_jobs=_limit(max_jobs),
                fairshare=shares.get((user, account)),
            )
        )
    for at, one in enumerate(found):
        most, used = budgets.get(one.account, (None, None))
        found[at] = replace(one, core_minutes_limit=most, core_minutes_used=used)
    return tuple(found)


def _budgets(usage: str) -> tuple[dict[str, tuple[int | None, int | None]], dict[tuple[str, str], float]]:
    """Return each account's tightest core-minutes (limit, used), its parents' included, and people's fair-share.

    `sshare` shows by indentation which account is part of which.
    """
    budgets: dict[str, tuple[int | None, int | None]] = {}
    shares: dict[tuple[str, str], float] = {}
    above: list[tuple[int, tuple[int | None, int | None]]] = []
    lines = [line for line in usage.splitlines() if line.strip()]
    for line, (account, user, limit, raw, share) in zip(lines, _fields(usage, 5), strict=True):
        if user:
            shares[user, account] = _float(share)
            continue
        depth = len(line) - len(line.lstrip(" "))
        while above and above[-1][0] >= depth:
            above.pop()
        budget = (_cpu_minutes(limit), _cpu_minutes(raw))
        if above and _left(above[-1][1]) < _left(budget):
            budget = above[-1][1]
        above.append((depth, budget))
        budgets[account] = budget
    return budgets, shares


def _left(budget: tuple[int | None, int | None]) -> float:
    return float("inf") if budget[0] is None else budget[0] - (budget[1] or 0)


def _fields(output: str, count: int) -> Iterator[list[str]]:
    for line in output.splitlines():
        if line.strip():
            fields = [field.strip() for field in line.split("|")]
            if len(fields) != count:
                raise Garbled(f"accounting: unexpected {line[:80]!r}")
            yield fields


def _cpu_minutes(tres: str) -> int | None:
    matched = re.search(r"(?:^|,)cpu=(\d+)", tres)
    return int(matched[1]) if matched else None


def _float(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0
