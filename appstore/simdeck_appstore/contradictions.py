"""Why the workflows of several apps do not fit into one backend, in plain words.

uv says which packages cannot be had together, but knows of no apps. So it is asked again about fewer of them, until two
requirements are left that contradict each other, and whose they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from simdeck_common.generations import Need
from simdeck_common.problems import Problem

from simdeck_appstore.process import Outcome

_CAUSE = re.compile(r"^\s*(cause:|[×╰├]─?▶?)\s*")
Resolve = Callable[..., Outcome]


def explain(needs: Sequence[Need], outcome: Outcome, resolve: Resolve, pins: Mapping[str, str]) -> Problem:
    """Return why ``needs`` cannot be had together; the last one is what was to be added.

    Parameters
    ----------
    outcome
        How asking for all of them ended.
    resolve
        Asks for some requirements; with ``pinned=False`` without regard to what the backend has.
    pins
        Packages of the backend with their versions.
    """
    *others, new = needs
    alone = resolve(new.requirements)
    if not alone.ok:
        word = _culprit(new.requirements, lambda one: resolve([one]))
        asked, mine = ([word], word) if word else (list(new.requirements), _list(new))
        told = resolve(asked)
        if not resolve(asked, pinned=False).ok:
            return Problem("backend-unresolved", app=new.title, wanted=mine, reason=reason_of(told))
        theirs = _pin(told, mine, pins) or "the versions it has"
        return _contradiction(new, mine, "the workflow backend of this site", theirs, told)
    for other in others:
        both = resolve([*other.requirements, *new.requirements])
        if both.ok:
            continue
        word, against = _pair(new, other, resolve)
        told = resolve([against, word]) if word and against else both
        whose, words = f"the app {other.title}", against or _list(other)
        return _contradiction(new, word or _list(new), whose, words, both if told.ok else told)
    names = " and ".join(other.title for other in others) or "the workflow backend"
    return _contradiction(new, _list(new), names, "what they need together", outcome)


def reason_of(outcome: Outcome) -> str:
    """Return the solver's own reason as one sentence."""
    lines = [_CAUSE.sub("", line).strip() for line in outcome.tail]
    begin = next((place for place, line in enumerate(lines) if line.startswith("Because ")), None)
    text = " ".join(lines[begin:] if begin is not None else lines[-1:])
    text = re.sub(r"\s+hint:.*$", "", text)
    return text.strip().rstrip(".") or "the solver gave no reason"


def _contradiction(new: Need, mine: str, other: str, theirs: str, outcome: Outcome) -> Problem:
    return Problem(
        "backend-contradiction",
        app=new.title,
        mine=mine,
        other=other,
        theirs=theirs,
        reason=reason_of(outcome),
    )


def _culprit(words: Iterable[str], ask: Callable[[str], Outcome]) -> str | None:
    return next((word for word in words if not ask(word).ok), None)


def _pair(new: Need, other: Need, resolve: Resolve) -> tuple[str | None, str | None]:
    """Return the requirement of each that suffices for the contradiction."""
    mine = _culprit(new.requirements, lambda one: resolve([*other.requirements, one]))
    theirs = _culprit(other.requirements, lambda one: resolve([one, *([mine] if mine else new.requirements)]))
    return mine, theirs


def _pin(outcome: Outcome, mine: str, pins: Mapping[str, str]) -> str | None:
    """Return the package of the backend that the solver's reason speaks of, as ``name==version``."""
    text = " ".join(outcome.tail)
    named = [
        f"{name}=={version}"
        for name, version in pins.items()
        if re.search(rf"(?<![\w.-]){re.escape(name)}=={re.escape(version)}(?![\w.])", text)
    ]
    own = canonicalize_name(Requirement(mine).name) if "," not in mine else ""
    return next((pin for pin in named if canonicalize_name(pin.partition("==")[0]) == own), None) or next(
        iter(named), None
    )


def _list(need: Need) -> str:
    return ", ".join(need.requirements)
