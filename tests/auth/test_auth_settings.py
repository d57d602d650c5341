"""What may stand in the site file's ``[auth]``."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from simdeck_hub.auth_settings import AuthSection

PROVIDER = {"issuer": "https://login.example.org/realms/site", "client_id": "simdeck", "client_secret_file": "secret"}
BARE = {"client_id": "simdeck", "client_secret_file": "secret"}
TABLE = {"table": {"alice@uni.example": "alice"}}


def oidc(section: dict[str, Any], accounts: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"kind": "oidc", "oidc": section, "accounts": accounts or {}}


def test_without_a_section_one_time_passwords_hold() -> None:
    assert AuthSection().kind == "one-time"


@pytest.mark.parametrize(
    "section",
    [
        {"kind": "pam"},
        {"kind": "pam", "pam_service": "sshd", "accounts": {"deny": ["bob"], "allow_groups": ["staff"], "unix_groups": True}},
        {"kind": "shared-password", "password_file": "test-password"},
        oidc(PROVIDER),
        oidc(PROVIDER | {"issuer": "http://127.0.0.1:8080"}),
        oidc(PROVIDER | {"issuer": "http://localhost:8080"}),
        oidc(PROVIDER | {"preset": "keycloak", "groups_claim": "realm_access.roles", "logout": "provider"}),
        oidc(BARE | {"preset": "cilogon", "idps": ["https://idp.uni.example/shibboleth"]}, {"strip_domain": "uni.example"}),
        oidc(BARE | {"preset": "github", "groups_claim": "teams"}, {"table": {"octo": "alice"}}),
        oidc(BARE | {"preset": "gitlab", "groups_claim": "groups"}, TABLE),
        oidc(PROVIDER | {"preset": "gitlab"}),
        oidc(BARE | {"preset": "egi", "groups_claim": "entitlements"}, TABLE),
    ],
)  # fmt: skip
def test_a_good_section_is_taken(section: dict[str, Any]) -> None:
    assert AuthSection.model_validate(section).kind == section["kind"]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"kind": "ldap"}, "one-time"),
        ({"kind": "oidc"}, "needs the section [auth.oidc]"),
        ({"kind": "pam", "oidc": PROVIDER}, 'is for kind = "oidc"'),
        ({"kind": "pam", "pam_service": "../x"}, "pattern"),
        ({"kind": "shared-password"}, "needs the key password_file"),
        ({"kind": "pam", "password_file": "x"}, "for kind = \"shared-password\" alone"),
        ({"kind": "pam", "accounts": TABLE}, 'are for kind = "oidc"'),
        (oidc(PROVIDER | {"client_secret": "hush"}), "Extra inputs"),
        (oidc(BARE), "needs the key issuer"),
        (oidc(PROVIDER | {"issuer": "http://login.example.org"}), "begins with https://"),
        (oidc(PROVIDER | {"issuer": "login.example.org"}), "not a provider's address"),
        (oidc(PROVIDER | {"issuer": "https://u:p@login.example.org"}), "not a provider's address"),
        (oidc(PROVIDER | {"preset": "okta"}), "keycloak"),
        (oidc(PROVIDER | {"preset": "egi"}, TABLE), "knows its own address"),
        (oidc(BARE | {"preset": "cilogon"}, TABLE), "needs the key idps"),
        (oidc(BARE | {"preset": "cilogon", "idps": ["https://idp"]}), "strip_domain or a table"),
        (oidc(PROVIDER | {"idps": ["https://idp"]}), "preset cilogon alone"),
        (oidc(BARE | {"preset": "github"}), "auth.accounts.table"),
        (oidc(BARE | {"preset": "github"}, TABLE | {"claim": "login"}), "without claim"),
        (oidc(BARE | {"preset": "github", "username_claim": "email"}, TABLE), "verified"),
        (oidc(BARE | {"preset": "github", "groups_claim": "groups"}, TABLE), "teams"),
        (oidc(BARE | {"preset": "github", "logout": "provider"}, TABLE), "no address for signing out"),
        (oidc(BARE | {"preset": "gitlab"}), "auth.accounts.table"),
        (oidc(BARE | {"preset": "egi"}), "auth.accounts.table"),
        (oidc(PROVIDER, {"table": {"x": "Not An Account"}}), "pattern"),
        (oidc(PROVIDER, {"lowest_uid": 0}), "greater than or equal to 1"),
        ({"session_days": 0}, "greater than 0"),
    ],
)  # fmt: skip
def test_a_wrong_section_is_refused_in_a_sentence(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        AuthSection.model_validate(section)
    assert words in caught.value.errors()[0]["msg"]


def test_only_the_shared_password_is_warned_of() -> None:
    shared = AuthSection.model_validate({"kind": "shared-password", "password_file": "x"})
    assert "this is a test" in shared.warnings()[0]
    assert AuthSection.model_validate({"kind": "pam"}).warnings() == []
