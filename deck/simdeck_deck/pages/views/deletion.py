"""What deleting a run takes away, and what stays, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.text import byte_size, plural, short_id, text_of


@dataclass(frozen=True)
class Stays:
    """Something that stays: its name, why, and the runs that need it as ``(title, address)``."""

    name: str
    why: str
    runs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DeletionView:
    """``goes``: what, how many and how much of each kind."""

    goes: tuple[tuple[str, str], ...]
    total: str
    stays: tuple[Stays, ...]


def deletion_view(preview: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]], links: Links) -> DeletionView:
    """Build the view of an agent's ``/runs/{id}/deletion``; ``known`` are the other runs it names, by id."""
    nodes, files, size, folders, scratch = (
        _count(preview, key) for key in ("nodes", "files", "size", "folders", "scratch")
    )
    goes = [("This page", "its record, inputs, results and log")]
    if nodes:
        goes.append(("Provenance", plural(nodes, "node")))
    if files:
        goes.append(("Files", f"{plural(files, 'file')}, {byte_size(size)}"))
    if folders:
        goes.append(("Calculations ran in", f"{plural(folders, 'directory', 'directories')}, {byte_size(scratch)}"))
    kept = [one for one in preview.get("kept") or () if isinstance(one, Mapping)]
    return DeletionView(
        goes=tuple(goes),
        total=byte_size(size + scratch) if size + scratch else "",
        stays=tuple(_stays(one, known, links) for one in kept),
    )


def _stays(one: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]], links: Links) -> Stays:
    name = text_of(one, "name", "Data")
    if one.get("kind") == "code":
        return Stays(name, "a code, which all runs use", ())
    others = [text for text in one.get("runs") or () if isinstance(text, str)]
    runs = tuple(
        (text_of(known[number], "title", short_id(number)), links.page("runs", number))
        for number in others
        if number in known
    )
    why = "which also belongs to" if runs else "which other data or a group of yours needs"
    return Stays(name.replace("_", " "), why, runs)


def _count(preview: Mapping[str, Any], key: str) -> int:
    value = preview.get(key)
    return value if isinstance(value, int) and value > 0 else 0
