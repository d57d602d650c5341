"""Fixtures of the sign-in tests: a real provider, a real hub, temporary Unix accounts."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from auth import auth_provider
from auth.auth_hub import Hub
from auth.auth_provider import SECRET, Provider

Start = Callable[..., tuple[Hub, Provider]]


def oidc(provider: Provider, **keys: Any) -> dict[str, Any]:
    """Return an ``[auth]`` for ``provider``; keys of ``accounts`` and of the rest can be given."""
    accounts = keys.pop("accounts", {})
    top = {name: keys.pop(name) for name in ("contact", "session_days") if name in keys}
    section = {
        "issuer": provider.issuer, "client_id": "simdeck", "client_secret_file": "oidc-secret",
        "scopes": ["openid", "profile", "email", "groups"], "groups_claim": "groups", **keys,
    }  # fmt: skip
    return {"kind": "oidc", "contact": "help@uni.example", **top, "oidc": section, "accounts": accounts}


def write_secret(hub: Hub, name: str, text: str) -> None:
    path = hub.data.private / name
    path.write_text(text + "\n", encoding="utf-8")
    path.chmod(0o600)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a provider and a hub that signs in at it: ``start(provider={…}, hub={…}, **auth)``."""
    reason = auth_provider.missing()
    if reason:
        pytest.skip(reason)
    running: list[Hub | Provider] = []

    def begin(*, provider: dict[str, Any] | None = None, hub: dict[str, Any] | None = None, **auth: Any) -> Any:
        folder = tmp_path_factory.mktemp("signin")
        started = Hub(folder)
        write_secret(started, "oidc-secret", SECRET)
        identity = Provider(folder / "provider", started.url, **(provider or {}))
        running.extend([started, identity])
        identity.start()
        started.start(oidc(identity, **auth), **(hub or {}))
        return started, identity

    yield begin
    for part in running:
        part.stop()


class Accounts:
    """Temporary Unix accounts with passwords that nothing else knows."""

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}

    def add(self, name: str, *arguments: str) -> str:
        """Make the account ``name`` and return its password."""
        assert name.startswith("sdauth")
        # What a killed run left behind.
        subprocess.run(["userdel", name], check=False, stderr=subprocess.DEVNULL)
        password = secrets.token_urlsafe(12)
        subprocess.run(["useradd", "--no-create-home", *arguments, name], check=True)
        self.passwords[name] = password
        subprocess.run(["chpasswd"], input=f"{name}:{password}\n", text=True, check=True)
        return password

    def remove_all(self) -> None:
        for name in self.passwords:
            subprocess.run(["userdel", name], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def accounts() -> Iterator[Accounts]:
    """Make accounts where this is root on a machine with the usual tools."""
    if os.geteuid() != 0 or not (shutil.which("useradd") and shutil.which("chpasswd")):
        pytest.skip("making Unix accounts needs root, useradd and chpasswd")
    made = Accounts()
    try:
        yield made
    finally:
        made.remove_all()
        left = [name for name in made.passwords if any(entry.pw_name == name for entry in pwd.getpwall())]
        assert not left, f"accounts left behind: {left}"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub that is not started yet."""
    with Hub(tmp_path) as made:
        yield made
