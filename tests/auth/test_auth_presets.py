"""Each preset gives oauthenticator's class the addresses, scopes and claims it needs, and leads to the account.

What the providers answer here is written down from their documentation; the providers themselves are not reached.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyterhub.app import JupyterHub
from simdeck_common.problems import Problem
from simdeck_hub import auth_configure
from simdeck_hub.auth_base import Refusal
from simdeck_hub.auth_configure import configure_auth, read_secret
from simdeck_hub.auth_discovery import Endpoints, endpoints_of
from simdeck_hub.auth_settings import AuthSection
from simdeck_hub.places import DataFolder
from traitlets.config import Config
from traitlets.utils.importstring import import_item

HUB = "https://deck.example.org"


@dataclass
class Users:
    names: list[str] = field(default_factory=list)
    admins: list[str] | None = None


@dataclass
class Site:
    auth: AuthSection
    users: Users = field(default_factory=Users)

    def hub_users(self) -> list[str]:
        return self.users.names or ["operator"]

    def admins(self) -> list[str]:
        return self.users.admins or self.hub_users()[:1]


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    folder.make()
    for name in ("oidc-secret", "test-password"):
        (folder.private / name).write_text("a secret of the tests\n", encoding="utf-8")
        (folder.private / name).chmod(0o600)
    return folder


@pytest.fixture(autouse=True)
def provider_states(monkeypatch: pytest.MonkeyPatch) -> None:
    def state(issuer: str, kept: Path, *, ca_file: Path | None = None) -> Endpoints:
        names = ("authorization", "token", "userinfo", "end_session")
        return endpoints_of(issuer, {"issuer": issuer} | {f"{name}_endpoint": f"{issuer}/{name}" for name in names})

    monkeypatch.setattr(auth_configure, "discover", state)


def configured(
    data: DataFolder,
    auth: dict[str, Any],
    users: Users | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> Config:
    c = Config()
    configure_auth(c, Site(AuthSection.model_validate(auth), users or Users()), data, public_url=HUB, groups=groups)
    return c


def authenticator(c: Config) -> Any:
    return import_item(c.JupyterHub.authenticator_class)(config=c, parent=None)


def oidc(preset: str, accounts: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    section = {"preset": preset, "client_id": "simdeck", "client_secret_file": "oidc-secret", **keys}
    return {"kind": "oidc", "oidc": section, "accounts": accounts or {}}


KEYCLOAK = "https://login.uni.example/realms/hpc"
EGI = "https://aai.egi.eu/auth/realms/egi"
IDP = "https://idp.uni.example/shibboleth"
CASES: list[Any] = [
    pytest.param(
        oidc("generic", issuer=KEYCLOAK, groups_claim="groups"),
        (f"{KEYCLOAK}/authorization", f"{KEYCLOAK}/token", f"{KEYCLOAK}/userinfo"),
        ["openid", "profile", "email"],
        {"preferred_username": "alice", "groups": ["physics"]},
        ["physics"],
        id="generic",
    ),
    pytest.param(
        oidc("keycloak", issuer=KEYCLOAK, groups_claim="resource_access.simdeck.roles"),
        (f"{KEYCLOAK}/authorization", f"{KEYCLOAK}/token", f"{KEYCLOAK}/userinfo"),
        ["openid", "profile", "email"],
        {"preferred_username": "alice", "resource_access": {"simdeck": {"roles": ["physics"]}}},
        ["physics"],
        id="keycloak",
    ),
    pytest.param(
        oidc("cilogon", {"strip_domain": "uni.example"}, idps=[IDP, "https://other.example"], groups_claim="isMemberOf"),
        ("https://cilogon.org/authorize", "https://cilogon.org/oauth2/token", "https://cilogon.org/oauth2/userinfo"),
        ["openid", "email", "profile", "org.cilogon.userinfo"],
        {"idp": IDP, "eppn": "alice@uni.example", "isMemberOf": ["CO:physics"]},
        ["CO:physics"],
        id="cilogon",
    ),
    pytest.param(
        oidc("github", {"table": {"octo": "alice"}}, groups_claim="teams"),
        ("https://github.com/login/oauth/authorize", "https://github.com/login/oauth/access_token", "https://api.github.com/user"),
        ["read:org"],
        {"login": "octo", "id": 1, "email": "octo@mail.example"},
        ["uni:physics"],
        id="github",
    ),
    pytest.param(
        oidc("gitlab", {"table": {"octo": "alice"}}, groups_claim="groups"),
        ("https://gitlab.com/oauth/authorize", "https://gitlab.com/oauth/token", "https://gitlab.com/oauth/userinfo"),
        ["openid", "profile", "email"],
        {"sub": "9", "preferred_username": "octo", "groups": ["uni/physics"]},
        ["uni/physics"],
        id="gitlab",
    ),
    pytest.param(
        oidc("gitlab", issuer="https://git.uni.example/"),
        ("https://git.uni.example/oauth/authorize", "https://git.uni.example/oauth/token", "https://git.uni.example/oauth/userinfo"),
        ["openid", "profile", "email"],
        {"sub": "9", "preferred_username": "alice"},
        [],
        id="own gitlab",
    ),
    pytest.param(
        oidc(
            "egi", {"table": {"abc@egi.eu": "alice"}, "group_names": {"urn:mace:egi.eu:group:vo.example#aai": "physics"}},
            groups_claim="entitlements",
        ),
        (f"{EGI}/authorization", f"{EGI}/token", f"{EGI}/userinfo"),
        ["openid", "profile", "email", "entitlements"],
        {"sub": "abc@egi.eu", "entitlements": ["urn:mace:egi.eu:group:vo.example#aai"]},
        ["physics"],
        id="egi",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("auth", "addresses", "scopes", "userinfo", "groups"), CASES)
async def test_a_preset_knows_addresses_scopes_and_claims(
    data: DataFolder,
    auth: dict[str, Any],
    addresses: tuple[str, str, str],
    scopes: list[str],
    userinfo: dict[str, Any],
    groups: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = authenticator(configured(data, auth))
    assert (made.authorize_url, made.token_url, made.userdata_url) == addresses
    assert made.scope == scopes
    assert made.enable_pkce
    assert made.client_secret == "a secret of the tests"
    assert made.get_callback_url() == f"{HUB}/hub/oauth_callback"

    async def answer(token_info: Any) -> dict[str, Any]:
        return dict(userinfo)

    async def teams(url: str, *_: Any) -> list[Any]:
        return [{"slug": "physics", "organization": {"login": "uni"}}]

    monkeypatch.setattr(made, "token_to_user", answer)
    if auth["oidc"]["preset"] == "github":
        monkeypatch.setattr(made, "_paginated_fetch", teams)
    model = await made._token_to_auth_model({"access_token": "t", "token_type": "bearer", "scope": ""})
    assert (model["name"], model["groups"], model["admin"]) == ("alice", groups, False)
    assert await made.check_allowed("alice", model)


async def test_people_of_another_home_organisation_are_refused_at_cilogon(data: DataFolder) -> None:
    made = authenticator(configured(data, oidc("cilogon", {"strip_domain": "uni.example"}, idps=[IDP])))
    with pytest.raises(Refusal, match="organisation you chose"):
        made.user_info_to_username({"idp": "https://evil.example", "eppn": "alice@uni.example"})


async def test_an_identity_called_like_an_administrator_is_not_one(
    data: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = oidc("generic", {"table": {"root-of-all": "bob", "b": "alice"}}, issuer=KEYCLOAK)
    made = authenticator(configured(data, auth, Users(admins=["alice", "root-of-all"])))
    for identity, expected in (("root-of-all", ("bob", False)), ("b", ("alice", True))):

        async def answer(token_info: Any, name: str = identity) -> dict[str, Any]:
            return {"preferred_username": name}

        monkeypatch.setattr(made, "token_to_user", answer)
        model = await made._token_to_auth_model({"access_token": "t", "token_type": "bearer"})
        assert (model["name"], model["admin"]) == expected


def test_no_kind_but_one_time_makes_the_operator_an_administrator(data: DataFolder) -> None:
    assert configured(data, {"kind": "pam"}).Authenticator.admin_users == set()
    assert configured(data, {"kind": "one-time"}).Authenticator.admin_users == {"operator"}


@pytest.mark.parametrize(
    ("users", "accounts", "allowed"),
    [
        (Users(), {}, None),
        (Users(names=["alice"]), {}, {"alice"}),
        (Users(names=["alice"]), {"allow": ["bob"]}, {"bob"}),
        (Users(admins=["alice"]), {}, None),
    ],
)
def test_named_users_are_the_only_ones(data: DataFolder, users: Users, accounts: Any, allowed: Any) -> None:
    rules = configured(data, oidc("generic", accounts, issuer=KEYCLOAK), users).AccountsAuthenticator.rules
    assert rules.allow == allowed


def test_one_time_passwords_stay_as_they_were(data: DataFolder) -> None:
    c = configured(data, {}, Users(names=["alice", "bob"]))
    assert c.JupyterHub.authenticator_class == "simdeck_hub.authenticator.OneTimePasswordAuthenticator"
    assert c.Authenticator.allowed_users == {"alice", "bob"}
    assert c.Authenticator.allow_all is False
    assert "manage_groups" not in c.Authenticator


async def test_groups_of_the_site_file_hold_with_one_time_passwords_too(data: DataFolder) -> None:
    made = authenticator(configured(data, {}, Users(names=["alice", "bob"]), {"physics": ["alice"], "beta": ["alice"]}))

    @dataclass
    class User:
        name: str

    assert await made.refresh_user(User("alice")) == {"name": "alice", "groups": ["beta", "physics"]}
    assert await made.refresh_user(User("bob")) == {"name": "bob", "groups": []}


def test_signing_out_at_the_provider_comes_back_to_the_sign_in_page(data: DataFolder) -> None:
    made = authenticator(configured(data, oidc("generic", issuer=KEYCLOAK, logout="provider")))
    assert made.logout_redirect_url == (
        f"{KEYCLOAK}/end_session?client_id=simdeck&post_logout_redirect_uri=https%3A%2F%2Fdeck.example.org%2Fhub%2Flogin"
    )


@pytest.mark.parametrize(
    "kind", [{"kind": "pam"}, {"kind": "shared-password", "password_file": "test-password"}, CASES[0].values[0]]
)
def test_every_trait_that_is_set_exists(data: DataFolder, kind: dict[str, Any]) -> None:
    c = configured(data, kind)
    made = import_item(c.JupyterHub.authenticator_class)
    known = {
        base.__name__: set(base.class_trait_names(config=True))
        for base in made.mro()
        if hasattr(base, "class_trait_names")
    }
    known["JupyterHub"] = set(JupyterHub.class_trait_names(config=True))
    for section, values in c.items():
        assert set(values) <= known[section], section


@pytest.mark.parametrize(
    ("mode", "content", "words"),
    [
        (0o640, "hush", "can be read by others"),
        (0o604, "hush", "can be read by others"),
        (0o600, "", "does not hold one line"),
        (0o600, "two\nlines", "does not hold one line"),
        (None, "", "cannot be read: No such file"),
    ],
)
def test_a_secret_that_is_not_kept_well_is_refused(
    data: DataFolder, mode: int | None, content: str, words: str
) -> None:
    path = data.private / "other"
    if mode is not None:
        path.write_text(content, encoding="utf-8")
        path.chmod(mode)
    with pytest.raises(Problem) as caught:
        read_secret(Path("other"), data, "auth.oidc.client_secret_file")
    assert caught.value.code == "auth-secret-file"
    assert words in caught.value.detail
    assert not content or content not in str(caught.value.to_json())


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_a_secret_of_somebody_else_is_refused(data: DataFolder) -> None:
    os.chown(data.private / "oidc-secret", 12345, 12345)
    with pytest.raises(Problem, match="belongs to somebody else"):
        read_secret(Path("oidc-secret"), data, "field")
