"""The real server inside a job: bound before it is announced, warned before its end, found by its hub."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from simdeck_spawners import server
from simdeck_spawners.announce import Refused, announce
from simdeck_spawners.testing import World


@pytest.mark.asyncio(loop_scope="function")
async def test_the_real_server_starts_lean_knows_its_people_and_passes_the_warning_on(
    make_world: Callable[..., Any], tmp_path: Path
) -> None:
    # A real server takes real seconds; the world's clock runs faster.
    world: World = await make_world(fleet={"boot_timeout": 0, "handshake_timeout": 0})
    world.servers.homes = tmp_path / "homes"
    (tmp_path / "homes" / "alice").mkdir(parents=True)
    # The server runs in its person's home: what lies there is no module of its own.
    (tmp_path / "homes" / "alice" / "random.py").write_text("raise SystemExit('not that one')")
    await world.start("alice", walltime="5h")
    await world.until("the server runs", lambda: world.ready("alice"), 60)
    (job,) = world.jobs()
    target = world.target("alice")
    tokens = {name: world.hub.user(name).new_api_token() for name in ("alice", "mallory")}
    async with httpx.AsyncClient(base_url=f"{target}/user/alice/api", trust_env=False, timeout=60) as client:
        mine = await client.get("/kernelspecs", headers={"Authorization": f"token {tokens['alice']}"})
        others = await client.get("/kernelspecs", headers={"Authorization": f"token {tokens['mallory']}"})
        nobody = await client.get("/kernelspecs", follow_redirects=False)
    assert (mine.status_code, "python3" in mine.json()["kernelspecs"]) == (200, True)
    assert others.status_code in (403, 404)
    assert nobody.status_code in (302, 403)
    process = world.servers.running[job.id].process
    assert process is not None
    process.send_signal(signal.SIGUSR1)
    warning = tmp_path / "homes" / "alice" / ".simdeck" / "servers" / job.name / "warning.json"
    await world.until("the warning is written down", warning.exists)
    assert json.loads(warning.read_text())["ends"] == int(job.ends or 0)
    assert process.returncode is None
    assert await world.stop("alice") in (202, 204)
    await world.until_gone("alice")


def test_lean_imports_leave_the_hubs_database_out() -> None:
    code = (
        "import sys; from simdeck_spawners.lean import singleuser_main; main = singleuser_main();"
        "print(main.__self__.__name__, 'sqlalchemy.orm' in sys.modules, 'alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["JupyterHubSingleUser", "False", "False"]


def orders(folder: Path, mode: int = 0o600, **more: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "server.json"
    environment = {"JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:0/user/alice/", "JUPYTERHUB_API_TOKEN": "t"}
    path.write_text(json.dumps({"environment": environment, **more}))
    path.chmod(mode)
    return folder


def test_orders_that_others_could_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="closed to everybody else"):
        server.read_orders(orders(tmp_path, 0o644))


def test_the_port_is_ours_before_anybody_hears_of_it(tmp_path: Path) -> None:
    listener = server.bind("127.0.0.1")
    try:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(listener.getsockname())
        with socket.create_connection(listener.getsockname(), timeout=5):
            pass
    finally:
        listener.close()


def test_the_servers_environment_names_its_port_its_end_and_the_apps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    found = server.read_orders(orders(tmp_path / "s", walltime_minutes=60))
    environment = {"SLURM_JOB_END_TIME": "1900000000", "PATH": "/bin", "JUPYTER_PATH": "/site"}
    server.set_environment(found, 40123, environment)
    assert environment["JUPYTERHUB_SERVICE_URL"] == "http://0.0.0.0:40123/user/alice/"
    assert environment["SIMDECK_JOB_ENDS"] == "1900000000"
    assert environment["SIMDECK_APPS_DIR"] == str(tmp_path / ".simdeck" / "apps")
    assert environment["JUPYTER_PATH"].split(os.pathsep) == [str(tmp_path / ".simdeck/apps/.jupyter"), "/site"]


@pytest.mark.parametrize(
    ("environment", "minutes", "expected"),
    [
        ({"SLURM_JOB_END_TIME": "5000"}, 10, 5000),
        ({"SLURM_JOB_START_TIME": "1000"}, 10, 1600),
        ({}, 10, 700),
        ({"SLURM_JOB_END_TIME": "junk"}, None, None),
    ],
)
def test_the_end_is_slurms_word_or_reckoned_from_the_start(
    environment: dict[str, str], minutes: int | None, expected: int | None
) -> None:
    assert server.job_ends(environment, minutes, now=100.0) == expected


async def test_a_warning_that_came_too_early_reaches_the_extension_once_it_listens(tmp_path: Path) -> None:
    import asyncio

    warning = server.WalltimeWarning(tmp_path)
    warning.give()
    heard: list[int | None] = []
    settings = {server.HOOKS: [heard.append]}
    warning.attach(settings, asyncio.get_running_loop())
    await asyncio.sleep(0)
    assert heard == [warning.given]


class Answers:
    """A hub that answers announcements with the given statuses, one after the other."""

    def __init__(self, *statuses: int) -> None:
        from http.server import BaseHTTPRequestHandler, HTTPServer

        left = list(statuses)
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.httpd = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}/hub/api"
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self.httpd.shutdown()
        self.httpd.server_close()


def test_an_announcement_is_repeated_until_the_hub_takes_it_and_says_only_the_port() -> None:
    said: list[str] = []
    with Answers(503, 409, 409, 204) as hub:
        assert announce(hub.url, "t", 40123, say=said.append, pause=0.01)
        assert [json.loads(body) for body in hub.bodies] == [{"port": 40123}] * 4
    assert "cannot be reached" in said[0]
    assert said[-1].endswith("answers now.")


def test_a_hub_that_cannot_be_reached_is_named_in_the_log_with_the_reason() -> None:
    stop = threading.Event()
    said: list[str] = []

    def say(sentence: str) -> None:
        said.append(sentence)
        stop.set()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/hub/api"
        assert not announce(url, "t", 1, stop=stop, say=say, pause=0.01)
    assert url in said[0]
    assert "refused" in said[0].lower()


def test_a_server_whose_token_nobody_knows_gives_up() -> None:
    with Answers(403) as hub, pytest.raises(Refused):
        announce(hub.url, "t", 40123, say=lambda _: None, pause=0.001)
