"""What is known of each kind of OpenID provider: its class, scopes and claims. Data only.

``discovers`` tells whether the addresses come from the issuer's OpenID configuration when the hub starts; the others
are known to oauthenticator's classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PresetName = Literal["generic", "keycloak", "cilogon", "github", "gitlab", "egi"]


@dataclass(frozen=True)
class Preset:
    """One kind of provider."""

    title: str
    """What the sign-in button calls it."""
    authenticator: str
    """The class in :mod:`simdeck_hub.auth_oidc`."""
    username_claim: str
    scopes: tuple[str, ...]
    group_scopes: tuple[str, ...] = ()
    """Asked for besides when groups are wanted."""
    discovers: bool = False
    needs_issuer: bool = False
    fixed_issuer: str | None = None
    again: str = "login"
    """The ``prompt`` with which it asks who somebody is although it knows (to sign in as somebody else)."""
    ends_session: bool = False
    """Whether it has an address for signing out there too."""
    open_to_the_world: Literal["no", "table", "domain"] = "no"
    """Who can have an identity there: the site's people; anybody, so that accounts need a table; or people of many
    organisations, so that they need a table or a domain."""


PRESETS: dict[PresetName, Preset] = {
    "generic": Preset(
        title="single sign-on",
        authenticator="GenericAuthenticator",
        username_claim="preferred_username",
        scopes=("openid", "profile", "email"),
        discovers=True,
        needs_issuer=True,
        ends_session=True,
    ),
    "keycloak": Preset(
        title="Keycloak",
        authenticator="GenericAuthenticator",
        username_claim="preferred_username",
        scopes=("openid", "profile", "email"),
        discovers=True,
        needs_issuer=True,
        ends_session=True,
    ),
    "cilogon": Preset(
        title="CILogon",
        authenticator="CILogonAuthenticator",
        username_claim="eppn",
        scopes=("openid", "email", "profile", "org.cilogon.userinfo"),
        fixed_issuer="https://cilogon.org",
        open_to_the_world="domain",
    ),
    "github": Preset(
        title="GitHub",
        authenticator="GitHubAuthenticator",
        username_claim="login",
        scopes=(),
        group_scopes=("read:org",),
        again="select_account",
        open_to_the_world="table",
    ),
    "gitlab": Preset(
        title="GitLab",
        authenticator="GitLabAuthenticator",
        username_claim="preferred_username",
        scopes=("openid", "profile", "email"),
        open_to_the_world="table",
    ),
    "egi": Preset(
        title="EGI Check-in",
        authenticator="GenericAuthenticator",
        username_claim="sub",
        scopes=("openid", "profile", "email"),
        group_scopes=("entitlements",),
        discovers=True,
        fixed_issuer="https://aai.egi.eu/auth/realms/egi",
        ends_session=True,
        open_to_the_world="table",
    ),
}
