"""Signing in with the one-time password that `simdeck up` prints."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from traitlets import Dict, List, Unicode

from simdeck_hub.auth_delays import LONGEST_DELAY_SECONDS, FailureDelays, failure_delay
from simdeck_hub.passwords import PasswordStore

__all__ = ["LONGEST_DELAY_SECONDS", "OneTimePasswordAuthenticator", "failure_delay"]


class OneTimePasswordAuthenticator(Authenticator):  # type: ignore[misc]
    """Each user has one random password per start, good for one sign-in; `simdeck password` makes the next."""

    password_folder = Unicode(help="Folder (mode 700) of the password hashes; `simdeck up` sets it.").tag(config=True)
    listed_groups = Dict(List(Unicode()), help="Groups of each user; used where the hub's groups are managed.").tag(
        config=True
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._delays = FailureDelays()
        self._one_at_a_time = asyncio.Semaphore(2)

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """Return the user when the password is theirs and unused; each further wrong try waits longer."""
        name = data.get("username", "")
        # All names that are nobody's share one count: a list of guesses is slowed down too.
        name_for_delay = name if name in self.allowed_users else ""
        await self._delays.wait(name_for_delay)
        store = PasswordStore(Path(self.password_folder))
        async with self._one_at_a_time:
            right = await asyncio.to_thread(store.use, name, data.get("password", ""))
        right = right and name in self.allowed_users
        self._delays.count(name_for_delay, right)
        return self._model(name) if right else None

    async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> bool | dict[str, Any]:
        """Bring the user's groups up to what the site file says now."""
        return self._model(user.name) if self.manage_groups else True

    def _model(self, name: str) -> dict[str, Any]:
        model: dict[str, Any] = {"name": name}
        if self.manage_groups:
            model["groups"] = sorted(self.listed_groups.get(name, []))
        return model
