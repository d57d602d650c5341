"""Why a run has not begun, or does not go on: a limit, a pause, the cluster's queue; and since when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simdeck_common.catalogue import CATALOGUE

from simdeck_deck.pages.views.text import ago, full_time, parse_time, text_of


@dataclass(frozen=True)
class WaitingView:
    """The reason in words; ``since`` as ``14:05 UTC, 12 min ago``."""

    title: str
    detail: str
    remedy: str
    since: str
    since_full: str


def waiting_of(run: Mapping[str, Any], now: datetime) -> WaitingView | None:
    """Return why a run waits; None for one that does not, or of which nothing is known."""
    waiting = run.get("waiting")
    if not isinstance(waiting, Mapping) or not waiting:
        return None
    entry = CATALOGUE.get(text_of(waiting, "code"))
    since = waiting.get("since")
    moment = parse_time(since)
    return WaitingView(
        title=text_of(waiting, "title", "It waits"),
        detail=text_of(waiting, "detail"),
        remedy=entry.remedy if entry is not None and "{" not in entry.remedy else "",
        since=f"{moment:%H:%M} UTC, {ago(since, now)}" if moment else "",
        since_full=full_time(since),
    )
