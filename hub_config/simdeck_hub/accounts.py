"""Who a person is here: from an identity and its claims to hub user, Unix account and groups, or a refusal.

The hub user always has the account's name, so that no table stands between what somebody may do at the hub and which
Unix user does it. Everything here is pure but :func:`unix_account`, which asks the system.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simdeck_common.problems import Problem

ACCOUNT = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
LONGEST_GROUP = 255
"""What the hub's database holds."""


@dataclass(frozen=True)
class UnixAccount:
    """An account of this machine."""

    name: str
    uid: int
    groups: frozenset[str]


@dataclass(frozen=True)
class Person:
    """Who signed in."""

    user: str
    """The hub user."""
    account: str
    """The Unix account; the same name."""
    groups: tuple[str, ...]


@dataclass(frozen=True)
class AccountRules:
    """What the site file says about identities and accounts (see ``[auth.accounts]``)."""

    identity_claim: str = "login"
    account_claim: str | None = None
    groups_claim: str | None = None
    strip_domain: str | None = None
    table: Mapping[str, str] = field(default_factory=dict)
    allow: frozenset[str] | None = None
    deny: frozenset[str] = frozenset()
    allow_groups: frozenset[str] = frozenset()
    listed_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Groups of each account by the site file."""
    group_names: Mapping[str, str] = field(default_factory=dict)
    unix_groups: bool = False
    needed_unix_group: str | None = None
    trust_email: bool = False
    lowest_uid: int = 1000
    forbidden_uids: frozenset[int] = frozenset({0, 65534})
    contact: str = "the site's administrator"


Lookup = Callable[[str], UnixAccount | None]


def person_of(claims: Mapping[str, Any], rules: AccountRules, lookup: Lookup | None) -> Person:
    """Return who the person with these claims is here.

    Parameters
    ----------
    claims
        What the provider says of the person (userinfo), or ``{"login": name}``.
    lookup
        Finds Unix accounts; may block. ``None``: hub users are names only, and no account is asked for.

    Raises
    ------
    Problem
        ``claim-missing``, ``email-unverified``, ``account-missing``, ``account-system``, ``account-denied``,
        ``account-outside`` or ``group-not-allowed``.
    """
    identity = claim_text(claims, rules.identity_claim, rules)
    name = account_name(identity, claims, rules)
    unix = lookup(name) if lookup else None
    # A directory may know the account by another spelling; one the hub could not spell is none.
    if lookup and (unix is None or not ACCOUNT.fullmatch(unix.name)):
        raise Problem("account-missing", identity=shown(identity), contact=rules.contact)
    found = check_account(unix.name if unix else name, unix, rules)
    groups = groups_of(found, unix, claims, rules)
    if rules.allow_groups and not rules.allow_groups.intersection(groups):
        raise Problem(
            "group-not-allowed",
            account=found,
            groups=" or ".join(sorted(rules.allow_groups)),
            contact=rules.contact,
        )
    return Person(user=found, account=found, groups=groups)


def check_account(name: str, unix: UnixAccount | None, rules: AccountRules) -> str:
    """Return ``name`` when somebody may work as this account; asked again while a session lasts.

    Raises
    ------
    Problem
        ``account-system``, ``account-denied`` or ``account-outside``.
    """
    uid = unix.uid if unix else None
    if name == "root" or (uid is not None and (uid < rules.lowest_uid or uid in rules.forbidden_uids)):
        raise Problem("account-system", account=name, contact=rules.contact)
    if name in rules.deny or (rules.allow is not None and name not in rules.allow):
        raise Problem("account-denied", account=name, contact=rules.contact)
    if unix and rules.needed_unix_group and rules.needed_unix_group not in unix.groups:
        raise Problem("account-outside", account=name, group=rules.needed_unix_group, contact=rules.contact)
    return name


def account_name(identity: str, claims: Mapping[str, Any], rules: AccountRules) -> str:
    """Return the name of the person's account, whether or not there is one."""
    if rules.identity_claim == "email":
        check_email(claims, identity, rules)
    listed = in_table(identity, rules.table)
    if listed is not None:
        return listed
    missing = Problem("account-missing", identity=shown(identity), contact=rules.contact)
    if rules.table and rules.account_claim is None and rules.strip_domain is None:
        raise missing
    value = claim_text(claims, rules.account_claim, rules) if rules.account_claim else identity
    if rules.account_claim == "email":
        check_email(claims, value, rules)
    if rules.strip_domain:
        local, _, domain = value.rpartition("@")
        if domain.lower() != rules.strip_domain:
            raise missing
        value = local.lower()
    if not ACCOUNT.fullmatch(value):
        raise missing
    return value


def in_table(identity: str, table: Mapping[str, str]) -> str | None:
    """Return the account the table names; letters' case does not matter in an address with ``@``."""
    if identity in table:
        return table[identity]
    if "@" not in identity:
        return None
    return {key.lower(): account for key, account in table.items() if "@" in key}.get(identity.lower())


def check_email(claims: Mapping[str, Any], email: str, rules: AccountRules) -> None:
    """Refuse an address that its provider has not verified: anybody could have typed it."""
    verified = claims.get("email_verified")
    if verified is True or verified == "true" or (verified is None and rules.trust_email):
        return
    raise Problem("email-unverified", email=shown(email), contact=rules.contact)


def groups_of(
    account: str, unix: UnixAccount | None, claims: Mapping[str, Any], rules: AccountRules
) -> tuple[str, ...]:
    """Return the person's groups in order: by claim, by the site file, and by Unix where that is wanted."""
    named: set[str] = set(rules.listed_groups.get(account, ()))
    if rules.groups_claim:
        for group in claimed_groups(claim(claims, rules.groups_claim)):
            named.add(rules.group_names.get(group, group.lstrip("/")))
    if unix and rules.unix_groups:
        named |= unix.groups
    return tuple(sorted(name for name in named if name and len(name) <= LONGEST_GROUP))


def claimed_groups(value: Any) -> Iterable[str]:
    """Return the groups a claim lists: a list of texts, or one text."""
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name, or by a path of names with dots between; ``None`` where there is none."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def claim_text(claims: Mapping[str, Any], name: str, rules: AccountRules) -> str:
    """Return a claim that is one text or number.

    Raises
    ------
    Problem
        ``claim-missing``.
    """
    value = claim(claims, name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise Problem("claim-missing", claim=name, contact=rules.contact)
    return value.strip()


def shown(text: str) -> str:
    """Return somebody else's text as it may stand in a page and a log: one line, not endless."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text)
    return line if len(line) <= 80 else f"{line[:77]}..."


def unix_account(name: str) -> UnixAccount | None:
    """Return the machine's account called ``name``. Blocking: a directory service may be behind it."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    groups = set()
    for gid in os.getgrouplist(entry.pw_name, entry.pw_gid):
        try:
            groups.add(grp.getgrgid(gid).gr_name)
        except KeyError:
            continue
    return UnixAccount(entry.pw_name, entry.pw_uid, frozenset(groups))
