"""The site file's ``[auth]``: how people sign in, and which Unix account each of them is.

Secrets never stand here: a client's secret and a shared password are named by their files, which only the hub may read.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from simdeck_hub.auth_presets import PRESETS, PresetName

AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_.-]{0,31}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Kind = Literal["one-time", "pam", "oidc", "shared-password"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OidcSection(Section):
    """The OpenID provider people sign in at."""

    preset: PresetName = Field(
        "generic", description="The kind of provider: generic, keycloak, cilogon, github, gitlab or egi."
    )
    name: Text | None = Field(None, description="What the sign-in button calls the provider.")
    issuer: Text | None = Field(
        None,
        description="The provider's address, as its OpenID configuration states it. Needed for generic and keycloak; "
        "for github and gitlab the address of an own installation.",
    )
    client_id: Text = Field(description="The id the provider gave this site.")
    client_secret_file: Path = Field(
        description="File with the secret the provider gave this site: mode 600, owned by the user the hub runs as. "
        "A relative path starts at `private/` of the data folder."
    )
    scopes: list[Text] | None = Field(
        None, description="OpenID scopes to ask for. Not given: what the preset needs for its claims."
    )
    username_claim: Text | None = Field(
        None, description="The claim that says who a person is. Not given: the preset's."
    )
    groups_claim: Text | None = Field(
        None,
        description="The claim that lists a person's groups; dots reach into nested claims (`realm_access.roles`). "
        "For github only `teams`. Not given: no groups from the provider.",
    )
    logout: Literal["hub", "provider"] = Field(
        "hub", description="What signing out ends: the session here (hub), or the provider's too (provider)."
    )
    pkce: bool = Field(
        True, description="Proof key for code exchange. Switch it off only for a provider that fails on it."
    )
    idps: list[Text] = Field(
        default_factory=list,
        description="For cilogon: the entity ids of the home organisations that may sign in, the default one first.",
    )
    ca_file: Path | None = Field(
        None, description="Certificates (PEM) to check the provider's against, instead of the system's."
    )

    @field_validator("issuer")
    @classmethod
    def issuer_is_safe(cls, value: str | None) -> str | None:
        """Check that the address is https; plain http only on this machine."""
        if value is None:
            return None
        parts = urlsplit(value)
        if not parts.hostname or parts.query or parts.fragment or parts.username:
            raise ValueError("this is not a provider's address; write it as https://login.example.org/realms/site")
        if parts.scheme != "https" and not (parts.scheme == "http" and on_this_machine(parts.hostname)):
            raise ValueError("a provider's address begins with https://, or anybody on the way could sign in as anyone")
        return value

    @model_validator(mode="after")
    def fits_its_preset(self) -> OidcSection:
        """Check what a preset needs beside its defaults."""
        preset = PRESETS[self.preset]
        if preset.needs_issuer and self.issuer is None:
            raise ValueError(f"the preset {self.preset} needs the key issuer, the provider's address")
        if self.issuer is not None and preset.fixed_issuer is not None:
            raise ValueError(
                f"the preset {self.preset} knows its own address; leave out the key issuer, or use generic"
            )
        if self.preset == "cilogon" and not self.idps:
            raise ValueError("the preset cilogon needs the key idps, the entity ids from https://cilogon.org/idplist")
        if self.preset != "cilogon" and self.idps:
            raise ValueError("the key idps is for the preset cilogon alone")
        if self.preset == "github" and self.groups_claim not in {None, "teams"}:
            raise ValueError('GitHub knows teams alone; write groups_claim = "teams"')
        if self.logout == "provider" and not preset.ends_session:
            raise ValueError(f'the preset {self.preset} has no address for signing out; write logout = "hub"')
        return self

    def identity_claim(self) -> str:
        """Return the claim that says who a person is."""
        return self.username_claim or PRESETS[self.preset].username_claim

    def asked_scopes(self) -> list[str]:
        """Return the scopes to ask for."""
        if self.scopes is not None:
            return list(self.scopes)
        preset = PRESETS[self.preset]
        return [*preset.scopes, *(preset.group_scopes if self.groups_claim else ())]


class AccountsSection(Section):
    """From who a person is to their Unix account and groups."""

    claim: Text | None = Field(
        None,
        description="The claim that names a person's Unix account. Not given: the name a person signs in with, "
        "or `table` alone where there is one.",
    )
    strip_domain: Text | None = Field(
        None,
        description="Domain to take off the name: `uni.example` makes `alice@uni.example` the account `alice`. "
        "Names of other domains have no account.",
    )
    table: dict[Text, AccountName] = Field(
        default_factory=dict,
        description='Who is which Unix account: `"alice@uni.example" = "alice"`. It goes before `claim`.',
    )
    allow: list[AccountName] | None = Field(
        None, description="Only these accounts may sign in. Not given: each account that is found."
    )
    deny: list[AccountName] = Field(default_factory=list, description="These accounts may not sign in.")
    allow_groups: list[Text] = Field(
        default_factory=list, description="Only members of one of these groups may sign in. Empty: no group is needed."
    )
    unix_groups: bool = Field(False, description="Count the Unix groups of the account among a person's groups.")
    group_names: dict[Text, Text] = Field(
        default_factory=dict,
        description='Names for the provider\'s groups: `"urn:…:vo.example#aai" = "physics"`. Others keep theirs.',
    )
    trust_email: bool = Field(
        False,
        description="Accept an e-mail address that the provider does not call verified. Only for a provider at which "
        "nobody can enter their own address.",
    )
    lowest_uid: int = Field(
        1000, ge=1, description="Accounts with a lower number belong to the system, and nobody signs in as one."
    )

    @field_validator("strip_domain")
    @classmethod
    def domain_without_at(cls, value: str | None) -> str | None:
        return value.removeprefix("@").lower() if value else None


class AuthSection(Section):
    """How people sign in."""

    kind: Kind = Field(
        "one-time",
        description="one-time (a password printed at the start), pam (accounts of this machine), oidc (a provider), "
        "or shared-password (for tests: who knows it can be anybody).",
    )
    session_days: float = Field(
        14, gt=0, le=365, description="Days a browser stays signed in. Shorter: changes at the provider count sooner."
    )
    contact: Text | None = Field(
        None, description="Whom to ask about accounts, as people read it: `it@uni.example`, `the help desk`."
    )
    pam_service: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = Field(
        "login", description="For pam: the file in /etc/pam.d that decides."
    )
    password_file: Path | None = Field(
        None,
        description="For shared-password: the file with the password, mode 600, 8 characters or more. "
        "A relative path starts at `private/` of the data folder.",
    )
    oidc: OidcSection | None = Field(None, description="For oidc: the provider.")
    accounts: AccountsSection = Field(
        default_factory=lambda: AccountsSection.model_validate({}), description="Who is which Unix account."
    )

    @model_validator(mode="after")
    def kind_has_its_parts(self) -> AuthSection:
        """Check that what the kind needs is there, and that nobody of the world can choose an account's name."""
        if self.kind == "oidc" and self.oidc is None:
            raise ValueError('kind = "oidc" needs the section [auth.oidc]')
        if self.kind != "oidc" and self.oidc is not None:
            raise ValueError(f'the section [auth.oidc] is for kind = "oidc", and kind is "{self.kind}"')
        if self.kind == "shared-password" and self.password_file is None:
            raise ValueError('kind = "shared-password" needs the key password_file')
        if self.kind != "shared-password" and self.password_file is not None:
            raise ValueError('the key password_file is for kind = "shared-password" alone')
        if self.kind != "oidc" and (self.accounts.claim or self.accounts.strip_domain or self.accounts.table):
            raise ValueError('claim, strip_domain and table of [auth.accounts] are for kind = "oidc"')
        if self.oidc is not None:
            self._names_are_not_free_for_all(self.oidc)
        return self

    def warnings(self) -> list[str]:
        """Return what to tell whoever starts the hub, and everybody who signs in."""
        if self.kind == "shared-password":
            return ["One shared password opens every account here: this is a test, not a place for real work."]
        return []

    def _names_are_not_free_for_all(self, oidc: OidcSection) -> None:
        preset = PRESETS[oidc.preset]
        accounts = self.accounts
        by_table_alone = bool(accounts.table) and accounts.claim is None and accounts.strip_domain is None
        own_installation = oidc.issuer is not None
        if preset.open_to_the_world == "table" and not own_installation and not by_table_alone:
            raise ValueError(
                f"everybody can have an identity at {preset.title}, also one that is called like an account here: "
                "say in [auth.accounts.table] who is which account, without claim and strip_domain"
            )
        if preset.open_to_the_world == "domain" and not (by_table_alone or accounts.strip_domain):
            raise ValueError(
                f"{preset.title} knows people of many organisations: give [auth.accounts] a strip_domain or a table"
            )
        claims = {accounts.claim, oidc.identity_claim()}
        if "email" in claims and oidc.preset == "github":
            raise ValueError("GitHub does not say whether an e-mail address is verified: use its claim login or id")


def on_this_machine(host: str) -> bool:
    """Return whether ``host`` is this machine's loopback address or name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
