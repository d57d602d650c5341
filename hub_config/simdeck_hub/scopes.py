"""Who may do what: Simdeck's custom scopes and the hub roles that carry them.

The scopes are the ones the API declares per route (see ``docs/contracts.md``). A scope a user holds is always filtered
to that user (``!user``): there is no way to name somebody else's runs.
"""

from __future__ import annotations

import re
from typing import Any

from simdeck_common.problems import Problem

PREFIX = "custom:simdeck:"
DECK = "deck"
OPERATOR = "simdeck-up"
ACCESS_DECK = f"access:services!service={DECK}"

DEFINITIONS: dict[str, dict[str, Any]] = {
    f"{PREFIX}runs": {
        "description": "Submit, change and end runs of workflows, and read them",
        "subscopes": [f"{PREFIX}runs:read", f"{PREFIX}runs:workflow"],
    },
    f"{PREFIX}runs:read": {"description": "Read runs, their events, files and results"},
    f"{PREFIX}runs:workflow": {
        "description": "Submit runs of the one workflow named after the user's name, read and cancel them"
    },
    f"{PREFIX}apps:install": {
        "description": "Install, update, roll back and remove apps, and see what is installed",
        "subscopes": [f"{PREFIX}apps:read"],
    },
    f"{PREFIX}apps:read": {"description": "See the store and the installed apps"},
    f"{PREFIX}apps:publish": {
        "description": "Publish apps into registries of the site that the user's groups may fill"
    },
    f"{PREFIX}server": {"description": "See, start and stop the own Jupyter server from the deck"},
    f"{PREFIX}admin": {"description": "Look after the whole site from the deck"},
}

OWN = [f"{PREFIX}{name}!user" for name in ("runs", "apps:install", "apps:publish", "server")]
"""What each user may do with their own things."""

SERVER_TOKEN = [
    "users:activity!user",
    "access:servers!server",
    ACCESS_DECK,
    f"{PREFIX}runs!user",
    f"{PREFIX}apps:read!user",
]
"""What the token in a user's Jupyter server may do: report activity, and what an app needs."""

IN_SERVER = [ACCESS_DECK, f"{PREFIX}runs!user", f"{PREFIX}apps:read!user"]
"""What a person's session in their server's pages carries."""

OWN_SERVER = ["servers!user", "read:users:name!user"]
"""What starting, stopping and looking at the own Jupyter server takes at the hub."""

DECK_ON_BEHALF = [ACCESS_DECK, *OWN, f"{PREFIX}admin", *OWN_SERVER]
"""What the deck may do with a signed-in person's session; never more than the person may."""


LOOK_AFTER = [
    "admin-ui", "list:users", "read:users", "servers", "list:groups", "read:groups", "list:services", "read:services",
    "read:hub", "read:metrics",
]  # fmt: skip
"""What looking after a site takes at the hub: see who is there, stop servers. Not what would make one somebody else:
entering their servers, making their tokens. JupyterHub's own administrators could do both."""


def roles(admins: list[str], *, on_site: bool = False) -> list[dict[str, Any]]:
    """Return JupyterHub's ``load_roles``; ``admins`` are the hub users that look after the site.

    ``on_site`` each user is a Unix account of their own, and those who look after the site cannot become another.
    """
    listed: list[dict[str, Any]] = [
        {
            "name": "user",
            "description": "A scientist: their own runs, apps and server",
            "scopes": ["self", ACCESS_DECK, *OWN],
        },
        {"name": "server", "description": "A Jupyter server: activity, and what its apps need", "scopes": SERVER_TOKEN},
        {
            "name": "simdeck-operator",
            "description": "`simdeck up` and the simdeck command on the hub's machine: tokens, routes, health",
            "scopes": ["tokens", "proxy"],
            "services": [OPERATOR],
        },
    ]
    if admins:
        listed.append(
            {
                "name": "simdeck-admin",
                "description": "Look after the whole site from the deck",
                "scopes": [f"{PREFIX}admin", *(LOOK_AFTER if on_site else [])],
                "users": admins,
            }
        )
    return listed


def for_workflow(user: str, workflow: str) -> list[str]:
    """Return the hub's scopes of a token of ``user`` that can only run ``workflow``.

    Raises
    ------
    Problem
        ``unknown-scope``: no workflow can be called so.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,199}", workflow):
        raise Problem("unknown-scope", scope=workflow, known="the names of workflows: simdeck workflows")
    # The filter is the hub's one for servers: see simdeck_deck.scopes.ONE_WORKFLOW.
    return [f"{PREFIX}runs:workflow!server={user}/{workflow}", ACCESS_DECK]


SHORT_NAMES = [name.removeprefix(PREFIX) for name in DEFINITIONS]


def for_token(name: str) -> list[str]:
    """Return the hub's scopes for a name given short (``runs:read``) or in full, filtered to the token's owner.

    Raises
    ------
    Problem
        ``unknown-scope``: a short name that is none of ours.
    """
    short = name.removeprefix(PREFIX)
    if short == "admin":
        return [f"{PREFIX}admin"]
    if short == "server":
        # The deck asks the hub with the caller's own token, so that must reach the server there too.
        return [f"{PREFIX}server!user", *OWN_SERVER]
    if short in SHORT_NAMES:
        return [f"{PREFIX}{short}!user"]
    if name.startswith(("access:", "read:", "servers", "users", "self", "inherit", PREFIX)):
        return [name]
    raise Problem("unknown-scope", scope=name, known=", ".join(SHORT_NAMES))


CLI_TOKEN = [*OWN, ACCESS_DECK, *OWN_SERVER]
"""What the simdeck command's token may do."""


def covers(granted: list[str], wanted: list[str], user: str) -> bool:
    """Return whether a token of ``user`` with the expanded scopes ``granted`` still holds all that is ``wanted``."""
    return {scope.replace("!user", f"!user={user}") for scope in wanted} <= set(granted)
