"""What other rooms and pages may read of a snapshot: sizes, limits, how full it is, and the states of calculations.

Of jobs only Simdeck's own calculations are told, by their random names: workers need no ``squeue`` of their own then.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from simdeck_clusters.models import Node, Partition, Snapshot
from simdeck_clusters.settings import ClusterSettings

CALCULATION = "simdeck-calc-"
"""How the name of a job begins that a user's worker has submitted."""


def calculations(snapshot: Snapshot) -> list[dict[str, str]]:
    """Return the living jobs of all users' workers; a name says nothing of its owner."""
    return [
        {"id": job.id, "name": job.name, "state": job.state.value, "reason": job.reason}
        for job in snapshot.jobs
        if job.name.startswith(CALCULATION)
    ]


def public_view(snapshot: Snapshot, settings: ClusterSettings) -> dict[str, Any]:
    """Return the cluster as JSON for everybody: partitions with limits and free resources, counts, and the age."""
    offered = [offer.name for offer in settings.partitions] or [
        one.name for one in snapshot.partitions.values() if not one.hidden
    ]
    known = [snapshot.partitions[name] for name in offered if name in snapshot.partitions]
    return {
        "name": snapshot.cluster,
        "title": settings.label,
        "taken": snapshot.taken,
        "facts_taken": snapshot.facts_taken,
        "unknown_since": snapshot.unknown_since,
        "slurm_version": snapshot.version,
        "partitions": [partition_view(one, snapshot) for one in known],
        "calculations": calculations(snapshot),
        "jobs": dict(Counter(job.state.value for job in snapshot.jobs)),
    }


def partition_view(partition: Partition, snapshot: Snapshot) -> dict[str, Any]:
    """Return a partition's limits, what of it is free now, and how many jobs wait and run in it."""
    nodes = list(snapshot.nodes_of(partition.name))
    here = [job for job in snapshot.jobs if partition.name in job.partition.split(",")]
    return {
        "name": partition.name,
        "up": partition.up,
        "default": partition.default,
        "max_walltime_minutes": partition.max_walltime_minutes,
        "max_nodes": partition.max_nodes,
        "nodes": len(nodes),
        "nodes_usable": sum(node.usable for node in nodes),
        "nodes_idle": sum(node.usable and node.cores_used == 0 for node in nodes),
        "cores": sum(node.cores for node in nodes),
        "cores_free": sum(node.cores_free for node in nodes),
        "largest_free": largest_free(nodes),
        "largest_node": {
            "cores": max((node.cores for node in nodes), default=0),
            "memory_mb": max((node.memory_mb for node in nodes), default=0),
        },
        "gpus": [
            {"type": kind, "per_node": most, **_gpus(nodes, kind)}
            for kind, most in sorted(snapshot.gpu_types(partition.name).items())
        ],
        "waiting": sum(job.tasks for job in here if job.state.waiting),
        "running": sum(job.state.running for job in here),
    }


def largest_free(nodes: list[Node]) -> dict[str, int]:
    """Return what the node with most free cores has free: what would start at once if nobody waits."""
    best = max(nodes, key=lambda node: (node.cores_free, node.memory_free_mb), default=None)
    if best is None:
        return {"cores": 0, "memory_mb": 0}
    return {"cores": best.cores_free, "memory_mb": best.memory_free_mb if best.cores_free else 0}


def _gpus(nodes: list[Node], kind: str) -> dict[str, int]:
    found = [(node, gpu) for node in nodes for gpu in node.gpus if gpu.type == kind]
    free = sum(gpu.total - gpu.used for node, gpu in found if node.usable)
    return {"total": sum(gpu.total for _, gpu in found), "free": free}
