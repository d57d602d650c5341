"""What a person may choose on the clusters, with live limits; when a request would start, and what would be sooner."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simdeck_clusters import limits
from simdeck_clusters.models import Association, Snapshot
from simdeck_clusters.quantities import memory_text, minutes_text
from simdeck_clusters.request import Allowance, ResourceRequest, allowance, environments, presets
from simdeck_clusters.settings import ClusterSettings
from simdeck_clusters.views import partition_view
from simdeck_common.problems import Problem

from simdeck_spawners import files, options
from simdeck_spawners.views import iso

if TYPE_CHECKING:
    from simdeck_spawners.fleet import SlurmFleet

PROBE = "estimate"
WORTHWHILE = 60.0
"""Seconds by which a smaller request must start earlier to be worth telling."""


def clusters(fleet: SlurmFleet, user: str, groups: Collection[str]) -> list[dict[str, Any]]:
    """Return the ClusterViews of the clusters the person may use."""
    found = []
    for settings in fleet.site.clusters:
        allowed = allowance(fleet.site.policies, groups, settings.name)
        if allowed is not None:
            found.append(_cluster(fleet, settings, allowed, user, groups))
    return found


def _cluster(
    fleet: SlurmFleet, settings: ClusterSettings, allowed: Allowance, user: str, groups: Collection[str]
) -> dict[str, Any]:
    snapshot = fleet.snapshot(settings.name)
    mine = limits.associations(user, snapshot)
    offered = environments(fleet.site, settings, allowed)
    known = [one for one in presets(fleet.site, groups) if one.cluster in (None, settings.name)]
    qos = sorted({name for one in mine for name in one.qos if allowed.qos is None or name in allowed.qos})
    return {
        "name": settings.name,
        "title": settings.label,
        "age": None if snapshot is None or not snapshot.taken else round(snapshot.age(fleet.clock()), 1),
        "unknown_since": iso(snapshot.unknown_since) if snapshot is not None else None,
        "accounting": snapshot is not None and snapshot.associations is not None,
        "defaults": {**settings.defaults.given(), **({"environment": offered[0].name} if offered else {})},
        "partitions": _partitions(settings, allowed, snapshot),
        "accounts": _accounts(mine, allowed),
        "qos": qos,
        "reservations": _reservations(snapshot, user, {one.account for one in mine}, allowed),
        "environments": [{"name": one.name, "title": one.label, "summary": one.summary} for one in offered],
        "presets": [
            {"name": one.name, "title": one.title, "summary": one.summary,
             "options": {**one.resources(), "cluster": settings.name}}
            for one in known
        ],
    }  # fmt: skip


def _partitions(settings: ClusterSettings, allowed: Allowance, snapshot: Snapshot | None) -> list[dict[str, Any]]:
    offers = {one.name: one for one in settings.partitions}
    shown = []
    for name in limits.offered_partitions(settings, allowed.partitions, snapshot):
        caps = limits.caps(settings, allowed, snapshot, name)
        live = snapshot.partitions.get(name) if snapshot is not None else None
        numbers = partition_view(live, snapshot) if live is not None and snapshot is not None else {}
        offer = offers.get(name)
        shown.append(
            {
                "name": name,
                "title": offer.title if offer else "",
                "summary": offer.summary if offer else "",
                "up": numbers.get("up", True),
                "default": settings.defaults.partition == name or bool(numbers.get("default")),
                "limits": {
                    "cores": caps.cores,
                    "memory_mb": caps.memory_mb,
                    "gpus": caps.gpus,
                    "walltime_minutes": caps.walltime_minutes,
                },
                "gpu_types": caps.gpu_types or {},
                "free": {
                    "cores": numbers.get("cores_free"),
                    "memory_mb": numbers.get("largest_free", {}).get("memory_mb"),
                    "gpus": {one["type"]: one["free"] for one in numbers.get("gpus", [])},
                },
                "total": {"cores": numbers.get("cores"), "nodes": numbers.get("nodes")},
                "waiting": numbers.get("waiting"),
            }
        )
    return shown


def _accounts(mine: list[Association], allowed: Allowance) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in mine:
        if allowed.accounts is None or one.account in allowed.accounts:
            limit = one.core_minutes_limit
            entry = found.setdefault(one.account, {"name": one.account, "default": False, "qos": []})
            entry["default"] |= one.default
            entry["qos"] = sorted({*entry["qos"], *one.qos})
            entry["core_hours_left"] = one.core_hours_left
            entry["core_hours_limit"] = None if limit is None else limit / 60
    return list(found.values())


def _reservations(snapshot: Snapshot | None, user: str, accounts: set[str], allowed: Allowance) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "start": iso(one.start),
            "end": iso(one.end),
            "active": one.active,
            "partition": one.partition,
        }
        for one in (snapshot.reservations.values() if snapshot is not None else ())
        if not one.maintenance
        and (user in one.users or one.accounts & accounts or not (one.users or one.accounts))
        and (allowed.reservations is None or one.name in allowed.reservations)
    ]


# --- before submitting ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Smaller:
    change: str
    request: ResourceRequest


async def estimate(fleet: SlurmFleet, user: str, groups: list[str], raw: dict[str, Any]) -> dict[str, Any]:
    """Return when a request would start, what it costs at most, and which smaller ones would start earlier.

    Raises
    ------
    Problem
        ``resources-…`` or ``cluster-refused`` with the field; ``cluster-unavailable``.
    """
    cluster, chosen = options.check(fleet, user, groups, raw, counting=False)
    request = options.request_of(chosen)
    start = await _start(fleet, cluster, user, request)
    now = fleet.clock()
    sooner = []
    if start is not None and start > now + WORTHWHILE:
        smaller = _smaller(request)
        starts = await asyncio.gather(*(_try(fleet, cluster, user, one.request) for one in smaller))
        for one, other in zip(smaller, starts, strict=True):
            if other is not None and other < start - WORTHWHILE:
                more = {"app": chosen["app"]} if "app" in chosen else {}
                changed = {**one.request.options(), **more}
                sooner.append({"change": one.change, "options": changed, "start": iso(other)})
    return {
        "start": iso(start),
        "cost": {"core_hours": round(request.core_hours, 2), "balance": _balance(fleet, cluster, user, request)},
        "sooner": sorted(sooner, key=lambda one: str(one["start"]))[:3],
    }


async def _start(fleet: SlurmFleet, cluster: str, user: str, request: ResourceRequest) -> float | None:
    name = f"{PROBE}-{fleet.instance[:8]}"
    script = files.script(fleet, cluster, name, request)
    return (await fleet.clusters[cluster].estimate(user, name, script)).start


async def _try(fleet: SlurmFleet, cluster: str, user: str, request: ResourceRequest) -> float | None:
    try:
        return await _start(fleet, cluster, user, request)
    except Problem:
        return None


def _smaller(request: ResourceRequest) -> list[_Smaller]:
    """Return the request with half of one thing at a time, in words."""
    found = []

    def add(change: str, **less: Any) -> None:
        found.append(_Smaller(change, request.model_copy(update=less)))

    if request.walltime_minutes >= 60:
        half = request.walltime_minutes // 2
        add(f"{minutes_text(half)} instead of {minutes_text(request.walltime_minutes)}", walltime_minutes=half)
    if request.cores > 1:
        half = request.cores // 2
        add(f"{half} {'cores' if half > 1 else 'core'} instead of {request.cores}", cores=half)
    if request.memory_mb >= 2048:
        half = request.memory_mb // 2
        add(f"{memory_text(half)} instead of {memory_text(request.memory_mb)}", memory_mb=half)
    if request.gpus.count > 1:
        half = request.gpus.count // 2
        add(f"{half} instead of {request.gpus.count} GPUs", gpus=request.gpus.model_copy(update={"count": half}))
    return found


def _balance(fleet: SlurmFleet, cluster: str, user: str, request: ResourceRequest) -> float | None:
    mine = limits.associations(user, fleet.snapshot(cluster), request.partition)
    wanted = [one for one in mine if one.account == request.account or (request.account is None and one.default)]
    return next((one.core_hours_left for one in wanted), None)
