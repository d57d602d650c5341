"""What a link into an app asks for, kept while the app is being installed.

A link may come from anywhere. Of its parameters those are kept that the app declares (``parameters`` of its manifest;
an AiiDAlab app declares none, and is asked for by plain names), as long as they are short and plain text. The rest is
left out, and the page says so. It waits in a cookie of the app's page in the store, which asks before it installs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlencode

from fastapi import Request, Response

from simdeck_deck.auth import is_secure

COOKIE = "simdeck-link"
SECONDS = 3600
MOST = 16
LONGEST = 500
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
ALWAYS = frozenset({"run", "page", "version"})
"""What every app's address may have."""


@dataclass(frozen=True)
class Waiting:
    """What of a link waits, as (name, value), and the names of what was left out."""

    asked: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...] = ()

    @property
    def query(self) -> str:
        return urlencode(self.asked)


def declared_by(entry: Mapping[str, Any] | None, version: str = "") -> frozenset[str] | None:
    """Return the parameters that a release in the store declares; None: it is an AiiDAlab app, which declares none."""
    releases = [one for one in (entry or {}).get("releases") or () if isinstance(one, Mapping)]
    wanted = version or (entry or {}).get("latest")
    release = next((one for one in releases if one.get("version") == wanted), releases[0] if releases else {})
    if (release.get("entry") or {}).get("kind") == "aiidalab":
        return None
    return ALWAYS | frozenset(release.get("parameters") or ())


def waiting(given: Iterable[tuple[str, str]], declared: frozenset[str] | None) -> Waiting:
    """Split what a link asks for into what is kept and what is left out."""
    asked: list[tuple[str, str]] = []
    left_out: list[str] = []
    for name, value in given:
        known = NAME.fullmatch(name) is not None and (declared is None or name in declared)
        if known and _plain(value) and len(asked) < MOST:
            asked.append((name, value))
        else:
            left_out.append(name[:40])
    return Waiting(tuple(asked), tuple(left_out[:MOST]))


def keep(request: Request, response: Response, path: str, what: Waiting) -> None:
    """Let ``response`` keep it in the browser, for the pages at ``path`` alone."""
    response.set_cookie(
        COOKIE,
        quote(json.dumps([what.asked, what.left_out]), safe=""),
        max_age=SECONDS,
        path=path,
        httponly=True,
        samesite="lax",
        secure=is_secure(request, request.app.state.deck.settings),
    )


def kept(request: Request, declared: frozenset[str] | None) -> Waiting | None:
    """Return what waits at this address; it is looked at again, for a browser may send anything."""
    try:
        asked, left_out = json.loads(unquote(request.cookies[COOKIE]))
        found = waiting([(str(name), str(value)) for name, value in asked], declared)
        return Waiting(found.asked, tuple(str(name)[:40] for name in left_out[:MOST]) + found.left_out)
    except (KeyError, ValueError, TypeError):
        return None


def forget(response: Response, path: str) -> None:
    """Let the browser forget it."""
    response.delete_cookie(COOKIE, path=path, httponly=True, samesite="lax")


def _plain(value: str) -> bool:
    return len(value) <= LONGEST and value.isprintable()
