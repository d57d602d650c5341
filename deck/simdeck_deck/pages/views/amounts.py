"""Resources and times to come as people read and write them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simdeck_clusters.quantities import memory_mib, memory_text, minutes

from simdeck_deck.pages.views.text import NO_BREAK, parse_time, plural


def memory_words(value: Any) -> str:
    """Return memory (MiB) as people write it; what cannot be read comes back as it is."""
    try:
        return memory_text(memory_mib(value)) if value not in (None, "") else ""
    except ValueError:
        return str(value)


def walltime_words(value: Any) -> str:
    """Return minutes as hours and minutes, ``2:30``; what cannot be read comes back as it is."""
    try:
        total = minutes(value) if value not in (None, "") else None
    except ValueError:
        return str(value)
    return "" if total is None else f"{total // 60}:{total % 60:02d}"


def gpu_choice(value: Any) -> tuple[str, str]:
    """Return type and count of an option ``gpus``: a count, ``type:count`` or an object."""
    if isinstance(value, Mapping):
        return str(value.get("type") or ""), str(value.get("count") or 0)
    text = "" if value is None else str(value).strip()
    kind, colon, count = text.rpartition(":")
    if colon:
        return kind, count
    return ("", text) if text.isdigit() or not text else (text, "1")


def size_words(options: Mapping[str, Any]) -> str:
    """Return what a server has, or asked for: ``4 cores · 8 GiB · 1 × a100``."""
    parts = []
    cores = options.get("cores")
    if isinstance(cores, int):
        parts.append(plural(cores, "core"))
    if memory := memory_words(options.get("memory_mb")):
        parts.append(memory)
    kind, count = gpu_choice(options.get("gpus"))
    if count not in ("", "0"):
        parts.append(f"{count} × {kind or 'GPU'}")
    return " · ".join(part.replace(" ", NO_BREAK) for part in parts)


def start_words(text: Any, now: datetime) -> str:
    """Return when something is expected to start: ``at once``, ``in about 25 min``; empty when that is not known."""
    moment = parse_time(text)
    if moment is None:
        return ""
    seconds = (moment - now).total_seconds()
    if seconds < 60:
        return "at once"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"in about {minutes} min"
    hours = round(seconds / 3600)
    return f"in about {hours} hours" if hours < 48 else f"in about {round(hours / 24)} days"
