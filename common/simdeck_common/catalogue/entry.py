"""What is said of one refusal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """HTTP status, short title, one sentence of what was wrong, one of what to do."""

    status: int
    title: str
    detail: str
    remedy: str
