"""Which hub scopes open which route: pure functions over a token's expanded scopes.

Routes declare a short scope (``runs:read``); tokens carry hub scopes (``custom:simdeck:runs:read!user=alice``).
"""

from __future__ import annotations

from collections.abc import Iterable

PREFIX = "custom:simdeck:"

# Declared by routes that need no further scope: ``open`` needs nobody, ``signed-in`` any caller that may use the
# service.
OPEN = "open"
SIGNED_IN = "signed-in"

# The scopes that a declared scope is satisfied by, beside itself.
_INCLUDED_IN: dict[str, frozenset[str]] = {
    "runs:read": frozenset({"runs"}),
    "apps:read": frozenset({"apps:install"}),
}
DECLARABLE = frozenset(
    {OPEN, SIGNED_IN, "runs", "runs:read", "apps:install", "apps:read", "apps:publish", "server", "admin"}
)


ONE_WORKFLOW = PREFIX + "runs:workflow"
"""Held with the filter ``!server=<user>/<workflow>``: runs of that workflow, and nothing else.

The hub knows four kinds of filters and none for workflows. This one takes any name after a user's, and the hub grants
it to whoever holds the scope for that user: so such a token is the hub's own, and shown and revoked there."""


def workflows(scopes: Iterable[str], user: str) -> frozenset[str]:
    """Return the workflows that a token of ``user`` is for, where it does not open all of them."""
    head = f"server={user}/"
    filters = (scope.partition("!") for scope in scopes)
    return frozenset(
        chosen.removeprefix(head)
        for base, _, chosen in filters
        if base == ONE_WORKFLOW and chosen.startswith(head) and chosen != head and "," not in chosen
    )


def satisfies(scopes: Iterable[str], declared: str, user: str, groups: Iterable[str] = ()) -> bool:
    """Say whether a token of ``user`` with expanded ``scopes`` may use a route that declares ``declared``.

    A filter must name the user: ``!user``, ``!user=<name>`` or ``!group=<one of groups>``. Filters of other kinds (a
    server, a service) do not open the user's own data.
    """
    if declared in (OPEN, SIGNED_IN):
        return True
    wanted = {PREFIX + name for name in {declared} | _INCLUDED_IN.get(declared, frozenset())}
    filters = {"", "user", f"user={user}"} | {f"group={group}" for group in groups}
    return any(base in wanted and chosen in filters for base, _, chosen in (scope.partition("!") for scope in scopes))
