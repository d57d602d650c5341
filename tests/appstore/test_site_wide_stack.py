"""One copy of an app for everybody, on the real stack: two people open it, have its kernel and run its workflow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from simdeck_appstore.audit import NAME, Audit
from stack import Stack, missing, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.skipif(missing() is not None, reason=missing() or "")]

SITE = """
[groups]
chemistry = ["alice", "bob"]

[apps]
plugins = "admin"

[[apps.rules]]
app = "molecule"
groups = ["chemistry"]
"""
WATER = "3\n\nO 0 0 0\nH 0 0 0.96\nH 0.93 0 -0.24\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("everybody")
    with Stack(folder, users=["alice", "bob", "carol"], site=SITE) as running:
        wait_for("the registry", lambda: (running.data.built_registry / "api/v2/index.json").is_file())
        running.run("admin", "apps", "install", "molecule", seconds=400)
        yield running


def mine(stack: Stack, user: str) -> list[dict[str, object]]:
    with stack.client(user) as api:
        return list(api.get("/apps").json()["items"])


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_it_is_there_and_its_workflow_runs(stack: Stack, user: str) -> None:
    (app,) = mine(stack, user)
    assert (app["id"], app["site_versions"]) == ("molecule", [app["current"]])
    with stack.client(user) as api:
        body = {"workflow": "molecule.optimize", "inputs": {"structure": {"name": "water.xyz", "content": WATER}}}
        run = api.post("/runs", json=body).json()

        def ended() -> str | None:
            state = str(api.get(f"/runs/{run['id']}").json()["state"])
            return state if state not in ("accepted", "running") else None

        assert wait_for("the run's end", ended, 400) == "finished"


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_its_page_opens_and_its_kernel_is_known(stack: Stack, user: str) -> None:
    mine(stack, user)
    headers = {"Authorization": f"token {stack.token(user, 'server', 'servers!user', 'access:servers!user')}"}
    with httpx.Client(base_url=stack.url, headers=headers, trust_env=False, timeout=120) as client:
        client.post(f"/hub/api/users/{user}/server")

        def answers() -> httpx.Response | None:
            answer = client.get(f"/user/{user}/api/kernelspecs")
            return answer if answer.status_code == 200 else None

        specs = wait_for("the server", answers, 300).json()["kernelspecs"]
        argv = specs["simdeck-molecule"]["spec"]["argv"]
        assert argv[0].startswith(str(stack.data.root / "apps" / "molecule"))
        page = client.get(f"/user/{user}/deck/molecule/", follow_redirects=True)
        assert (page.status_code, "Molecule" in page.text) == (200, True)
        client.delete(f"/hub/api/users/{user}/server")


def test_who_is_not_in_the_group_has_no_such_app(stack: Stack) -> None:
    assert mine(stack, "carol") == []
    with stack.client("carol") as api:
        assert api.get("/store/molecule").status_code == 404
        assert api.post("/apps/molecule/install").status_code == 404
        assert api.get("/workflows").json()["items"] == []


def test_the_log_names_who_installed_it_and_who_was_refused(stack: Stack) -> None:
    with stack.client("carol") as api:
        api.post("/apps/molecule/install")
    audit = Audit(stack.data.root / NAME)
    refused = wait_for("the refusal", lambda: [one for one in audit.read(who="carol") if one.outcome == "refused"], 20)
    assert (refused[0].app, refused[0].detail) == ("molecule", "404")
    assert audit.read(limit=None)[-1].what == "site-install"


def test_what_is_removed_for_everybody_is_gone_for_both(stack: Stack) -> None:
    stack.run("admin", "apps", "remove", "molecule")
    deadline = time.monotonic() + 20
    for user in ("alice", "bob"):
        assert wait_for("the app to go", lambda user=user: mine(stack, user) == [], deadline - time.monotonic())
    assert not (stack.data.root / "apps" / "molecule").exists()
    assert list(Path(stack.data.users / "alice" / "apps").glob("molecule")) == []
