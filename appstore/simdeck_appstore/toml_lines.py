"""Finds the line of a key in a TOML text, for error messages only: tomllib keeps no positions."""

from __future__ import annotations

import re

HEADER = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
KEY = re.compile(r"""^\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_.-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=""")
PART = re.compile(r'"([^"]*)"|\'([^\']*)\'|([A-Za-z0-9_-]+)')


def line_of(text: str, key: tuple[str | int, ...]) -> int:
    """Return the 1-based line of ``key`` (path of table names, keys and array indices) in ``text``.

    The deepest part that can be found counts: an unwritten key gives its table's line, an array element or a key of an
    inline table the line of the assignment. Line 1 when nothing is found.
    """
    wanted = [str(part) for part in key]
    best, best_depth = 1, 0
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        header = HEADER.match(line)
        if header:
            table = _parts(header[1])
            path = table
        else:
            assignment = KEY.match(line)
            if not assignment:
                continue
            path = table + _parts(assignment[1])
        depth = len(path)
        if path == wanted[:depth] and depth > best_depth:
            best, best_depth = number, depth
    return best


def _parts(dotted: str) -> list[str]:
    return [double or single or bare for double, single, bare in PART.findall(dotted)]
