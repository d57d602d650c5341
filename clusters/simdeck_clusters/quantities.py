"""Amounts as people write them: memory ("4 GiB") to MiB, time ("2:00:00", "90 min") to minutes."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import BeforeValidator

_MEMORY = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([KMGTP]?)(?:i?B)?", re.IGNORECASE)
_MIB = {"K": 1 / 1024, "": 1.0, "M": 1.0, "G": 1024.0, "T": 1024.0**2, "P": 1024.0**3}
_CLOCK = re.compile(r"(?:(\d{1,4})-)?(\d{1,5}):(\d{1,2})(?::(\d{1,2}))?")
_SPAN = re.compile(
    r"(\d{1,7}(?:\.\d{1,6})?)\s*(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)?", re.IGNORECASE
)
_MINUTES = {"s": 1 / 60, "m": 1.0, "h": 60.0, "d": 1440.0}


def memory_mib(value: object) -> int:
    """Return memory in MiB, rounded up; a bare number is MiB, as in Slurm; K, M, G, T mean powers of 1024.

    Raises
    ------
    ValueError
        The value is not an amount of memory.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("give an amount of memory such as 4 GiB")
    if isinstance(value, int | float):
        if not 0 <= value < 2**53:
            raise ValueError("give an amount of memory such as 4 GiB")
        return math.ceil(value)
    matched = _MEMORY.fullmatch(value.strip())
    if matched is None:
        raise ValueError("give an amount of memory such as 4 GiB")
    return math.ceil(float(matched[1]) * _MIB[matched[2].upper()])


def minutes(value: object) -> int:
    """Return a time in minutes, rounded up: "2:00:00", "1-12:00", "2:30" (hours:minutes), "90 min", "2 h", or a number.

    Raises
    ------
    ValueError
        The value is not a length of time.
    """
    wrong = ValueError("give a time such as 2:00:00 or 90 min")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong
    if isinstance(value, int | float):
        if not 0 <= value < 2**53:
            raise wrong
        return math.ceil(value)
    text = value.strip()
    if clock := _CLOCK.fullmatch(text):
        days, hours, mins, seconds = (int(part or 0) for part in clock.groups())
        if mins > 59 or seconds > 59:
            raise wrong
        return days * 1440 + hours * 60 + mins + (1 if seconds else 0)
    if span := _SPAN.fullmatch(text):
        return math.ceil(float(span[1]) * _MINUTES[(span[2] or "m")[0].lower()])
    raise wrong


MemoryMib = Annotated[int, BeforeValidator(memory_mib)]
"""A model's field in MiB that may be written "4 GiB"."""

Minutes = Annotated[int, BeforeValidator(minutes)]
"""A model's field in minutes that may be written "2:00:00" or "90 min"."""


def memory_text(mib: int) -> str:
    """Return an amount of memory as a person reads it."""
    for size, unit in ((1024**2, "TiB"), (1024, "GiB")):
        if mib >= size:
            return f"{mib / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{mib} MiB"


def minutes_text(total: int) -> str:
    """Return a length of time as a person reads it."""
    days, rest = divmod(total, 1440)
    hours, mins = divmod(rest, 60)
    parts = [f"{days} d" * bool(days), f"{hours} h" * bool(hours), f"{mins} min" * bool(mins)]
    return " ".join(filter(None, parts)) or "0 min"
