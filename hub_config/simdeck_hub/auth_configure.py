"""From the site file's ``[auth]`` to JupyterHub's authenticator.

:func:`configure_auth` sets the authenticator's class and traits, custom scopes and roles; plain ``c.…`` lines of an
administrator come after it and win.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from simdeck_common.problems import Problem

from simdeck_hub import scopes
from simdeck_hub.accounts import AccountRules
from simdeck_hub.auth_discovery import Endpoints, discover
from simdeck_hub.auth_presets import PRESETS
from simdeck_hub.auth_settings import AuthSection, OidcSection
from simdeck_hub.places import DataFolder

DEFAULT_CONTACT = "the site's administrator"


class People(Protocol):
    """The site file's ``[users]``."""

    @property
    def names(self) -> list[str]: ...
    @property
    def admins(self) -> list[str] | None: ...


class SignInSite(Protocol):
    """What of the whole site file sign-in depends on."""

    @property
    def auth(self) -> AuthSection: ...
    @property
    def users(self) -> People: ...
    def hub_users(self) -> list[str]: ...
    def admins(self) -> list[str]: ...


def configure_auth(
    c: Any,
    site: SignInSite,
    data: DataFolder,
    *,
    public_url: str,
    unix_accounts: bool = False,
    unix_group: str | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Set who may sign in, and how, on JupyterHub's ``c``.

    Parameters
    ----------
    public_url
        The address people open, without a path (``https://deck.example.org``): providers send people back there.
    unix_accounts
        Each hub user is the Unix account of the same name and must exist (servers run as it). Otherwise hub users are
        names only.
    unix_group
        The Unix group an account must be in, as the sudo rule has it; ``None``: any.
    groups
        The site file's own groups: name → hub users. They are added to what provider and Unix say. With one-time
        passwords ``None`` leaves the hub's groups alone.

    Raises
    ------
    Problem
        ``auth-secret-file`` or ``auth-provider``, with the cause and the remedy.
    """
    auth = site.auth
    admins = admins_of(site)
    c.JupyterHub.custom_scopes = scopes.DEFINITIONS
    c.JupyterHub.load_roles = scopes.roles(admins)
    c.JupyterHub.cookie_max_age_days = auth.session_days
    c.Authenticator.admin_users = set(admins)
    # Who was taken out of the site file may not come back by an old entry of the database.
    c.Authenticator.allow_existing_users = False
    c.Authenticator.delete_invalid_users = False
    c.JupyterHub.template_vars = {
        **_template_vars(c),
        "sign_in": {"kind": auth.kind, "contact": auth.contact, "warnings": auth.warnings()},
    }
    if auth.kind == "one-time":
        _one_time(c, site, data, groups)
        return
    rules = rules_of(site, groups=groups or {}, unix_accounts=unix_accounts, unix_group=unix_group)
    c.AccountsAuthenticator.rules = rules
    c.AccountsAuthenticator.unix_accounts = unix_accounts
    c.Authenticator.manage_groups = True
    # Nothing of a provider's tokens is kept, so there is nothing to refresh; accounts are looked at again, though.
    c.Authenticator.enable_auth_state = False
    c.Authenticator.auth_refresh_age = 300
    c.Authenticator.auth_refresh_strict = True
    c.Authenticator.blocked_users = set(auth.accounts.deny)
    # The account rules decide who may sign in; the names are here so that the hub knows their users from its start.
    c.Authenticator.allow_all = True
    c.Authenticator.allowed_users = set(site.hub_users())
    if auth.kind == "pam":
        _pam(c, auth)
    elif auth.kind == "shared-password":
        _shared_password(c, auth, data)
    elif auth.oidc is not None:
        _oidc(c, auth.oidc, data, public_url.rstrip("/"))


def admins_of(site: SignInSite) -> list[str]:
    """Return who looks after the site; where people bring their own accounts, only those who are named."""
    return site.admins() if site.auth.kind == "one-time" else list(site.users.admins or [])


def rules_of(
    site: SignInSite, *, groups: Mapping[str, Sequence[str]], unix_accounts: bool, unix_group: str | None
) -> AccountRules:
    """Return the account rules the site file states."""
    auth, accounts, oidc = site.auth, site.auth.accounts, site.auth.oidc
    allow = accounts.allow
    if allow is None and site.users.names:
        allow = site.users.names
    if allow is None and auth.kind == "shared-password" and not unix_accounts:
        # Without accounts that must exist, the password would make users of any name.
        allow = site.hub_users()
    return AccountRules(
        identity_claim=oidc.identity_claim() if oidc else "login",
        account_claim=accounts.claim,
        groups_claim=oidc.groups_claim if oidc else None,
        strip_domain=accounts.strip_domain,
        table=accounts.table,
        allow=frozenset(allow) if allow is not None else None,
        deny=frozenset(accounts.deny),
        allow_groups=frozenset(accounts.allow_groups),
        listed_groups=by_member(groups),
        group_names=accounts.group_names,
        unix_groups=accounts.unix_groups,
        needed_unix_group=unix_group if unix_accounts else None,
        trust_email=accounts.trust_email,
        lowest_uid=accounts.lowest_uid,
        # Whoever signs in as the user the hub runs as would own the hub.
        forbidden_uids=frozenset({0, os.getuid(), 65534}),
        contact=auth.contact or DEFAULT_CONTACT,
    )


def by_member(groups: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Turn group → members into member → groups."""
    found: dict[str, list[str]] = {}
    for group, members in groups.items():
        for member in members:
            found.setdefault(member, []).append(group)
    return {member: tuple(names) for member, names in found.items()}


def _one_time(c: Any, site: SignInSite, data: DataFolder, groups: Mapping[str, Sequence[str]] | None) -> None:
    c.JupyterHub.authenticator_class = "simdeck_hub.authenticator.OneTimePasswordAuthenticator"
    c.OneTimePasswordAuthenticator.password_folder = str(data.private)
    c.Authenticator.allowed_users = set(site.hub_users())
    c.Authenticator.allow_all = False
    if groups is not None:
        # Managed, because JupyterHub's own `load_groups` never takes anybody out of a group.
        c.Authenticator.manage_groups = True
        c.OneTimePasswordAuthenticator.listed_groups = {
            member: list(names) for member, names in by_member(groups).items()
        }


def _pam(c: Any, auth: AuthSection) -> None:
    c.JupyterHub.authenticator_class = "simdeck_hub.auth_local.PamAuthenticator"
    c.PamAuthenticator.service = auth.pam_service
    c.PamAuthenticator.open_sessions = False


def _shared_password(c: Any, auth: AuthSection, data: DataFolder) -> None:
    assert auth.password_file is not None
    password = read_secret(auth.password_file, data, "auth.password_file")
    if len(password) < 8:
        raise Problem(
            "auth-secret-file",
            field="auth.password_file",
            what=f"{auth.password_file} holds a password shorter than 8 characters",
            hint="Write a longer one into it",
        )
    c.JupyterHub.authenticator_class = "simdeck_hub.auth_local.SharedPasswordAuthenticator"
    c.SharedPasswordAuthenticator.user_password = password


def _oidc(c: Any, oidc: OidcSection, data: DataFolder, public_url: str) -> None:
    preset = PRESETS[oidc.preset]
    c.JupyterHub.authenticator_class = f"simdeck_hub.auth_oidc.{preset.authenticator}"
    c.OAuthenticator.client_id = oidc.client_id
    c.OAuthenticator.client_secret = read_secret(oidc.client_secret_file, data, "auth.oidc.client_secret_file")
    c.OAuthenticator.oauth_callback_url = f"{public_url}/hub/oauth_callback"
    c.OAuthenticator.login_service = oidc.name or preset.title
    c.OAuthenticator.scope = oidc.asked_scopes()
    c.OAuthenticator.enable_pkce = oidc.pkce
    c.OAuthenticator.refresh_pre_spawn = False
    c.ProviderAuthenticator.again_prompt = preset.again
    if oidc.ca_file is not None:
        c.OAuthenticator.http_request_kwargs = {"ca_certs": str(oidc.ca_file)}
    if preset.discovers:
        issuer = oidc.issuer or preset.fixed_issuer or ""
        _endpoints(c, oidc, discover(issuer, data.hub / "openid.json", ca_file=oidc.ca_file), public_url)
    elif oidc.preset == "cilogon":
        # The account rules name the account; CILogon's class only needs to know which claim there is.
        c.CILogonOAuthenticator.idps = {
            idp: {"username_derivation": {"username_claim": oidc.identity_claim()}, "default": number == 0}
            for number, idp in enumerate(oidc.idps)
        }
    elif oidc.preset == "github":
        if oidc.issuer:
            c.GitHubOAuthenticator.github_url = oidc.issuer.rstrip("/")
        c.GitHubOAuthenticator.populate_teams_in_auth_state = oidc.groups_claim == "teams"
    elif oidc.preset == "gitlab":
        # Its OpenID answer has the groups, which its own API would need a request each for.
        address = (oidc.issuer or "https://gitlab.com").rstrip("/")
        c.GitLabOAuthenticator.gitlab_url = address
        c.GitLabOAuthenticator.userdata_url = f"{address}/oauth/userinfo"


def _endpoints(c: Any, oidc: OidcSection, endpoints: Endpoints, public_url: str) -> None:
    c.OAuthenticator.authorize_url = endpoints.authorize
    c.OAuthenticator.token_url = endpoints.token
    c.OAuthenticator.userdata_url = endpoints.userinfo
    c.OAuthenticator.basic_auth = endpoints.basic_auth
    if oidc.logout == "provider":
        if endpoints.end_session is None:
            raise Problem(
                "auth-provider",
                field="auth.oidc.logout",
                what=f"{endpoints.issuer} has no address for signing out",
                hint='Write logout = "hub"',
            )
        query = urlencode({"client_id": oidc.client_id, "post_logout_redirect_uri": f"{public_url}/hub/login"})
        joint = "&" if "?" in endpoints.end_session else "?"
        c.OAuthenticator.logout_redirect_url = f"{endpoints.end_session}{joint}{query}"


def read_secret(path: Path, data: DataFolder, field: str) -> str:
    """Return the one line of a secret's file.

    Raises
    ------
    Problem
        ``auth-secret-file``: it cannot be read, others can read it, it belongs to somebody else, or it is empty.
    """
    full = path.expanduser() if str(path).startswith("~") else data.private / path
    try:
        with full.open(encoding="utf-8") as stream:
            state = os.fstat(stream.fileno())
            content = stream.read(65536).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise Problem(
            "auth-secret-file",
            field=field,
            what=f"{full} cannot be read: {reason}",
            hint="Write the secret into that file and give it to the user the hub runs as",
        ) from error
    if not stat.S_ISREG(state.st_mode) or state.st_mode & 0o077:
        what, hint = f"{full} can be read by others than its owner", f"chmod 600 {full}"
    elif state.st_uid not in {os.geteuid(), 0}:
        what, hint = f"{full} belongs to somebody else", "Give it to the user the hub runs as"
    elif not content or "\n" in content:
        what, hint = f"{full} does not hold one line with the secret", "Write the secret alone into it"
    else:
        return content
    raise Problem("auth-secret-file", field=field, what=what, hint=hint)


def _template_vars(c: Any) -> dict[str, Any]:
    known = c.JupyterHub.template_vars
    return dict(known) if isinstance(known, dict) else {}
