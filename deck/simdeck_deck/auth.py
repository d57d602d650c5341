"""Who is calling: a hub token in ``Authorization``, or the encrypted session cookie that the hub's OAuth login left.

Both lead to the same ``SessionUser``: the hub names the token's owner and its expanded scopes (asked at most every
``token_cache_seconds``). Pages depend on ``require_user``; API routes on ``scoped("runs:read")``.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import Depends, Request
from jupyterhub.services.auth import HubOAuth, check_scopes
from simdeck_common.problems import Problem
from starlette.responses import Response
from tornado.web import HTTPError

from simdeck_deck import scopes, xsrf

if TYPE_CHECKING:
    from simdeck_deck.keys import Keys
    from simdeck_deck.settings import DeckSettings

SESSION_COOKIE = "simdeck-session"
SESSION_SECONDS = 14 * 24 * 3600
HUB_SESSION_COOKIE = "jupyterhub-session-id"


@dataclass(frozen=True)
class SessionUser:
    """The caller: a hub user with what the token used may do.

    ``session_id`` is set when the caller came with the session cookie, and None for a token in ``Authorization``.
    """

    name: str
    admin: bool
    groups: tuple[str, ...]
    scopes: frozenset[str]
    token: str = field(repr=False)
    session_id: str | None = None

    def may(self, scope: str) -> bool:
        """Say whether the caller may use routes that declare the short ``scope``."""
        return scopes.satisfies(self.scopes, scope, self.name, self.groups)

    def limits(self, scope: str) -> frozenset[str] | None:
        """Return the workflows alone that the token may use routes of ``scope`` for; None where it is for all.

        Raises
        ------
        Problem
            403 ``missing-scope``: it is for neither.
        """
        if self.may(scope):
            return None
        found = scopes.workflows(self.scopes, self.name) if scope in ("runs", "runs:read") else frozenset()
        if not found:
            raise Problem("missing-scope", scope=scopes.PREFIX + scope)
        return found


class LoginNeededError(Exception):
    """A page was asked for without a session; the app answers with a redirect to the login."""


class Auth:
    """Identifies callers at the hub, and keeps the session cookie."""

    def __init__(self, settings: DeckSettings, keys: Keys) -> None:
        self.settings = settings
        self.keys = keys
        self.heard: Callable[[SessionUser], None] = lambda user: None
        """Told of each caller that the hub has named."""
        self.hub = HubOAuth(
            api_url=settings.api_url,
            api_token=settings.api_token,
            base_url=settings.prefix,
            hub_prefix=settings.hub_prefix,
            hub_host=settings.hub_host,
            oauth_client_id=settings.client_id,
            oauth_redirect_uri=settings.callback_url,
            access_scopes=set(settings.access_scopes),
            cache_max_age=settings.token_cache_seconds,
        )

    async def identify(self, token: str, *, hub_session: str = "", session_id: str | None = None) -> SessionUser | None:
        """Return the user whose token this is, or None when the hub does not know it.

        Raises
        ------
        Problem
            403 ``missing-scope``: the token gives no access to this service, or belongs to no user; 503
            ``hub-unavailable``.
        """
        try:
            model: dict[str, Any] | None = await self.hub.user_for_token(token, session_id=hub_session, sync=False)
        except HTTPError as error:
            raise Problem("hub-unavailable") from error
        if model is None:
            return None
        granted = frozenset(model.get("scopes", ()))
        if not check_scopes(set(self.settings.access_scopes), granted):
            raise Problem("missing-scope", scope=" or ".join(sorted(self.settings.access_scopes)))
        # A service may be named like a user, but it is not that user.
        if model.get("kind") != "user":
            raise Problem("not-a-user")
        return SessionUser(
            name=model["name"],
            # On a site who looks after it is no JupyterHub admin: that would be everybody at once.
            admin=bool(model.get("admin")) or f"{scopes.PREFIX}admin" in granted,
            groups=tuple(model.get("groups") or ()),
            scopes=granted,
            token=token,
            session_id=session_id,
        )

    async def user_of(self, request: Request) -> SessionUser | None:
        """Return the caller, or None when the request carries nothing that is valid; XSRF is not checked here."""
        header = request.headers.get("authorization")
        if header is not None:
            # A request that names a token stands or falls with it; the cookie is not a second try.
            kind, _, token = header.partition(" ")
            if kind.lower() not in ("bearer", "token") or not token.strip():
                return None
            return await self.identify(token.strip())
        session = self.session(request)
        if session is None:
            return None
        hub_session = request.cookies.get(HUB_SESSION_COOKIE, "")
        return await self.identify(session["token"], hub_session=hub_session, session_id=session["id"])

    async def authenticate(self, request: Request, *, forms: bool = False) -> SessionUser:
        """Return the caller of ``request``; 401 when there is none, 403 when the XSRF token of a session is wrong."""
        user = await self.user_of(request)
        if user is None:
            raise Problem("not-signed-in")
        if user.session_id is not None and request.method not in xsrf.SAFE_METHODS:
            xsrf.check(request, self.keys, user.session_id, await xsrf.sent_token(request, forms=forms))
        request.state.user = user
        self.heard(user)
        return user

    async def authorize(self, request: Request, declared: str) -> SessionUser:
        """Return the caller when the token's scopes include what the route declares; else 401 or 403."""
        user = await self.authenticate(request)
        if not user.may(declared):
            raise Problem("missing-scope", scope=scopes.PREFIX + declared)
        return user

    def session(self, request: Request) -> dict[str, str] | None:
        """Return ``{"token", "id"}`` of the session cookie, or None."""
        cookie = request.cookies.get(SESSION_COOKIE)
        value = self.keys.unseal(cookie, SESSION_SECONDS) if cookie else None
        if value is None or not isinstance(value.get("token"), str) or not isinstance(value.get("id"), str):
            return None
        return {"token": value["token"], "id": value["id"]}

    def start_session(self, response: Response, token: str, *, secure: bool) -> None:
        """Set the session cookie for hub ``token``; each login gets a new session id (and so a new XSRF token)."""
        response.set_cookie(
            SESSION_COOKIE,
            self.keys.seal({"token": token, "id": secrets.token_urlsafe(16)}),
            max_age=SESSION_SECONDS,
            path=self.settings.prefix,
            httponly=True,
            samesite="lax",
            secure=secure,
        )

    def end_session(self, response: Response) -> None:
        """Delete the session cookie."""
        response.delete_cookie(SESSION_COOKIE, path=self.settings.prefix, httponly=True, samesite="lax")


def is_secure(request: Request, settings: DeckSettings) -> bool:
    """Say whether the browser came over https, directly or through the proxy."""
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    return settings.secure_cookies or (forwarded or request.url.scheme) == "https"


async def require_user(request: Request) -> SessionUser:
    """FastAPI dependency of pages: the signed-in user; a GET without session is led to the login.

    Unsafe methods need the XSRF token in ``X-XSRF-Token`` or in the form field ``_xsrf``.
    """
    auth: Auth = request.app.state.deck.auth
    try:
        return await auth.authenticate(request, forms=True)
    except Problem as problem:
        if problem.code == "not-signed-in" and (request.method == "GET" or "hx-request" in request.headers):
            raise LoginNeededError from problem
        raise


def scoped(declared: str) -> dict[str, Any]:
    """Return the keyword arguments that make a FastAPI route declare and enforce the short scope ``declared``."""
    if declared not in scopes.DECLARABLE:
        raise ValueError(f"{declared!r} is not a scope that routes can declare")

    async def enforce(request: Request) -> SessionUser | None:
        if declared == scopes.OPEN:
            return None
        user: SessionUser = await request.app.state.deck.auth.authorize(request, declared)
        return user

    dependency: Callable[[Request], Awaitable[SessionUser | None]] = enforce
    return {"openapi_extra": {"x-simdeck-scope": declared}, "dependencies": [Depends(dependency)]}


def current_user(request: Request) -> SessionUser:
    """FastAPI dependency of scoped API routes: the user that ``scoped`` has let in."""
    user: SessionUser = request.state.user
    return user
