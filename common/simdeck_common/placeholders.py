"""What stands between braces in an app's command and in its input files: ``{name}``, and how a value is written there.

``{steps}`` is replaced by a value, ``{energy:.6f}`` by a number in that form, ``{title!json}`` and
``{title!fortran}`` by a literal of that language. ``{{name}}`` writes ``{name}``. Every other brace stays as it is, so
that input files of programs that love braces need no doubling.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

NAME = r"[a-z][a-z0-9_]*"
_MARK = re.compile(
    r"\{\{(?P<literal>" + NAME + r")\}\}"
    r"|\{(?P<name>" + NAME + r")(?:!(?P<style>json|fortran)|:(?P<form>[-+ 0]?\d{0,3}(?:\.\d{1,3})?[dfeEgG]))?\}"
)

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Placeholder:
    """One ``{name}``: ``form`` is a number's format, ``style`` the language of a literal; both may be empty."""

    name: str
    form: str = ""
    style: str = ""


def placeholders(text: str) -> list[Placeholder]:
    """Return the placeholders in ``text``, in their order."""
    return [_placeholder(found) for found in _MARK.finditer(text) if found["name"]]


def only(text: str) -> str | None:
    """Return the name where ``text`` is one plain ``{name}`` and nothing else."""
    found = _MARK.fullmatch(text)
    return found["name"] if found and found["name"] and not found["style"] and not found["form"] else None


def fill(text: str, write: Callable[[Placeholder], str]) -> str:
    """Return ``text`` with each placeholder replaced by what ``write`` says. What is put in is not looked at again."""

    def put(found: re.Match[str]) -> str:
        return f"{{{found['literal']}}}" if found["literal"] else write(_placeholder(found))

    return _MARK.sub(put, text)


def written(value: Scalar, place: Placeholder, words: tuple[str, str] = ("true", "false")) -> str:
    """Return a value as its placeholder asks for it.

    Parameters
    ----------
    words
        How true and false are written where no language is named.

    Raises
    ------
    ValueError
        A number's format for what is no number.
    """
    if place.style == "json":
        return json.dumps(value, ensure_ascii=False)
    if place.style == "fortran":
        return _fortran(value)
    if place.form:
        if isinstance(value, bool | str):
            raise ValueError(f"{place.name} is no number and cannot be written as {place.form}")
        return format(int(value) if place.form.endswith("d") else value, place.form)
    if isinstance(value, bool):
        return words[0] if value else words[1]
    return str(value)


def _fortran(value: Scalar) -> str:
    if isinstance(value, bool):
        return ".true." if value else ".false."
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, float):
        mantissa, _, exponent = repr(value).partition("e")
        return f"{mantissa if '.' in mantissa else mantissa + '.0'}d{exponent or '0'}"
    return str(value)


def _placeholder(found: re.Match[str]) -> Placeholder:
    return Placeholder(found["name"], found["form"] or "", found["style"] or "")
