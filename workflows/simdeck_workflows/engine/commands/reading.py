"""What the files of a command's job say: the values of its outputs. Pure, no AiiDA.

Texts are read as UTF-8; a byte that is none becomes a mark, since a program's banner must not cost its result.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

LARGEST_TEXT = 64 * 1024 * 1024
"""Bytes of a file that values are looked for in; of a larger one its end."""
_FORTRAN = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))[dD]([+-]?\d+)$")


class UnreadableError(ValueError):
    """A value is not there, or not of its kind; the text is a clause that tells why."""


def value(output: Mapping[str, Any], text: str) -> Any:
    """Return the value of an output from the text it is read from.

    Raises
    ------
    UnreadableError
        It is not there, or not of the type that is asked for.
    """
    kind = output.get("type", "float")
    if "json" in output:
        return _typed(_pointed(text, output["json"]), kind)
    if output.get("last_line"):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        found: list[Any] = lines[-1:]
        missing = "there is no line"
    elif "column" in output:
        found, missing = _column(text, output["column"]), "the table has no rows"
    else:
        matches = re.finditer(output["pattern"], text, re.MULTILINE)
        found = [match[1] if match.re.groups else match[0] for match in matches]
        missing = f"nothing matches {output['pattern']}"
    if not found:
        raise UnreadableError(missing)
    return [_number_or_text(one) for one in found] if kind == "list" else _typed(found[-1], kind)


def _typed(found: Any, kind: str) -> Any:
    if kind in ("list", "dict"):
        if not isinstance(found, list if kind == "list" else dict):
            raise UnreadableError(f"it is no {kind}")
        return found
    if kind == "str":
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    if kind == "bool":
        return _truth(found)
    number = found if isinstance(found, int | float) and not isinstance(found, bool) else _number(str(found))
    if not math.isfinite(number):
        raise UnreadableError(f"{found} is no number that can be kept")
    if kind == "int":
        if not float(number).is_integer():
            raise UnreadableError(f"{found} is no whole number")
        return int(number)
    return float(number)


def _truth(found: Any) -> bool:
    if isinstance(found, bool):
        return found
    said = str(found).strip().strip(".").lower()
    if said in ("true", "yes", "t", "1"):
        return True
    if said in ("false", "no", "f", "0"):
        return False
    raise UnreadableError(f"{str(found)[:60]!r} is neither true nor false")


def _number(text: str) -> int | float:
    plain = text.strip()
    if fortran := _FORTRAN.match(plain):
        plain = f"{fortran[1]}e{fortran[2]}"
    try:
        return int(plain)
    except ValueError:
        pass
    try:
        return float(plain)
    except ValueError:
        raise UnreadableError(f"{text.strip()[:60]!r} is no number") from None


def _number_or_text(found: Any) -> Any:
    try:
        number = _number(str(found))
    except UnreadableError:
        return str(found).strip()
    # JSON, and with it the database, knows no infinity.
    return number if math.isfinite(number) else None


def _pointed(text: str, pointer: str) -> Any:
    try:
        here: Any = json.loads(text)
    except ValueError:
        raise UnreadableError("it is no JSON") from None
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            here = here[int(key)] if isinstance(here, list) else here[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise UnreadableError(f"there is no {pointer}") from None
    if here is None:
        raise UnreadableError(f"{pointer or 'the file'} says null")
    return here


def _column(text: str, column: str | int) -> list[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    # What separates the columns is seen in the first line: a heading, or the first row.
    separator = next((one for one in (",", ";", "\t") if one in lines[0]), None)
    if separator is None:
        rows = [line.split() for line in lines]
    else:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=separator))
    if isinstance(column, str):
        heading = [name.strip().lstrip("#").strip() for name in rows[0]]
        if heading[:1] == [""]:
            # “# x y” split at spaces: the mark is no column.
            heading = heading[1:]
        if column not in heading:
            raise UnreadableError(f"there is no column {column}")
        place, rows = heading.index(column), rows[1:]
    else:
        place = column - 1
        rows = [row for row in rows if not row[0].lstrip().startswith("#")]
    try:
        return [row[place] for row in rows]
    except IndexError:
        raise UnreadableError(f"a row has no column {column}") from None


def matches(pattern: str, path: str) -> bool:
    """Whether a path is named by a pattern with ``*`` and ``?``; both stay within one folder's level."""
    given, found = PurePosixPath(pattern).parts, PurePosixPath(path).parts
    return len(given) == len(found) and all(
        re.fullmatch(_as_regex(one), other) for one, other in zip(given, found, strict=True)
    )


def _as_regex(part: str) -> str:
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(letter, re.escape(letter)) for letter in part)


def call(hook: str, folder: Any, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Call the parser of the app: ``function(folder, inputs)``, which returns values by output.

    Raises
    ------
    UnreadableError
        It cannot be imported, fails, or returns something else.
    """
    import importlib

    module, _, name = hook.partition(":")
    try:
        function: Callable[[Any, Mapping[str, Any]], Any] = getattr(importlib.import_module(module), name)
        found = function(folder, dict(inputs))
    except Exception as error:
        # It is the author's code: whatever it raises is told, with the kind of error.
        said = next(iter(str(error).strip().splitlines()), "no message")
        raise UnreadableError(f"{hook} failed with {type(error).__name__}: {said}") from error
    if not isinstance(found, Mapping):
        raise UnreadableError(f"{hook} did not return a dictionary")
    return found
