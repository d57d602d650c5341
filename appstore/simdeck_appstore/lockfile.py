"""Checks a ``requirements.lock``: each package pinned with hashes, and no option that changes where it comes from.

The lock says *what*; *where from* is the site's business (its mirrors, by uv's own configuration).
"""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

HASH = re.compile(r"\s--hash=sha256:[0-9a-f]{64}(?=\s|$)")


def check_lock(path: Path) -> tuple[int, str] | None:
    """Return line number and fault (a clause) of the first thing wrong in the lock ``path``, or None."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return 1, "it cannot be read"
    for number, line in _logical_lines(text):
        if line.startswith("-"):
            return number, f"the option {line.split()[0].partition('=')[0]} does not belong in a lock"
        bare = HASH.sub("", " " + line).strip()
        try:
            requirement = Requirement(bare)
        except InvalidRequirement:
            return number, f"{bare!r} is not a pinned requirement"
        if requirement.url is not None:
            return number, f"{requirement.name} is locked to an address"
        if [specifier.operator for specifier in requirement.specifier] != ["=="]:
            return number, f"{requirement.name} is not pinned to one version"
        if not HASH.search(" " + line):
            return number, f"{requirement.name} has no SHA-256 hash"
    return None


def check_requirement(text: str) -> str | None:
    """Return why ``text`` cannot be a requirement of the backend, or None."""
    try:
        found = Requirement(text)
    except InvalidRequirement:
        return f"{text!r} is not a requirement such as “aiida-shell~=0.8”"
    if found.url is not None:
        return f"{found.name} names an address; what the backend gets comes from the site's package index"
    if canonicalize_name(found.name) == "simdeck":
        return "simdeck itself is there already"
    return None


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Return (line number, line) with continuation lines joined and comments and blank lines left out."""
    found: list[tuple[int, str]] = []
    start, parts = 0, list[str]()
    for number, raw in enumerate(text.splitlines(), start=1):
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        if not parts:
            start = number
        parts.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            whole = " ".join(part for part in parts if part)
            if whole:
                found.append((start, whole))
            parts = []
    if any(parts):
        found.append((start, " ".join(parts)))
    return found
