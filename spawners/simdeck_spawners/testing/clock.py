"""Time that runs faster than ours, so that minutes of waiting pass in seconds of a test."""

from __future__ import annotations

import asyncio
import time


class FastClock:
    """A clock for watcher, scheduler and fleet together: ``factor`` of its seconds pass in one of ours."""

    def __init__(self, factor: float = 40.0) -> None:
        self.factor = factor
        self._ahead = 0.0
        self._begun = time.monotonic()
        self._start = time.time()

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self._start + self._ahead + (time.monotonic() - self._begun) * self.factor

    def skip(self, seconds: float) -> None:
        """Let ``seconds`` pass at once."""
        self._ahead += seconds

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until ``event`` is set or ``seconds`` have passed here; return whether it is set."""
        try:
            async with asyncio.timeout(max(0.0, seconds) / self.factor):
                await event.wait()
        except TimeoutError:
            return event.is_set()
        return True
