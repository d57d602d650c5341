"""What the watcher knows: of each watched job, and of the cluster's nodes and limits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from simdeck_clusters.cluster import Cluster
from simdeck_clusters.models import Association, Job, JobEnd, Node, Partition, Reservation

SLOW_FACTS = 5
"""Partitions, reservations and accounts are kept this many times as long as nodes."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is known of one job that is watched.

    ``job`` is as last seen (``None``: never seen yet); ``gone`` is certain, and ``end`` tells how if anything
    remembers; ``unknown_since`` is set while the scheduler does not answer; everything else is then as it was before.
    ``serial`` rises with each change.
    """

    name: str
    user: str
    serial: int
    job: Job | None = None
    others: tuple[Job, ...] = ()
    """Further jobs of the same name and user: there should be none."""
    position: int | None = None
    gone: bool = False
    end: JobEnd | None = None
    unknown_since: float | None = None


@dataclass
class Watched:
    """A watched job: what is told of it, and how often it was missed."""

    sighting: Sighting
    job_id: str | None
    since: float
    misses: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Facts:
    """Nodes, limits and accounts, and when each was asked for."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    partitions: Mapping[str, Partition] = field(default_factory=dict)
    reservations: Mapping[str, Reservation] = field(default_factory=dict)
    associations: tuple[Association, ...] | None = None
    version: str = ""
    taken: float | None = None
    slow_taken: float | None = None

    async def refresh(self, cluster: Cluster, now: float) -> bool:
        """Ask for what is due; return whether anything was.

        Raises
        ------
        Problem
            ``cluster-unavailable``; what is known stays.
        """
        keep = cluster.settings.facts_seconds
        if self.taken is not None and now - self.taken < keep:
            return False
        # Marked first: a failing command must not be repeated at each poll of the jobs.
        self.taken = now
        self.nodes = MappingProxyType(await cluster.nodes())
        if self.slow_taken is None or now - self.slow_taken >= SLOW_FACTS * keep:
            self.slow_taken = now
            self.partitions = MappingProxyType(await cluster.partitions())
            self.reservations = MappingProxyType(await cluster.reservations())
            self.associations = await cluster.associations()
            self.version = self.version or await cluster.version()
        return True
