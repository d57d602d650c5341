"""Checks a logo or screenshot by its size and its content, not by its name."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = {".svg": "svg", ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
# An SVG is shown as an image, where browsers run no scripts; one that carries them is refused all the same.
ACTIVE = re.compile(rb"<script|<foreignObject|\son[a-z]+\s*=|javascript:|<!ENTITY", re.IGNORECASE)


def check_image(path: Path, limit: int) -> str | None:
    """Return what is wrong with the image ``path`` (at most ``limit`` bytes) as the end of a sentence, or None."""
    size = path.stat().st_size
    if size > limit:
        return f"is too large: {size // 1024} KiB"
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        return "is not an SVG, PNG or JPEG file"
    data = path.read_bytes()
    if _kind(data) != kind:
        return f"is not a real {kind.upper()} file"
    if kind == "svg" and ACTIVE.search(data):
        return "carries a script or another active part"
    return None


def _kind(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if b"<svg" in data[:4096]:
        return "svg"
    return None
