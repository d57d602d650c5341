"""How long a server may take for each part of its way, at its first start and whenever Slurm starts its job again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simdeck_clusters.models import Job

from simdeck_spawners.book import Entry, Stage

if TYPE_CHECKING:
    from simdeck_spawners.fleet import SlurmFleet


class Clocks:
    """Queue, boot and handshake of one server, each with its own limit; none runs while Slurm does not answer."""

    def __init__(self, fleet: SlurmFleet) -> None:
        self.fleet = fleet
        self._spent = {"queue": 0.0, "boot": 0.0, "handshake": 0.0}
        self._last: float | None = None

    def late(self, entry: Entry, job: Job | None) -> str | None:
        """Return the clock whose time is up."""
        now = self.fleet.clock()
        since, self._last = (now - self._last if self._last is not None else 0.0), now
        snapshot = self.fleet.snapshot(entry.cluster)
        if snapshot is None or snapshot.unknown_since is not None:
            return None
        if entry.stage is Stage.ANNOUNCED:
            name = "handshake"
        elif job is not None and job.state.running:
            name = "boot"
        else:
            name = "queue"
        for other in self._spent:
            # A job that is started again begins with full clocks; the queue's goes on.
            if other != name and other != "queue":
                self._spent[other] = 0.0
        self._spent[name] += since
        limit: float = getattr(self.fleet, f"{name}_timeout")
        return name if 0 < limit < self._spent[name] else None
