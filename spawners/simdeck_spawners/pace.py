"""How fast things go: the hub's work on many servers one after the other, and whether the queue must be asked often."""

from __future__ import annotations

import asyncio
from pathlib import Path

BREATH_SECONDS = 0.03


class Turns:
    """Lets one caller after the other go on, with a breath between two in which the hub answers everybody else.

    What JupyterHub does with a server that has become ready takes it some hundredths of a second without a pause; a
    hundred of them in the same moment would keep it from answering for seconds.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._last = float("-inf")

    async def turn(self) -> None:
        """Return when it is the caller's turn; at once when nobody else had one a moment ago."""
        now = asyncio.get_running_loop().time
        async with self._lock:
            await asyncio.sleep(max(0.0, self._last + BREATH_SECONDS - now()))
            self._last = now()


def agents_busy(data: Path) -> bool:
    """Return whether an agent has, or may soon have, runs: the deck keeps a file for each in the data folder."""
    return any((data / "agents").glob("*.active"))
