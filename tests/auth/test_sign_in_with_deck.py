"""The provider's sign-in in the whole product: `simdeck up` with a site file, and the deck behind it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from auth import auth_provider
from auth.auth_hub import Browser
from auth.auth_provider import SECRET, Provider
from stack import SIMDECK, Stack, missing, wait_for

pytestmark = pytest.mark.stack
SITE = """
[auth]
kind = "oidc"

[auth.oidc]
issuer = "{issuer}"
client_id = "simdeck"
client_secret_file = "oidc-secret"
scopes = ["openid", "profile", "email", "groups"]
groups_claim = "groups"

[groups]
beta = ["alice"]
"""


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Simdeck with a provider, started; it prints no password to wait for."""
    reason = missing() or auth_provider.missing()
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("deck")
    stack = Stack(folder)
    stack.home.mkdir(parents=True)
    stack.data.make()
    secret = stack.data.private / "oidc-secret"
    secret.write_text(SECRET, encoding="utf-8")
    secret.chmod(0o600)
    with Provider(folder / "provider", stack.url) as provider:
        users = '[users]\nnames = ["alice", "bob"]\nadmins = ["alice"]\n'
        stack.data.site_file.write_text(users + SITE.format(issuer=provider.issuer), encoding="utf-8")
        log = os.open(stack.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        stack.process = subprocess.Popen(
            [str(SIMDECK), "up"], env=stack.environment, cwd=stack.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        os.close(log)

        def ready() -> bool:
            assert stack.process is not None
            text = stack.output.read_text(encoding="utf-8")
            assert stack.process.poll() is None, f"{text}\n{stack.logs()}"
            return "is ready" in text

        with stack:
            wait_for("Simdeck", ready, 400.0)
            yield stack


def test_who_signs_in_at_the_provider_is_known_to_the_deck_with_groups(running: Stack) -> None:
    assert "one-time password" not in running.output.read_text(encoding="utf-8")
    browser = Browser(running)
    assert browser.get("/services/deck/").url.path == "/hub/login"
    page = browser.sign_in_as("alice", "/hub/oauth_login?next=%2Fservices%2Fdeck%2F")
    assert page.url.path == "/services/deck/"
    me = browser.get("/services/deck/api/v1/me").json()
    assert (me["name"], me["admin"], sorted(me["groups"])) == ("alice", True, ["beta", "physics", "staff"])
    browser.get("/hub/logout")
    assert browser.get("/services/deck/").url.path == "/hub/login"
    refused = Browser(running).sign_in_as("nobody")
    assert refused.status_code == 403
    assert "The account nobody may not sign in here" in refused.text
