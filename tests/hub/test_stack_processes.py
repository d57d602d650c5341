"""What the supervisor promises about processes, against the real stack."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from simdeck_spawners.identity import environment, start_ticks
from stack import SIMDECK, Stack, missing, wait_for, xsrf

pytestmark = [pytest.mark.stack, pytest.mark.skipif(missing() is not None, reason=missing() or "")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), users=["alice", "bob"]) as running:
        yield running


def server_token(stack: Stack) -> str:
    return stack.token("alice", "servers", "access:servers!user")


def start_server(stack: Stack, token: str) -> None:
    """Start alice's server by the hub's API and wait until it answers through the proxy."""
    headers = {"Authorization": f"token {token}"}
    with httpx.Client(base_url=stack.url, headers=headers, trust_env=False, timeout=60) as client:
        assert client.post("/hub/api/users/alice/server").status_code in {201, 202, 400}
        wait_for("alice's server", lambda: client.get("/user/alice/api/status").status_code == 200)


def server_answers(stack: Stack, token: str) -> bool:
    try:
        answer = httpx.get(
            f"{stack.url}/user/alice/api/status",
            headers={"Authorization": f"token {token}"},
            trust_env=False,
            timeout=10,
        )
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


def test_a_second_start_says_where_the_first_one_runs(stack: Stack) -> None:
    second = stack.run("up", check=False)
    assert second.returncode == 1
    assert stack.process is not None
    assert f"already running at {stack.url} (pid {stack.process.pid})" in second.stderr


def test_a_password_signs_in_once(stack: Stack) -> None:
    password = stack.run("password", "bob").stdout.split()[-1]
    stack.sign_in("bob", password)
    with pytest.raises(PermissionError, match="403"):
        stack.sign_in("bob", password)


def test_a_new_password_ends_the_unused_one(stack: Stack) -> None:
    first = stack.run("password", "bob").stdout.split()[-1]
    second = stack.run("password", "bob").stdout.split()[-1]
    with pytest.raises(PermissionError):
        stack.sign_in("bob", first)
    stack.sign_in("bob", second)


def test_one_users_password_does_not_sign_in_another(stack: Stack) -> None:
    with pytest.raises(PermissionError):
        stack.sign_in("bob", stack.passwords["alice"])


def test_signing_in_leads_to_the_deck(stack: Stack) -> None:
    password = stack.run("password", "bob").stdout.split()[-1]
    client = httpx.Client(base_url=stack.url, trust_env=False)
    client.get("/hub/login")
    answer = client.post("/hub/login", data={"username": "bob", "password": password, "_xsrf": xsrf(client)})
    assert (answer.status_code, answer.headers["location"]) == (302, "/services/deck/")


def test_a_token_carries_the_chosen_scopes_and_no_more(stack: Stack) -> None:
    token = stack.token("bob", "runs:read")
    answer = httpx.get(f"{stack.url}/hub/api/user", headers={"Authorization": f"token {token}"}, trust_env=False)
    assert answer.json()["name"] == "bob"
    ours = {scope for scope in answer.json()["scopes"] if scope.startswith("custom:")}
    assert ours == {"custom:simdeck:runs:read!user=bob"}


def test_an_unknown_scope_is_refused_with_the_known_ones(stack: Stack) -> None:
    refused = stack.run("token", "--scope", "everything", check=False)
    assert refused.returncode == 1
    assert "runs:read" in refused.stderr


@pytest.mark.parametrize("part", ["deck", "hub", "proxy"])
def test_a_killed_part_comes_back_and_the_jupyter_server_survives(stack: Stack, part: str) -> None:
    token = server_token(stack)
    start_server(stack, token)
    before = [found.pid for found in stack.processes("server")]
    stack.kill(part)
    stack.wait_answering()
    wait_for("alice's server behind the proxy", lambda: server_answers(stack, token))
    assert [found.pid for found in stack.processes("server")] == before


def test_a_hub_killed_while_it_starts_a_server_leaves_one_server_and_no_orphan(stack: Stack) -> None:
    token = stack.token("bob", "server", "access:servers!user")
    headers = {"Authorization": f"token {token}"}
    with httpx.Client(base_url=stack.url, headers=headers, trust_env=False, timeout=60) as client:

        def ask() -> bool:
            try:
                client.post("/hub/api/users/bob/server")
                return client.get("/user/bob/api/status").status_code == 200
            except httpx.HTTPError:
                return False

        assert client.post("/hub/api/users/bob/server").status_code in {201, 202}
        stack.kill("hub")
        stack.wait_answering()
        wait_for("bob's server", ask)
        servers = [
            found.pid for found in stack.processes("server") if environment(found.pid)["JUPYTERHUB_USER"] == "bob"
        ]
        assert len(servers) == 1
        assert client.delete("/hub/api/users/bob/server").status_code in {202, 204}
        wait_for("the end of bob's server", lambda: not [pid for pid in servers if start_ticks(pid)])


def test_a_token_for_the_server_starts_it_through_the_api(stack: Stack) -> None:
    with stack.client(token=stack.token("bob", "server")) as client:
        assert client.post("/server").status_code == 202
        wait_for("bob's server", lambda: client.get("/server").json()["state"] == "running")
        assert client.get("/runs").status_code == 403
        assert client.delete("/server").status_code == 202


def test_the_token_inside_a_jupyter_server_can_run_but_neither_install_nor_make_tokens(stack: Stack) -> None:
    token = server_token(stack)
    start_server(stack, token)
    (server,) = [one for one in stack.processes("server") if environment(one.pid)["JUPYTERHUB_USER"] == "alice"]
    inside = environment(server.pid)["JUPYTERHUB_API_TOKEN"]
    model = httpx.get(f"{stack.url}/hub/api/user", headers={"Authorization": f"token {inside}"}, trust_env=False).json()
    ours = {scope for scope in model["scopes"] if scope.startswith("custom:")}
    assert ours == {f"custom:simdeck:{name}!user=alice" for name in ("runs", "runs:read", "runs:workflow", "apps:read")}
    assert not [scope for scope in model["scopes"] if scope.startswith(("tokens", "servers", "admin", "inherit"))]


def test_stopping_a_server_from_the_hub_ends_its_process(stack: Stack) -> None:
    token = server_token(stack)
    start_server(stack, token)
    httpx.delete(
        f"{stack.url}/hub/api/users/alice/server",
        headers={"Authorization": f"token {token}"},
        trust_env=False,
        timeout=30,
    )
    wait_for("the end of alice's server", lambda: not stack.processes("server"))


def test_after_a_kill_of_the_supervisor_the_next_start_clears_the_rest_and_stopping_leaves_nothing(
    tmp_path: Path,
) -> None:
    with Stack(tmp_path) as stack:
        stack.kill_supervisor()
        strays = stack.processes()
        assert strays
        stack.start()
        assert not [found for found in strays if found.alive()]
        assert stack.stop(signal.SIGTERM) == 0
        assert not stack.processes()


def test_a_taken_port_is_named_with_its_holder_and_a_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        stack = Stack(tmp_path)
        stack.port = taken.getsockname()[1]
        stack.home.mkdir()
        refused = subprocess.run(
            [str(SIMDECK), "up"], env=stack.environment, capture_output=True, text=True, timeout=180, check=False
        )
    assert refused.returncode == 1
    assert f"Port {stack.port} on 127.0.0.1 is taken by {psutil.Process().name()} (pid {os.getpid()})" in refused.stderr
    assert "PORT=" in refused.stderr
    assert not stack.processes()
