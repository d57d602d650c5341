"""A token for one workflow before the real hub: the hub makes it, shows it, and lets it do no more."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from stack import Stack, missing

pytestmark = [pytest.mark.stack, pytest.mark.skipif(missing() is not None, reason=missing() or "")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("waas")) as running:
        yield running


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    return stack.run("workflow", "token", "molecule.optimize", "--days", "1").stdout.strip()


def test_the_hub_makes_it_with_that_scope_alone(stack: Stack, token: str) -> None:
    user = stack.users[0]
    with stack.client(token=token) as client:
        assert client.get("/me").json()["scopes"] == [f"runs:workflow!server={user}/molecule.optimize"]


def test_it_opens_its_workflow_and_nothing_else(stack: Stack, token: str) -> None:
    waas = stack.api.replace("/api/v1", "/api/hpcwaas")
    with stack.client(token=token) as client:
        assert client.get(f"{waas}/workflows").json() == {"workflows": []}
        assert client.get("/runs").json()["items"] == []
        # The app is not installed, so its own workflow is not there; another is refused in the same words.
        for name in ("molecule.optimize", "other.workflow"):
            refused = client.post(f"{waas}/workflows/{name}", json={"inputs": {}})
            assert refused.status_code == 404
        for path in ("/apps", "/server", "/sweeps", "/ssh_keys"):
            assert client.get(path).status_code == 403, path


def test_it_cannot_make_a_stronger_one(stack: Stack, token: str) -> None:
    hub = f"{stack.url}/hub/api/users/{stack.users[0]}/tokens"
    with httpx.Client(trust_env=False, headers={"Authorization": f"token {token}"}) as client:
        assert client.post(hub, json={}).status_code in (403, 404)


def test_a_workflow_that_cannot_be_called_so_gets_no_token(stack: Stack) -> None:
    done = stack.run("workflow", "token", "molecule.optimize!user=root", check=False)
    assert done.returncode == 1
    assert "molecule.optimize!user=root" in done.stderr
