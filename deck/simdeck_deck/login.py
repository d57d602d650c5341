"""Sign-in through the hub's OAuth (authorisation code with PKCE), and sign-out.

The pending login lives in an encrypted cookie of its own, one per attempt, so that several tabs may sign in at once and
a restart of the service between redirect and callback costs nobody the login.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from simdeck_common.problems import Problem
from starlette.responses import RedirectResponse, Response
from tornado.web import HTTPError

from simdeck_deck.auth import Auth, SessionUser, is_secure, require_user

if TYPE_CHECKING:
    from simdeck_deck.settings import DeckSettings

STATE_COOKIE = "simdeck-login-"
STATE_SECONDS = 600

router = APIRouter(include_in_schema=False)


def safe_next(settings: DeckSettings, url: str | None) -> str:
    """Return ``url`` when it is a path below the service, else the deck's home: a login never leads elsewhere."""
    if url and url.startswith(settings.prefix) and "\\" not in url and not any(ord(char) < 33 for char in url):
        return url
    return settings.prefix


def login_redirect(request: Request) -> Response:
    """Answer ``request`` with the way to the hub's login and back to the same page."""
    deck = request.app.state.deck
    auth: Auth = deck.auth
    if "hx-request" in request.headers:
        # A fragment cannot follow a login: htmx loads the whole page anew, and that one is redirected.
        return Response(status_code=401, headers={"HX-Refresh": "true"})
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    verifier, challenge, method = auth.hub.generate_pkce_code_challenge()
    state = secrets.token_urlsafe(16)
    query = urlencode({"state": state, "code_challenge": challenge, "code_challenge_method": method})
    response = RedirectResponse(f"{auth.hub.login_url}&{query}", status_code=302)
    response.set_cookie(
        STATE_COOKIE + state[:8],
        auth.keys.seal({"state": state, "next": safe_next(auth.settings, path), "verifier": verifier}),
        max_age=STATE_SECONDS,
        path=auth.settings.prefix + "oauth_callback",
        httponly=True,
        samesite="lax",
        secure=is_secure(request, auth.settings),
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get("/oauth_callback")
async def oauth_callback(request: Request, code: str = "", state: str = "", error: str = "") -> Response:
    """Finish a login: check the state against this browser's cookie, trade the code for a token, start the session."""
    auth: Auth = request.app.state.deck.auth
    name = STATE_COOKIE + state[:8]
    cookie = request.cookies.get(name)
    pending = auth.keys.unseal(cookie, STATE_SECONDS) if cookie else None
    if error or not code:
        raise Problem("login-failed", reason="the hub did not grant it")
    if pending is None or not hmac.compare_digest(str(pending.get("state")).encode(), state.encode()):
        raise Problem("login-failed", reason="it was begun in another browser, or too long ago")
    try:
        token = await auth.hub.token_for_code(code, code_verifier=pending["verifier"], sync=False)
    except HTTPError as problem:
        raise Problem("login-failed", reason="the hub did not accept the code") from problem
    response = RedirectResponse(safe_next(auth.settings, pending["next"]), status_code=302)
    auth.start_session(response, token, secure=is_secure(request, auth.settings))
    response.delete_cookie(name, path=auth.settings.prefix + "oauth_callback")
    response.headers["Cache-Control"] = "no-store"
    return response


@router.post("/logout")
async def logout(request: Request, user: SessionUser = Depends(require_user)) -> Response:
    """End the session here and at the hub (which also revokes the token of this session)."""
    auth: Auth = request.app.state.deck.auth
    response = RedirectResponse(auth.settings.hub_host + auth.settings.hub_prefix + "logout", status_code=303)
    auth.end_session(response)
    return response
