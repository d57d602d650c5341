"""Signing in at an OpenID provider: oauthenticator's classes, with the site's accounts behind them.

oauthenticator does the whole exchange (state, proof key, tokens, userinfo). Added here: who the person is by the
account rules, refusals on the sign-in page instead of an error page, and signing in as somebody else.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from oauthenticator.cilogon import CILogonLoginHandler, CILogonOAuthenticator
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.github import GitHubOAuthenticator
from oauthenticator.gitlab import GitLabOAuthenticator
from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthenticator, OAuthLoginHandler
from simdeck_common.problems import Problem
from tornado.httpclient import HTTPClientError
from tornado.httputil import url_concat
from tornado.web import HTTPError
from traitlets import Unicode

from simdeck_hub.accounts import claim_text
from simdeck_hub.auth_base import AccountsAuthenticator, Refusal

PLAIN_WORD = re.compile(r"[a-z_]{1,60}")
GROUPS = "simdeck_groups"
"""Where the account's groups wait, between finding the account and the hub's taking them."""


class AgainHandler(OAuthLoginHandler):  # type: ignore[misc]
    """Sends people to the provider; with ``?again=1`` it asks who they are although it knows."""

    def authorize_redirect(self, *args: Any, **kwargs: Any) -> Any:
        if self.get_argument("again", ""):
            kwargs.setdefault("extra_params", {})["prompt"] = self.authenticator.again_prompt
        return super().authorize_redirect(*args, **kwargs)


class CILogonAgainHandler(AgainHandler, CILogonLoginHandler):  # type: ignore[misc]
    """The same, with CILogon's own parameters."""


class CallbackHandler(OAuthCallbackHandler):  # type: ignore[misc]
    """Where the provider sends people back to."""

    def check_arguments(self) -> None:
        """Refuse an answer that was not asked for in this browser, or that says no."""
        error = self.get_argument("error", "")
        if error:
            # The provider's own sentence could be anybody's: the address is open to all. Its code is a plain word.
            code = error if PLAIN_WORD.fullmatch(error) else "no known reason"
            cancelled = code in {"access_denied", "consent_required", "login_required"}
            reason = f"the provider says it was cancelled or not permitted ({code})"
            self.interrupted(reason if cancelled else f"the provider reports {code}")
        if not self.get_argument("code", "") or not self.get_argument("state", ""):
            self.interrupted("the provider's answer is not complete")
        try:
            self.check_state()
        except HTTPError:
            self.interrupted("it was not begun in this browser, or too long ago")

    def interrupted(self, reason: str) -> None:
        raise self.authenticator.refusal(Problem("sign-in-interrupted", reason=reason))

    async def get(self) -> None:
        try:
            await super().get()
        except Refusal as refusal:
            await self.show(refusal)
        except (HTTPError, HTTPClientError, OSError, ValueError, KeyError) as error:
            # The message may quote the provider's answer, tokens and all: only its kind is logged.
            status = getattr(error, "status_code", None) or getattr(error, "code", None)
            self.log.error("The sign-in provider failed: %s%s", type(error).__name__, f" {status}" if status else "")
            problem = Problem("sign-in-unavailable", contact=self.authenticator.rules.contact)
            await self.show(Refusal(problem))

    async def show(self, refusal: Refusal) -> None:
        """Answer with the sign-in page and the refusal on it."""
        address = self.authenticator.login_url(self.hub.base_url)
        self.set_status(refusal.status_code)
        page = await self.render_template(
            "login.html",
            sync=False,
            login_error=refusal.sentences,
            login_url=self.settings["login_url"],
            authenticator_login_url=address,
            again_url=url_concat(address, {"again": "1"}) if refusal.status_code == 403 else "",
            authenticator=self.authenticator,
            custom_html="",
        )
        self.finish(page)


class ProviderAuthenticator(AccountsAuthenticator, OAuthenticator):  # type: ignore[misc]
    """What all providers have in common."""

    again_prompt = Unicode("login", help="`prompt` that makes the provider ask who somebody is.").tag(config=True)

    login_handler = AgainHandler
    callback_handler = CallbackHandler

    async def fetch(self, req: Any, label: str = "fetching", parse_json: bool = True, **kwargs: Any) -> Any:
        """Ask the provider. A failure is logged by its code alone: oauthenticator's own way quotes the whole answer."""
        try:
            answer = await self.http_client.fetch(req, **kwargs)
        except HTTPClientError as error:
            address = urlsplit(req.url)
            place = f"{address.scheme}://{address.netloc}{address.path}"
            self.log.error("%s answers %s%s", place, error.code, error_word(error))
            raise
        if not parse_json:
            return answer
        return json.loads(answer.body.decode("utf-8", "replace")) if answer.body else None

    def user_info_to_username(self, user_info: dict[str, Any]) -> str:
        """Return the identity, so that a missing claim is refused in a sentence; the account is found afterwards."""
        try:
            return claim_text(user_info, self.rules.identity_claim, self.rules)
        except Problem as problem:
            raise self.refusal(problem) from None

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """Put the account in the identity's place."""
        auth_model = await super().update_auth_model(auth_model)
        person = await self.person(self.claims(auth_model["auth_state"]))
        found = self.model(person)
        auth_model["auth_state"][GROUPS] = found["groups"]
        return {**auth_model, "name": found["name"], "admin": found["admin"]}

    def claims(self, auth_state: dict[str, Any]) -> dict[str, Any]:
        """Return what the provider says of the person."""
        return dict(auth_state[self.user_auth_state_key])

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        return set(auth_state[GROUPS])


def error_word(error: HTTPClientError) -> str:
    """Return the standard's error code in a provider's answer (``invalid_client``), where there is one."""
    try:
        word = json.loads(error.response.body)["error"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""
    return f": {word}" if isinstance(word, str) and PLAIN_WORD.fullmatch(word) else ""


class GenericAuthenticator(ProviderAuthenticator, GenericOAuthenticator):  # type: ignore[misc]
    """Any provider with an OpenID configuration: Keycloak, EGI Check-in and the like."""


class CILogonAuthenticator(ProviderAuthenticator, CILogonOAuthenticator):  # type: ignore[misc]
    """CILogon: identities of the home organisations that the site file names."""

    login_handler = CILogonAgainHandler

    def user_info_to_username(self, user_info: dict[str, Any]) -> str:
        """Refuse home organisations that are not named; the identity is the claim of the site file."""
        if user_info.get("idp") not in self.idps:
            raise self.refusal(Problem("organisation-not-allowed", contact=self.rules.contact))
        return super().user_info_to_username(user_info)


class GitHubAuthenticator(ProviderAuthenticator, GitHubOAuthenticator):  # type: ignore[misc]
    """GitHub: groups are teams, written ``organisation:team``."""

    def claims(self, auth_state: dict[str, Any]) -> dict[str, Any]:
        teams = [f"{team['organization']['login']}:{team['slug']}" for team in auth_state.get("teams") or []]
        return {**super().claims(auth_state), "teams": teams}


class GitLabAuthenticator(ProviderAuthenticator, GitLabOAuthenticator):  # type: ignore[misc]
    """GitLab, its own installations too: groups by its OpenID answer."""
