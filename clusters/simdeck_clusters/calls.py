"""Counts of the commands a cluster was asked, for metrics and for the doctor."""

from __future__ import annotations

from dataclasses import dataclass, field

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
"""Upper bounds (s) of the histogram of how long commands take."""


@dataclass
class Calls:
    """How often each command was run, how it ended, and how long it took."""

    total: dict[tuple[str, str], int] = field(default_factory=dict)
    """By command and outcome (``ok``, ``failed``, ``unreached``)."""
    seconds: dict[str, float] = field(default_factory=dict)
    within: dict[str, list[int]] = field(default_factory=dict)
    """By command: how many took no longer than each bound of ``BUCKETS``."""

    def count(self, command: str, outcome: str, seconds: float) -> None:
        """Add one call."""
        self.total[command, outcome] = self.total.get((command, outcome), 0) + 1
        self.seconds[command] = self.seconds.get(command, 0.0) + seconds
        bounds = self.within.setdefault(command, [0] * len(BUCKETS))
        for at, bound in enumerate(BUCKETS):
            bounds[at] += seconds <= bound

    def of(self, command: str) -> int:
        """Return how often ``command`` was run, however it ended."""
        return sum(count for (name, _), count in self.total.items() if name == command)
