"""The provider's addresses: as it states them, remembered, and refused where they cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from simdeck_common.problems import Problem
from simdeck_hub import auth_discovery
from simdeck_hub.auth_discovery import discover

ISSUER = "https://login.example.org/realms/site"
DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
    "end_session_endpoint": f"{ISSUER}/logout",
    "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
}


def away(address: str) -> Any:
    raise OSError("Connection refused")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_discovery.time, "sleep", lambda seconds: None)


@pytest.mark.parametrize("issuer", [ISSUER, f"{ISSUER}/"])
def test_the_addresses_are_those_the_provider_states(tmp_path: Path, issuer: str) -> None:
    asked: list[str] = []

    def fetch(address: str) -> Any:
        asked.append(address)
        return DOCUMENT

    found = discover(issuer, tmp_path / "kept.json", fetch=fetch)
    assert asked == [f"{ISSUER}/.well-known/openid-configuration"]
    assert (found.authorize, found.token, found.userinfo) == (f"{ISSUER}/auth", f"{ISSUER}/token", f"{ISSUER}/userinfo")
    assert found.end_session == f"{ISSUER}/logout"
    assert not found.basic_auth


@pytest.mark.parametrize(
    ("methods", "basic"), [(None, True), (["client_secret_basic"], True), (["client_secret_post"], False)]
)
def test_the_secret_goes_where_the_provider_takes_it(tmp_path: Path, methods: list[str] | None, basic: bool) -> None:
    document = DOCUMENT | {"token_endpoint_auth_methods_supported": methods}
    assert discover(ISSUER, tmp_path / "kept.json", fetch=lambda _: document).basic_auth is basic


def test_a_provider_that_is_away_is_remembered_from_last_time(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    first = discover(ISSUER, kept, fetch=lambda _: DOCUMENT)
    assert discover(ISSUER, kept, fetch=away) == first


def test_what_is_remembered_of_another_provider_does_not_count(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(DOCUMENT | {"issuer": "https://other.example.org"}), encoding="utf-8")
    with pytest.raises(Problem, match="does not answer"):
        discover(ISSUER, kept, fetch=away)


def test_a_provider_that_never_answered_is_named_with_its_address_and_the_reason(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        discover(ISSUER, tmp_path / "kept.json", fetch=away)
    assert caught.value.code == "auth-provider"
    assert f"{ISSUER}/.well-known/openid-configuration" in caught.value.detail
    assert "Connection refused" in caught.value.detail


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("<html>", "no OpenID configuration"),
        (DOCUMENT | {"issuer": "https://evil.example.org"}, "calls itself 'https://evil.example.org'"),
        (DOCUMENT | {"token_endpoint": "http://login.example.org/token"}, "token_endpoint is not an https address"),
        (DOCUMENT | {"end_session_endpoint": "javascript:alert(1)"}, "end_session_endpoint is not an https"),
        ({key: value for key, value in DOCUMENT.items() if key != "userinfo_endpoint"}, "has no userinfo_endpoint"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused_and_not_remembered(
    tmp_path: Path, document: Any, words: str
) -> None:
    with pytest.raises(Problem) as caught:
        discover(ISSUER, tmp_path / "kept.json", fetch=lambda _: document)
    assert words in caught.value.detail
    assert not (tmp_path / "kept.json").exists()
