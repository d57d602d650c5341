"""Identities of a real provider that must be Unix accounts of this machine."""

from __future__ import annotations

import pytest
from auth.auth_hub import Browser, refusal
from auth.conftest import Accounts, Start

pytestmark = pytest.mark.stack


def test_an_identity_becomes_its_account_by_the_table_and_no_other_gets_in(start: Start, accounts: Accounts) -> None:
    accounts.add("sdauthcarol")
    hub, _ = start(
        hub={"unix_accounts": True},
        username_claim="email",
        accounts={"table": {"ALICE@uni.example": "sdauthcarol", "nobody@uni.example": "nobody", "root@uni.example": "sdauthgone"}, "unix_groups": True},
    )  # fmt: skip
    browser = Browser(hub)
    browser.sign_in_as("alice")
    assert browser.signed_in() == "sdauthcarol"
    assert sorted(hub.user("sdauthcarol")["groups"]) == ["physics", "sdauthcarol", "staff"]
    for person, words in (
        ("nobody", "The account nobody belongs to the system"),
        ("superuser", "There is no account for root@uni.example on this cluster. Ask help@uni.example"),
        ("nameless", "There is no account for nameless@uni.example on this cluster"),
        ("bob", "has not verified the e-mail address bob@uni.example"),
    ):
        other = Browser(hub)
        page = other.sign_in_as(person)
        assert page.status_code == 403, person
        assert words in refusal(page)
        assert other.signed_in() is None
