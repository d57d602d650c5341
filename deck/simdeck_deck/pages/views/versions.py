"""An app's versions: the rows of its page, what changes between two of them, what its check found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from packaging.version import InvalidVersion, Version

from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.markdown import render
from simdeck_deck.pages.views.text import byte_size, date, text_of

SIZE = "Size of the download"


@dataclass(frozen=True)
class VersionRow:
    """One version: whether the store offers it, whether it is on disk, whether it is the one that opens.

    ``for_all``: it is installed for everybody, and not this person's to remove.
    """

    version: str
    current: bool
    installed: bool
    offered: bool
    latest: bool
    pinned: bool
    for_all: bool
    size: str
    python: str
    released: str
    changelog: Markup
    changes_url: str
    open_url: str
    remove_url: str


@dataclass(frozen=True)
class Change:
    """One line of what an update changes."""

    title: str
    words: str


@dataclass(frozen=True)
class ChangesView:
    """What changes from one version to another. ``notes`` are the changelogs on the way, newest first."""

    before: str
    after: str
    back: bool
    notes: tuple[tuple[str, Markup], ...]
    lines: tuple[Change, ...]
    size: str


@dataclass(frozen=True)
class CheckView:
    """The badge of a check: ``tone`` is good or bad; ``items`` are ``(name, state, detail)``."""

    passed: bool
    words: str
    when: str
    items: tuple[tuple[str, str, str], ...]


def version_rows(
    releases: Sequence[Mapping[str, Any]], mine: Mapping[str, Any], latest: str, app: str, links: Links
) -> tuple[VersionRow, ...]:
    """Return the store's versions in its order (newest first), then those only on disk."""
    on_disk = [str(version) for version in mine.get("versions") or ()]
    offered = [text_of(release, "version") for release in releases]

    def row(version: str, release: Mapping[str, Any] | None) -> VersionRow:
        told = release or {}
        return VersionRow(
            version=version,
            current=version == text_of(mine, "current"),
            installed=version in on_disk,
            offered=release is not None,
            latest=release is not None and version == latest,
            pinned=version == text_of(mine, "pinned"),
            for_all=version in (mine.get("site_versions") or ()),
            size=byte_size(_size(told)) if _size(told) else "",
            python=text_of(told, "python"),
            released=date(told.get("released")),
            changelog=render(told.get("changelog")),
            changes_url=links.page("store", app, "changes", to=version),
            open_url=links.page("open", app, version=version),
            remove_url=links.page("store", app, "remove", version=version),
        )

    rows = [row(version, release) for version, release in zip(offered, releases, strict=True)]
    return tuple(rows + [row(version, None) for version in on_disk if version not in offered])


def changes(releases: Sequence[Mapping[str, Any]], before: str, after: str) -> ChangesView | None:
    """Return what changes from version ``before`` to ``after``; None where the store does not know ``after``."""
    known = {text_of(release, "version"): release for release in releases}
    new = known.get(after)
    if new is None:
        return None
    old = known.get(before)
    back = _order(after) < _order(before)
    low, high = sorted((_order(before), _order(after)))
    notes = tuple(
        (version, render(release.get("changelog")))
        for version, release in known.items()
        if low < _order(version) <= high and text_of(release, "changelog")
    )
    lines = _lines(old, new)
    size = byte_size(_size(new)) if _size(new) and not any(line.title == SIZE for line in lines) else ""
    return ChangesView(before, after, back, notes, lines, size)


def _lines(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> tuple[Change, ...]:
    found: list[Change] = []
    told = old or {}
    for field, added, gone in (
        ("needs", "Now needs", "No longer needs"),
        ("codes", "Needs the code", "No longer needs the code"),
        ("workflows", "New workflow", "Workflow that goes"),
    ):
        now, then = [str(one) for one in new.get(field) or ()], [str(one) for one in told.get(field) or ()]
        found += [Change(added, one) for one in now if one not in then]
        if old is not None:
            found += [Change(gone, one) for one in then if one not in now]
    if old is None:
        return tuple(found)
    for field, title in (("python", "Python"), ("minimum_simdeck", "Oldest Simdeck")):
        if text_of(new, field) != text_of(told, field):
            found.append(Change(title, f"{text_of(told, field, 'any')} → {text_of(new, field, 'any')}"))
    wanted, had = new.get("resources") or {}, told.get("resources") or {}
    for field in ("cores", "memory"):
        if wanted.get(field) != had.get(field) and wanted.get(field):
            found.append(Change(f"{field.capitalize()} of its page", f"{had.get(field, '–')} → {wanted[field]}"))
    if _size(new) and _size(told) and _size(new) != _size(told):
        found.append(Change(SIZE, f"{byte_size(_size(told))} → {byte_size(_size(new))}"))
    return tuple(found)


def check_view(release: Mapping[str, Any]) -> CheckView | None:
    """Return the badge of a release's check record, or None where it was not checked."""
    record = release.get("check")
    if not isinstance(record, Mapping) or not isinstance(record.get("passed"), bool):
        return None
    passed = record["passed"]
    items = tuple(
        (text_of(item, "name"), text_of(item, "state", "unknown"), text_of(item, "detail"))
        for item in record.get("items") or ()
        if isinstance(item, Mapping) and text_of(item, "name")
    )
    python = text_of(record, "python")
    words = ("Checked: all passed" if passed else "Checked: has failures") + (f" on Python {python}" if python else "")
    return CheckView(passed, words, date(record.get("when")), items)


def _size(release: Mapping[str, Any]) -> int:
    """Return the bytes of the app's own files; what it needs comes beside them."""
    total = 0
    for name in ("wheel", "tree"):
        ref = release.get(name)
        if isinstance(ref, Mapping) and isinstance(ref.get("size"), int):
            total += ref["size"]
    return total


def _order(version: str) -> tuple[bool, Version, str]:
    try:
        return True, Version(version), ""
    except InvalidVersion:
        return False, Version("0"), version
