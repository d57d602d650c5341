"""Wrong passwords are answered ever more slowly, per name."""

from __future__ import annotations

import asyncio

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 8.0
UNDELAYED_TRIES = 2
REMEMBERED_NAMES = 1000


def failure_delay(failures: int) -> float:
    """Return the seconds a try waits after ``failures`` wrong ones: none at first, then doubling up to a bound."""
    if failures < UNDELAYED_TRIES:
        return 0.0
    doublings = min(failures - UNDELAYED_TRIES, 10)
    return min(FIRST_DELAY_SECONDS * 2.0**doublings, LONGEST_DELAY_SECONDS)


class FailureDelays:
    """Counts wrong tries per name, for the names that failed last."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}

    async def wait(self, name: str) -> None:
        """Wait as long as the wrong tries for ``name`` ask for."""
        delay = failure_delay(self._failures.get(name, 0))
        if delay:
            await asyncio.sleep(delay)

    def count(self, name: str, right: bool) -> None:
        """Note how a try ended; a right one forgets the wrong ones."""
        failures = self._failures.pop(name, 0)
        if not right:
            # Last in the order again; the name that failed longest ago makes room.
            self._failures[name] = failures + 1
            if len(self._failures) > REMEMBERED_NAMES:
                del self._failures[next(iter(self._failures))]
