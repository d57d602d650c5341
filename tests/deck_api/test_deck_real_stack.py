"""The deck before the real hub and real agents: two users, sessions, and an agent killed in mid-install."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from stack import Stack, missing, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.skipif(missing() is not None, reason=missing() or "")]

API = "/services/deck/api/v1"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("deck"), users=["alice", "bob"]) as running:
        yield running


def follow(client: httpx.Client, task: str, until: str = "end") -> list[str]:
    """Return the event types and data of a task's stream up to the first that contains ``until``."""
    lines = []
    with client.stream("GET", f"/tasks/{task}/events", timeout=120) as response:
        for line in response.iter_lines():
            lines.append(line)
            if until in line:
                break
    return lines


def test_an_agent_killed_in_mid_install_leaves_nothing_half_made(stack: Stack) -> None:
    with stack.client("alice") as alice:
        task = alice.post("/apps/molecule/install").json()["id"]
        follow(alice, task, until='"step": "build"')
        stack.kill("agent")
        ended = wait_for(
            "the interrupted task's end", lambda: (found := alice.get(f"/tasks/{task}").json()).get("ended") and found
        )
        assert (ended["state"], ended["problem"]["code"]) == ("failed", "task-interrupted")
        assert alice.get("/apps").json()["items"] == []
        again = alice.post("/apps/molecule/install").json()["id"]
        follow(alice, again)
        assert alice.get(f"/tasks/{again}").json()["state"] == "done"
        assert [item["name"] for item in alice.get("/workflows").json()["items"]] == ["molecule.optimize"]


def test_a_token_without_the_scope_is_403_and_none_is_401(stack: Stack) -> None:
    with stack.client("alice", token=stack.token("alice", "runs:read")) as reader:
        assert reader.get("/runs").status_code == 200
        refused = reader.post("/runs", json={"workflow": "molecule.optimize"})
        assert (refused.status_code, refused.json()["code"]) == (403, "missing-scope")
    with stack.client("alice", token="0" * 32) as nobody:
        assert nobody.get("/runs").status_code == 401


def test_signing_out_at_the_hub_ends_the_decks_session_too(stack: Stack) -> None:
    browser = stack.sign_in("alice")
    assert browser.get("/services/deck/").status_code == 200
    assert browser.get(API + "/me").json()["name"] == "alice"
    browser.get("/hub/logout")
    # The deck's own cookie is still there; the hub has revoked the token in it.
    assert browser.cookies.get("simdeck-session", path="/services/deck/")
    assert browser.get(API + "/me").status_code == 401
    assert browser.get("/services/deck/").url.path == "/hub/login"
