"""Signing in with a password of this machine (PAM), and the shared password of tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyterhub.auth import PAMAuthenticator
from jupyterhub.authenticators.shared import SharedPasswordAuthenticator as SharedPassword

from simdeck_hub.auth_base import AccountsAuthenticator
from simdeck_hub.auth_delays import FailureDelays

LONGEST_NAME = 256


class PasswordForm(AccountsAuthenticator):
    """A form with name and password: wrong tries wait, right ones lead to the account."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._delays = FailureDelays()

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """Return the account's user when name and password are right.

        Raises
        ------
        Refusal
            They are, but the account may not sign in.
        """
        name, password = data.get("username", ""), data.get("password", "")
        await self._delays.wait(name)
        usable = 0 < len(name) <= LONGEST_NAME and name.isprintable() and "\0" not in password
        right = usable and await super().authenticate(handler, {**data, "username": name, "password": password})
        self._delays.count(name[:LONGEST_NAME], bool(right))
        # Only who proved to be somebody learns what that account may do.
        return self.model(await self.person({"login": name})) if right else None


class PamAuthenticator(PasswordForm, PAMAuthenticator):  # type: ignore[misc]
    """The accounts of this machine, checked by PAM."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if os.geteuid() != 0 and not os.access(Path("/etc/shadow"), os.R_OK):
            self.log.warning(
                "Passwords in /etc/shadow cannot be checked by the user the hub runs as; only accounts of a directory "
                "(SSSD, LDAP) can sign in. Add that user to the group shadow if local accounts are to sign in too."
            )


class SharedPasswordAuthenticator(PasswordForm, SharedPassword):  # type: ignore[misc]
    """One password for every account, for tests."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.log.warning("One shared password opens every account of this hub. Use it for tests alone.")

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """Return the named user when the shared password is right."""
        # The comparison takes ASCII alone.
        return await super().authenticate(handler, data) if data.get("password", "").isascii() else None
