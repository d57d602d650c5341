"""Protection of the session cookie against requests made by other sites.

A page embeds ``token_for(request)``; every unsafe request that is authenticated by the cookie sends it back as
``X-XSRF-Token`` (or a plain HTML form as the field ``_xsrf``). The token is a signature of the session's random id, so
it fits this session alone.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from fastapi import Request
from simdeck_common.problems import Problem

if TYPE_CHECKING:
    from simdeck_deck.keys import Keys

HEADER = "X-XSRF-Token"
FIELD = "_xsrf"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def token(keys: Keys, session_id: str) -> str:
    """Return the XSRF token of the session ``session_id``."""
    return keys.sign("xsrf", session_id)


def token_for(request: Request) -> str:
    """Return the token to embed in a page; empty where nobody is signed in."""
    user = getattr(request.state, "user", None)
    if user is None or user.session_id is None:
        return ""
    return token(request.app.state.deck.keys, user.session_id)


def check(request: Request, keys: Keys, session_id: str, sent: str | None) -> None:
    """Refuse (403 ``xsrf``) an unsafe request whose token ``sent`` is not this session's, or that another site made."""
    if request.method in SAFE_METHODS:
        return
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem("xsrf")
    if not sent or not hmac.compare_digest(sent.encode(), token(keys, session_id).encode()):
        raise Problem("xsrf")


async def sent_token(request: Request, *, forms: bool) -> str | None:
    """Return the token a request carries: in the header, or with ``forms`` in an HTML form's field."""
    header = request.headers.get(HEADER)
    if header is not None or not forms:
        return header
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return None
    value = (await request.form()).get(FIELD)
    return value if isinstance(value, str) else None
