"""A server's options as forms and addresses hold them, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simdeck_clusters.quantities import memory_mib, minutes

from simdeck_deck.pages.views.amounts import gpu_choice

PREFIX = "opt-"
"""What the fields' names begin with, in forms and in addresses, as JupyterHub's own."""

ALIASES = {"memory": "memory_mb", "walltime": "walltime_minutes", "gpu": "gpus"}


def options_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options in a form's or an address's values (``opt-cores=4``); an empty one is None: not chosen.

    What cannot be read is passed on as it is: the hub refuses it in its own words.
    """
    options: dict[str, Any] = {}
    for key, value in given.items():
        if not key.startswith(PREFIX):
            continue
        name = key.removeprefix(PREFIX)
        name = ALIASES.get(name, name)
        if name in ("gpu_type", "gpu_count"):
            continue
        options[name] = _read(name, str(value).strip())
    if f"{PREFIX}gpu_count" in given:
        count = str(given[f"{PREFIX}gpu_count"]).strip() or "0"
        kind = str(given.get(f"{PREFIX}gpu_type", "")).strip()
        options["gpus"] = {"type": kind, "count": int(count)} if count.isdecimal() else f"{kind}:{count}"
    return options


def _read(name: str, text: str) -> Any:
    if not text:
        return None
    try:
        if name == "memory_mb":
            return memory_mib(text)
        if name == "walltime_minutes":
            return minutes(text)
    except ValueError:
        return text
    if name == "cores" and text.isascii() and text.isdigit():
        return int(text)
    return text


def query_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Return options as an address holds them."""
    query = {}
    for name, value in options.items():
        if value in (None, "") or name == "app":
            continue
        if name == "gpus":
            kind, count = gpu_choice(value)
            value = f"{kind}:{count}" if kind else count
        query[PREFIX + name] = str(value)
    return query
