"""Finds the line of a key in a TOML text, for error messages only: tomllib keeps no positions."""

from __future__ import annotations

import re

HEADER = re.compile(r"^\s*(\[?)\[\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
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
    arrays: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        header = HEADER.match(line)
        if header:
            path = _parts(header[2])
            if header[1]:
                # The next table of an array of tables; what is below it is counted with it.
                here = (*_with_indices(path[:-1], arrays), path[-1])
                arrays[here] = arrays.get(here, -1) + 1
                if list(here) == wanted and len(here) > best_depth:
                    best, best_depth = number, len(here)
            path = table = _with_indices(path, arrays)
        else:
            assignment = KEY.match(line)
            if not assignment:
                continue
            path = table + _parts(assignment[1])
        depth = len(path)
        if path == wanted[:depth] and depth > best_depth:
            best, best_depth = number, depth
    return best


def _with_indices(path: list[str], arrays: dict[tuple[str, ...], int]) -> list[str]:
    found: list[str] = []
    for part in path:
        found.append(part)
        if tuple(found) in arrays:
            found.append(str(arrays[tuple(found)]))
    return found


def _parts(dotted: str) -> list[str]:
    return [double or single or bare for double, single, bare in PART.findall(dotted)]
