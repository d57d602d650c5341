"""A cluster's live limits: what of a checked pattern Slurm would accept, and the words when it would not."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simdeck_common.problems import Problem

from simdeck_clusters.models import Association, Node, Partition, Snapshot
from simdeck_clusters.quantities import memory_text, minutes_text
from simdeck_clusters.settings import ClusterSettings, PartitionOffer

if TYPE_CHECKING:
    from simdeck_clusters.request import Allowance, ResourceRequest


@dataclass(frozen=True)
class Caps:
    """The largest request one partition takes from one person; ``None`` is not known, so left to Slurm."""

    cores: int | None = None
    memory_mb: int | None = None
    gpus: int | None = None
    gpu_types: dict[str, int] | None = None
    walltime_minutes: int | None = None
    default_walltime_minutes: int | None = None


def choice(field: str, known: Iterable[str]) -> Problem:
    """Return the refusal of a value that is not among the known ones."""
    names = ", ".join(sorted(known)) or "nothing"
    words = "the quality of service" if field == "qos" else f"the {field}"
    return Problem("resources-choice", field=field, name=words, allowed=names)


def offered_partitions(
    cluster: ClusterSettings, allowed: frozenset[str] | None, snapshot: Snapshot | None
) -> list[str]:
    """Return the partitions a person may choose, the site's order first, else Slurm's default first."""
    if cluster.partitions:
        names = [offer.name for offer in cluster.partitions]
        if snapshot is not None and snapshot.partitions:
            names = [name for name in names if name in snapshot.partitions]
    elif snapshot is not None and snapshot.partitions:
        shown = [one for one in snapshot.partitions.values() if not one.hidden]
        names = [one.name for one in sorted(shown, key=lambda one: (not one.default, one.name))]
    else:
        names = sorted(allowed or ())
    return [name for name in names if allowed is None or name in allowed]


def choose_partition(
    wanted: str | None, cluster: ClusterSettings, allowed: frozenset[str] | None, snapshot: Snapshot | None
) -> str:
    """Return the partition to use: the wanted one if offered, else the first that is up.

    Raises
    ------
    Problem
        ``resources-choice`` on ``partition``; ``cluster-unavailable``: none was named, and none is known yet.
    """
    names = offered_partitions(cluster, allowed, snapshot)
    unlisted = not cluster.partitions and (snapshot is None or not snapshot.partitions) and allowed is None
    if wanted is not None:
        if wanted not in names and not unlisted:
            raise choice("partition", names)
        return wanted
    known = snapshot.partitions if snapshot is not None else {}
    for name in names:
        if name not in known or known[name].up:
            return name
    if names:
        return names[0]
    if unlisted:
        reason = "its partitions are not known yet"
        raise Problem("cluster-unavailable", field="partition", cluster=cluster.label, reason=reason)
    raise choice("partition", names)


def caps(cluster: ClusterSettings, allowed: Allowance, snapshot: Snapshot | None, partition: str) -> Caps:
    """Return the largest request the partition takes: the least of Slurm's, the site's and the policies' limits."""
    offer = next((one for one in cluster.partitions if one.name == partition), PartitionOffer(name=partition))
    known = snapshot.partitions if snapshot is not None else {}
    live = known.get(partition, Partition(name=partition, up=True))
    nodes = list(snapshot.nodes_of(partition)) if snapshot is not None else []
    types = snapshot.gpu_types(partition) if nodes and snapshot is not None else None
    most_gpus = None
    if nodes:
        most_gpus = max(sum(gpu.total for gpu in node.gpus) for node in nodes)
    return Caps(
        cores=_least(
            offer.max_cores,
            allowed.max_cores,
            live.max_cores_per_node,
            max((node.cores for node in nodes), default=None),
        ),
        memory_mb=_least(
            offer.max_memory_mb,
            allowed.max_memory_mb,
            live.max_memory_per_node_mb,
            max((node.memory_mb for node in nodes), default=None),
        ),
        gpus=_least(offer.max_gpus, allowed.max_gpus, most_gpus),
        gpu_types=types,
        walltime_minutes=_least(offer.max_walltime_minutes, allowed.max_walltime_minutes, live.max_walltime_minutes),
        default_walltime_minutes=live.default_walltime_minutes,
    )


def _least(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None


def within(field: str, value: int, least: int, most: int | None) -> int:
    """Return ``value`` when it lies between the limits.

    Raises
    ------
    Problem
        ``resources-range`` with the limits in words.
    """
    if value < least or (most is not None and value > most):
        text = {"memory_mb": memory_text, "walltime_minutes": minutes_text}.get(field, str)
        upper = text(most) if most is not None else "what the cluster has"
        raise Problem("resources-range", field=field, name=field, value=text(value), least=text(least), most=upper)
    return value


def gpus(wanted: tuple[str, int], known: Caps) -> tuple[str, int]:
    """Return the GPUs to ask for; the type must exist in the partition and one node must have as many.

    Raises
    ------
    Problem
        ``resources-choice`` or ``resources-range`` on ``gpus``.
    """
    kind, count = wanted
    if count == 0:
        return "", 0
    most = known.gpus
    if known.gpu_types is not None:
        if not known.gpu_types:
            raise Problem("resources-range", field="gpus", name="gpus", value=count, least=0, most=0)
        if kind:
            if kind not in known.gpu_types:
                raise choice("gpus", [f"{name}:{number}" for name, number in known.gpu_types.items()])
            most = _least(most, known.gpu_types[kind])
    within("gpus", count, 0, most)
    return kind, count


def choose_account(
    wanted: str | None, user: str, partition: str, allowed: frozenset[str] | None, snapshot: Snapshot | None
) -> str | None:
    """Return the account to charge: the wanted one if the person has it; ``None`` leaves the choice to Slurm.

    Raises
    ------
    Problem
        ``resources-choice`` on ``account``.
    """
    mine = [one.account for one in associations(user, snapshot, partition)]
    if wanted is None:
        if allowed is None:
            return None
        default = next((one.account for one in associations(user, snapshot, partition) if one.default), None)
        if default in allowed:
            return default
        first = next((name for name in mine if name in allowed), None)
        if first is None and mine:
            raise choice("account", [])
        return first or sorted(allowed)[0] if allowed else None
    live = snapshot.partitions.get(partition) if snapshot is not None else None
    known = set(mine) if mine else None
    for limit in (allowed, live.allow_accounts if live else None):
        if limit is not None:
            known = set(limit) if known is None else known & limit
    if live is not None and known is not None:
        known -= live.deny_accounts
    if known is not None and wanted not in known:
        raise choice("account", known)
    return wanted


def choose_qos(wanted: str | None, user: str, allowed: frozenset[str] | None, snapshot: Snapshot | None) -> str | None:
    """Return the QoS: the wanted one if the person has it; ``None`` leaves the choice to Slurm.

    Raises
    ------
    Problem
        ``resources-choice`` on ``qos``.
    """
    mine = {name for one in associations(user, snapshot) for name in one.qos}
    known: set[str] | None = mine or None
    if allowed is not None:
        known = set(allowed) if known is None else known & allowed
    if wanted is None:
        if allowed is None:
            return None
        defaults = {one.default_qos for one in associations(user, snapshot)} & (known or set())
        chosen = sorted(defaults) or sorted(known or ())
        if not chosen:
            raise choice("qos", [])
        return chosen[0]
    if known is not None and wanted not in known:
        raise choice("qos", known)
    return wanted


def associations(user: str, snapshot: Snapshot | None, partition: str | None = None) -> list[Association]:
    """Return what the person may charge, for one partition or all; empty where no accounts are kept."""
    if snapshot is None or snapshot.associations is None:
        return []
    return [
        one
        for one in snapshot.associations
        if one.user == user and (partition is None or not one.partition or one.partition == partition)
    ]


def choose_reservation(
    wanted: str | None, user: str, allowed: frozenset[str] | None, snapshot: Snapshot | None
) -> str | None:
    """Return the reservation when the person may use it.

    Raises
    ------
    Problem
        ``resources-choice`` on ``reservation``.
    """
    if wanted is None:
        return None
    if allowed is not None and wanted not in allowed:
        raise choice("reservation", allowed)
    if snapshot is None or snapshot.facts_taken is None:
        return wanted
    accounts = {one.account for one in associations(user, snapshot)}
    usable = [
        one.name
        for one in snapshot.reservations.values()
        if (not one.users and not one.accounts) or user in one.users or one.accounts & accounts
    ]
    if wanted not in usable:
        raise choice("reservation", usable if allowed is None else [name for name in usable if name in allowed])
    return wanted


def fits_a_node(request: ResourceRequest, snapshot: Snapshot | None) -> None:
    """Refuse a request that no single node of the partition could ever hold.

    Raises
    ------
    Problem
        ``resources-no-node`` on the field that is too large together with the others.
    """
    nodes = list(snapshot.nodes_of(request.partition)) if snapshot is not None else []
    if not nodes:
        return
    steps = (
        ("cores", lambda node: node.cores >= request.cores),
        ("memory_mb", lambda node: node.memory_mb >= request.memory_mb),
        ("gpus", lambda node: _has_gpus(node, request.gpus.type, request.gpus.count)),
    )
    for field, fits in steps:
        left = [node for node in nodes if fits(node)]
        if not left:
            largest = max(nodes, key=lambda node: (node.cores, node.memory_mb))
            size = f"{largest.cores} cores and {memory_text(largest.memory_mb)}"
            raise Problem("resources-no-node", field=field, partition=request.partition, size=size)
        nodes = left


def _has_gpus(node: Node, kind: str, count: int) -> bool:
    fitting: Collection[int] = [gpu.total for gpu in node.gpus if not kind or gpu.type == kind]
    return sum(fitting) >= count
