"""What changed in a version, as the project's ``CHANGELOG.md`` says it."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.version import InvalidVersion, Version

NAMES = ("CHANGELOG.md", "CHANGES.md", "changelog.md")
LONGEST = 8000
_HEADING = re.compile(r"^(#{1,3})\s+(.*\S)\s*$")
_VERSION = re.compile(r"v?(\d[0-9A-Za-z.+!-]*)")
_DAY = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")


def read(folder: Path, version: str) -> tuple[str, str | None]:
    """Return the Markdown of ``version`` in the project ``folder`` and its day (ISO), where the heading names one."""
    for name in NAMES:
        try:
            text = (folder / name).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        return section(text, version)
    return "", None


def section(text: str, version: str) -> tuple[str, str | None]:
    """Return what stands below the heading that names ``version``, up to the next heading of its rank or above."""
    lines: list[str] = []
    rank = 0
    day = None
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading and rank and len(heading[1]) <= rank:
            break
        if rank:
            lines.append(line)
        elif heading and _names(heading[2], version):
            rank = len(heading[1])
            found = _DAY.search(heading[2])
            day = found[1] if found else None
    return "\n".join(lines).strip()[:LONGEST], day


def _names(heading: str, version: str) -> bool:
    found = _VERSION.search(heading.replace("[", " ").replace("]", " "))
    if not found:
        return False
    try:
        return Version(found[1]) == Version(version)
    except InvalidVersion:
        return found[1] == version
