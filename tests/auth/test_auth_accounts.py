"""From identity and claims to account and groups, and each refusal."""

from __future__ import annotations

import os
import pwd
from typing import Any

import pytest
from simdeck_common.problems import Problem
from simdeck_hub.accounts import AccountRules, Person, UnixAccount, check_account, person_of, unix_account

UNIX = {
    "alice": UnixAccount("alice", 1001, frozenset({"alice", "simdeck-users"})),
    "bob": UnixAccount("bob", 1002, frozenset({"bob"})),
    "daemon": UnixAccount("daemon", 1, frozenset()),
    "nobody": UnixAccount("nobody", 65534, frozenset()),
    "simdeck": UnixAccount("simdeck", 1500, frozenset()),
    "toor": UnixAccount("toor", 0, frozenset()),
}
VERIFIED = {"sub": "42", "preferred_username": "alice", "email": "Alice@Uni.Example", "email_verified": True}


def rules(**keys: Any) -> AccountRules:
    return AccountRules(
        **{"identity_claim": "preferred_username", "forbidden_uids": frozenset({0, 65534, 1500}), **keys}
    )


@pytest.mark.parametrize(
    ("claims", "keys", "account"),
    [
        (VERIFIED, {}, "alice"),
        ({"login": 4711}, {"identity_claim": "login", "table": {"4711": "bob"}}, "bob"),
        (VERIFIED, {"identity_claim": "sub", "table": {"42": "alice"}}, "alice"),
        (VERIFIED, {"identity_claim": "sub", "account_claim": "preferred_username"}, "alice"),
        (VERIFIED, {"identity_claim": "sub", "table": {"42": "bob"}, "account_claim": "preferred_username"}, "bob"),
        (VERIFIED, {"identity_claim": "email", "strip_domain": "uni.example"}, "alice"),
        (VERIFIED, {"identity_claim": "email", "table": {"alice@uni.example": "bob"}}, "bob"),
        (VERIFIED, {"account_claim": "email", "strip_domain": "uni.example"}, "alice"),
        ({"u": {"posix": {"name": "bob"}}}, {"identity_claim": "u.posix.name"}, "bob"),
        ({"https://site/u.name": "bob"}, {"identity_claim": "https://site/u.name"}, "bob"),
        ({"email": "alice@uni.example"}, {"identity_claim": "email", "strip_domain": "uni.example", "trust_email": True}, "alice"),
    ],
)  # fmt: skip
def test_an_identity_leads_to_its_account(claims: dict[str, Any], keys: dict[str, Any], account: str) -> None:
    found = person_of(claims, rules(**keys), UNIX.get)
    assert (found.user, found.account) == (account, account)


@pytest.mark.parametrize(
    ("claims", "keys", "code", "words"),
    [
        ({}, {}, "claim-missing", "no preferred_username"),
        ({"preferred_username": "  "}, {}, "claim-missing", "no preferred_username"),
        ({"preferred_username": ["alice"]}, {}, "claim-missing", "no preferred_username"),
        ({"preferred_username": True}, {}, "claim-missing", "no preferred_username"),
        (VERIFIED, {"account_claim": "posix"}, "claim-missing", "no posix"),
        ({"preferred_username": "ghost"}, {}, "account-missing", "no account for ghost"),
        ({"preferred_username": "Alice"}, {}, "account-missing", "no account for Alice"),
        ({"preferred_username": "../alice"}, {}, "account-missing", "no account for ../alice"),
        ({"preferred_username": "alice\n"}, {"identity_claim": "preferred_username", "table": {"x": "bob"}}, "account-missing", "alice"),
        ({"preferred_username": "a" * 300}, {}, "account-missing", "aaa..."),
        (VERIFIED, {"table": {"bob": "bob"}}, "account-missing", "no account for alice"),
        (VERIFIED, {"identity_claim": "email", "strip_domain": "other.example"}, "account-missing", "Alice@Uni.Example"),
        (VERIFIED, {"strip_domain": "uni.example"}, "account-missing", "no account for alice"),
        (VERIFIED | {"email_verified": False}, {"identity_claim": "email", "strip_domain": "uni.example", "trust_email": True}, "email-unverified", "Alice@Uni.Example"),
        ({"email": "alice@uni.example"}, {"identity_claim": "email", "table": {"alice@uni.example": "alice"}}, "email-unverified", "alice@uni.example"),
        (VERIFIED | {"email_verified": "yes"}, {"account_claim": "email", "strip_domain": "uni.example"}, "email-unverified", "Uni"),
        ({"preferred_username": "root"}, {}, "account-missing", "root"),
        ({"preferred_username": "toor"}, {}, "account-system", "toor belongs to the system"),
        ({"preferred_username": "daemon"}, {}, "account-system", "daemon belongs"),
        ({"preferred_username": "nobody"}, {}, "account-system", "nobody belongs"),
        ({"preferred_username": "simdeck"}, {}, "account-system", "simdeck belongs"),
        (VERIFIED, {"deny": frozenset({"alice"})}, "account-denied", "alice may not sign in"),
        (VERIFIED, {"allow": frozenset({"bob"})}, "account-denied", "alice may not sign in"),
        (VERIFIED, {"allow": frozenset()}, "account-denied", "alice may not sign in"),
        ({"preferred_username": "bob"}, {"needed_unix_group": "simdeck-users"}, "account-outside", "simdeck-users"),
        (VERIFIED, {"allow_groups": frozenset({"physics"})}, "group-not-allowed", "physics"),
        (VERIFIED | {"groups": ["chemistry"]}, {"groups_claim": "groups", "allow_groups": frozenset({"physics"})}, "group-not-allowed", "not a member of physics"),
    ],
)  # fmt: skip
def test_a_refusal_says_why_and_whom_to_ask(
    claims: dict[str, Any], keys: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(Problem) as caught:
        person_of(claims, rules(contact="the help desk", **keys), UNIX.get)
    assert caught.value.code == code
    assert words in caught.value.detail
    assert "the help desk" in caught.value.remedy
    assert caught.value.detail.isprintable()


def test_root_is_refused_also_where_hub_users_are_names_only() -> None:
    with pytest.raises(Problem, match="root belongs to the system"):
        person_of({"preferred_username": "root"}, rules(), None)


def test_without_unix_accounts_a_name_is_enough() -> None:
    assert person_of({"preferred_username": "ghost"}, rules(), None) == Person("ghost", "ghost", ())


@pytest.mark.parametrize(
    ("claimed", "keys", "groups"),
    [
        (["physics", "staff"], {}, ("physics", "staff")),
        ("physics", {}, ("physics",)),
        (["/physics/theory"], {}, ("physics/theory",)),
        (["physics", 7, None, "", "x" * 300], {}, ("physics",)),
        ({"physics": True}, {}, ()),
        (None, {}, ()),
        (["urn:x:vo#aai"], {"group_names": {"urn:x:vo#aai": "physics"}}, ("physics",)),
        ([], {"listed_groups": {"alice": ("beta",), "bob": ("other",)}}, ("beta",)),
        (["physics"], {"unix_groups": True}, ("alice", "physics", "simdeck-users")),
    ],
)
def test_groups_come_from_claim_site_file_and_unix(claimed: Any, keys: dict[str, Any], groups: tuple[str, ...]) -> None:
    found = person_of(VERIFIED | {"groups": claimed}, rules(groups_claim="groups", **keys), UNIX.get)
    assert found.groups == groups


def test_the_directorys_spelling_of_an_account_counts() -> None:
    spelt = {"alice": UnixAccount("alice.smith", 1001, frozenset()), "bob": UnixAccount("UNI\\bob", 1002, frozenset())}
    assert person_of(VERIFIED, rules(), spelt.get).account == "alice.smith"
    with pytest.raises(Problem, match="no account for bob"):
        person_of({"preferred_username": "bob"}, rules(), spelt.get)


def test_groups_can_lie_deep_in_a_claim() -> None:
    claims = VERIFIED | {"realm_access": {"roles": ["physics"]}}
    assert person_of(claims, rules(groups_claim="realm_access.roles"), UNIX.get).groups == ("physics",)


def test_a_member_of_one_allowed_group_may_sign_in() -> None:
    allowed = rules(groups_claim="groups", allow_groups=frozenset({"physics", "chemistry"}))
    assert person_of(VERIFIED | {"groups": ["chemistry"]}, allowed, UNIX.get).account == "alice"


def test_a_session_is_checked_by_name_alone_so_that_a_directory_that_is_away_ends_none() -> None:
    assert check_account("alice", None, rules(needed_unix_group="simdeck-users")) == "alice"
    with pytest.raises(Problem, match="may not sign in"):
        check_account("alice", None, rules(deny=frozenset({"alice"})))


def test_the_machine_is_asked_for_accounts_and_their_groups() -> None:
    own = pwd.getpwuid(os.getuid())
    found = unix_account(own.pw_name)
    assert found is not None
    assert (found.name, found.uid) == (own.pw_name, os.getuid())
    assert unix_account("nosuch-account") is None
