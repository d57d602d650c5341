"""Named points at which tests end the hub, to prove that nothing is lost wherever it dies; else nothing happens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

POINTS = (
    "before-intent",
    "after-intent",
    "before-write",
    "after-write",
    "after-sbatch",
    "after-id",
    "queued",
    "booting",
    "connecting",
    "during-handshake",
    "after-handshake",
    "before-running",
    "running",
    "before-ending",
    "before-scancel",
    "after-scancel",
    "before-end",
    "before-adopt",
)
"""In the order a server meets them; ``before-adopt`` is met after a restart."""

_hook: Callable[[str], Awaitable[None]] | None = None


def arm(hook: Callable[[str], Awaitable[None]] | None) -> None:
    """Call ``hook`` with the name of each point that is passed; ``None`` calls nothing again."""
    global _hook
    _hook = hook


async def crash_point(name: str) -> None:
    """Mark a line at which the hub may die."""
    if _hook is not None:
        await _hook(name)
