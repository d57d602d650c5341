"""Which scopes open which routes."""

from __future__ import annotations

import pytest
from simdeck_deck.scopes import satisfies

P = "custom:simdeck:"


@pytest.mark.parametrize(
    ("held", "declared"),
    [
        (P + "runs", "runs"),
        (P + "runs!user=alice", "runs"),
        (P + "runs!user", "runs"),
        (P + "runs!group=lab", "runs"),
        (P + "runs", "runs:read"),
        (P + "runs:read", "runs:read"),
        (P + "apps:install!user=alice", "apps:read"),
        ("read:users", "signed-in"),
    ],
)
def test_a_scope_that_covers_the_user_opens_the_route(held, declared):
    assert satisfies([held], declared, "alice", ["lab"])


@pytest.mark.parametrize(
    ("held", "declared"),
    [
        (P + "runs:read", "runs"),
        (P + "runs!user=bob", "runs"),
        (P + "runs!user=alice2", "runs"),
        (P + "runs!group=others", "runs"),
        (P + "runs!server=alice/", "runs"),
        (P + "runs!service=deck", "runs"),
        (P + "apps:read", "apps:install"),
        (P + "admin", "runs"),
        ("runs", "runs"),
        (P + "apps:install", "runs:read"),
    ],
)
def test_a_scope_of_others_or_for_less_does_not(held, declared):
    assert not satisfies([held], declared, "alice", ["lab"])
