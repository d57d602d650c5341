"""Values as a scientist reads them: durations, ages, sizes, numbers with units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

MINUS = "−"
NARROW_SPACE = "\u202f"
NO_BREAK = "\u00a0"

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def parse_time(text: Any) -> datetime | None:
    """Return the ISO 8601 time ``text`` as an aware UTC time; None when it is missing or not a time."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def duration(seconds: float) -> str:
    """Return a duration with its two largest units: ``0.4 s``, ``3 min 05 s``, ``2 h 10 min``, ``4 d 3 h``."""
    if not math.isfinite(seconds) or seconds < 0:
        seconds = 0.0
    if seconds < 9.95:
        return f"{seconds:.1f}{NO_BREAK}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{NO_BREAK}s"
    minutes, second = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}{NO_BREAK}min {second:02d}{NO_BREAK}s"
    hours, minute = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}{NO_BREAK}h {minute:02d}{NO_BREAK}min"
    days, hour = divmod(hours, 24)
    return f"{days}{NO_BREAK}d {hour}{NO_BREAK}h"


def elapsed(started: Any, ended: Any, now: datetime) -> str | None:
    """Return how long a run took, or has taken so far; None before it started."""
    start = parse_time(started)
    if start is None:
        return None
    return duration(((parse_time(ended) or now) - start).total_seconds())


def ago(text: Any, now: datetime) -> str:
    """Return how long ago something happened, in one unit; a plain date beyond a week; an empty text without a time."""
    moment = parse_time(text)
    if moment is None:
        return ""
    seconds = (now - moment).total_seconds()
    if seconds < 45:
        return "just now"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes}{NO_BREAK}min ago"
    hours = round(minutes / 60)
    if hours < 24:
        return f"{hours}{NO_BREAK}h ago"
    days = round(hours / 24)
    if days <= 7:
        return "yesterday" if days == 1 else f"{days} days ago"
    return date(text)


def date(text: Any) -> str:
    """Return the day of an ISO 8601 time as ``3 Nov 2026`` (UTC)."""
    moment = parse_time(text)
    return f"{moment.day}{NO_BREAK}{moment:%b}{NO_BREAK}{moment:%Y}" if moment else ""


def full_time(text: Any) -> str:
    """Return an ISO 8601 time in full, for a tooltip: ``2026-11-03 14:05:09 UTC``."""
    moment = parse_time(text)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def byte_size(count: Any) -> str:
    """Return a size in bytes with three digits and a decimal prefix; an empty text when it is not a number."""
    if not isinstance(count, int | float) or isinstance(count, bool) or count < 0:
        return ""
    if count < 1000:
        return f"{int(count)}{NO_BREAK}B"
    value = float(count)
    for prefix in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or prefix == "TB":
            return f"{value:.3g}{NO_BREAK}{prefix}"
    raise AssertionError("unreachable")


def core_hours(hours: float) -> str:
    """Return core-hours in words, with tenths where they count."""
    return f"{number(round(hours) if abs(hours) >= 100 else round(hours, 1))} core-hours"


def number(value: Any) -> str:
    """Return a number as print shows it: at most eight significant digits, a true minus, powers of ten spelt out.

    Integers are grouped in threes from five digits on. Text and booleans come back as words.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        text = f"{abs(value):,}".replace(",", NARROW_SPACE) if abs(value) >= 10_000 else str(abs(value))
        return (MINUS if value < 0 else "") + text
    if isinstance(value, float):
        return _float(value)
    return "" if value is None else str(value)


def _float(value: float) -> str:
    if math.isnan(value):
        return "not a number"
    sign = MINUS if value < 0 else ""
    size = abs(value)
    if math.isinf(size):
        return sign + "∞"
    if size != 0 and not 1e-4 <= size < 1e7:
        mantissa, exponent = f"{size:.5e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{sign}{mantissa}{NO_BREAK}×{NO_BREAK}10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    text = f"{size:.8g}"
    if "." in text:
        head, tail = text.split(".")
        text = f"{head}.{tail[:6]}".rstrip("0").rstrip(".")
    return sign + text


def quantity(value: Any, unit: str | None) -> str:
    """Return ``value`` with its unit behind a space that does not break."""
    text = number(value)
    return f"{text}{NO_BREAK}{unit}" if unit and text else text


def short_id(identifier: str) -> str:
    """Return the first block of a UUID, enough to tell runs of one person apart."""
    return identifier.split("-")[0][:8]


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return ``1 run``, ``3 runs``."""
    return f"{count}{NO_BREAK}{one if count == 1 else (many or one + 's')}"


def text_of(source: Mapping[str, Any], key: str, default: str = "") -> str:
    """Return ``source[key]`` when it is a text with something in it, else ``default``."""
    value = source.get(key)
    return value if isinstance(value, str) and value.strip() else default
