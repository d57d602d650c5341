"""Signing in with the one-time password that `simdeck up` prints."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from traitlets import Unicode

from simdeck_hub.passwords import PasswordStore

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 8.0
UNDELAYED_TRIES = 2


class OneTimePasswordAuthenticator(Authenticator):  # type: ignore[misc]
    """Each user has one random password per start, good for one sign-in; `simdeck password` makes the next."""

    password_folder = Unicode(help="Folder (mode 700) of the password hashes; `simdeck up` sets it.").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._failures: dict[str, int] = {}
        self._one_at_a_time = asyncio.Semaphore(2)

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        """Return the user's name when the password is theirs and unused; each further wrong try waits longer."""
        name = data.get("username", "")
        # All names that are nobody's share one count: a list of guesses is slowed down too.
        name_for_delay = name if name in self.allowed_users else ""
        delay = failure_delay(self._failures.get(name_for_delay, 0))
        if delay:
            await asyncio.sleep(delay)
        store = PasswordStore(Path(self.password_folder))
        async with self._one_at_a_time:
            right = await asyncio.to_thread(store.use, name, data.get("password", ""))
        if right and name in self.allowed_users:
            self._failures.pop(name_for_delay, None)
            return name
        self._failures[name_for_delay] = self._failures.get(name_for_delay, 0) + 1
        return None


def failure_delay(failures: int) -> float:
    """Return the seconds a try waits after ``failures`` wrong ones: none at first, then doubling up to a bound."""
    if failures < UNDELAYED_TRIES:
        return 0.0
    doublings = min(failures - UNDELAYED_TRIES, 10)
    return min(FIRST_DELAY_SECONDS * 2.0**doublings, LONGEST_DELAY_SECONDS)
