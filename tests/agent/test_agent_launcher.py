"""The launcher with real agent processes: started once, found again, brought back when work is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

import httpx
import psutil
import pytest
from simdeck_agent.launcher import ACTIVE_MARKER, Launcher, agent_environment, answers, last_line
from simdeck_agent.settings import AgentSettings
from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", tempfile.gettempdir())
    settings = AgentSettings(
        data=tmp_path, backend_python=Path(sys.executable), uv=Path("/nowhere/uv"), start_timeout=60.0
    )
    settings.write(tmp_path / "agent.json")
    made = Launcher(tmp_path / "agent.json", settings)
    yield made
    for process in processes(tmp_path):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait(10)


def processes(data):
    """Return the agents of the data folder ``data``."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "simdeck_agent" in command and str(data / "agent.json") in command:
            found.append(process)
    return found


async def status(socket):
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://agent", timeout=30) as client:
        return (await client.get("/status")).json()


async def until(condition):
    """Wait until ``condition()`` holds, at most a minute."""
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_ten_at_once_start_one_agent(launcher, tmp_path):
    sockets = await asyncio.gather(*(launcher.ensure("alice") for _ in range(10)))
    assert len(set(sockets)) == 1
    assert len(processes(tmp_path)) == 1


async def test_another_launcher_finds_the_running_agent(launcher, tmp_path):
    first = await status(await launcher.ensure("alice"))
    other = Launcher(launcher.settings_file, launcher.settings)
    assert (await status(await other.ensure("alice")))["pid"] == first["pid"]


async def test_two_launchers_at_once_leave_one_agent(launcher, tmp_path):
    other = Launcher(launcher.settings_file, launcher.settings)
    await asyncio.gather(launcher.ensure("alice"), other.ensure("alice"))
    pid = (await status(await launcher.ensure("alice")))["pid"]
    for process in processes(tmp_path):
        if process.pid != pid:
            # The one that came second waits for the lock; it must never have the socket.
            process.kill()
    assert (await status(await other.ensure("alice")))["pid"] == pid


async def test_each_user_has_an_agent_of_their_own(launcher):
    alice, bob = await launcher.ensure("alice"), await launcher.ensure("bob")
    assert (await status(alice))["user"] == "alice"
    assert (await status(bob))["user"] == "bob"


async def test_a_killed_agent_with_unfinished_work_comes_back(launcher):
    socket = await launcher.ensure("alice")
    before = (await status(socket))["pid"]
    # The marker alone is the launcher's business; whose runs are unfinished is the agent's.
    os.kill(before, signal.SIGKILL)
    await until(lambda: not psutil.pid_exists(before) or launcher.reap() or not psutil.pid_exists(before))
    (launcher.home("alice").agent / ACTIVE_MARKER).touch()
    watching = asyncio.create_task(launcher.watch(0.05))
    try:
        async with asyncio.timeout(120):
            while not await answers(socket):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        watching.cancel()
    assert (await status(socket))["pid"] != before


async def test_a_killed_agent_with_nothing_to_do_stays_away(launcher):
    socket = await launcher.ensure("alice")
    pid = (await status(socket))["pid"]
    os.kill(pid, signal.SIGKILL)
    await until(lambda: launcher.reap() or not psutil.pid_exists(pid))
    assert launcher.marked() == []
    assert await launcher.start_active() == []
    assert not await answers(socket)


async def test_start_active_starts_those_with_a_marker(launcher):
    (private_dir(launcher.home("bob").agent) / ACTIVE_MARKER).touch()
    assert await launcher.start_active() == []
    assert await launcher.running("bob")
    assert not await launcher.running("alice")


async def test_sigterm_ends_an_agent_in_order_and_takes_its_socket_away(launcher):
    socket = await launcher.ensure("alice")
    child = launcher._children["alice"]
    os.kill(child.pid, signal.SIGTERM)
    await until(lambda: child.poll() is not None)
    assert child.returncode == 0
    assert not socket.exists()


async def test_an_agent_ends_by_itself_when_idle(launcher, tmp_path):
    settings = launcher.settings.model_copy(update={"idle_seconds": 0.1})
    settings.write(launcher.settings_file)
    socket = await launcher.ensure("alice")
    child = launcher._children["alice"]
    await until(lambda: child.poll() is not None)
    assert child.returncode == 0
    assert not socket.exists()


async def test_an_agent_that_cannot_start_is_told_with_its_last_words(launcher):
    launcher.settings_file.write_text('{"data": 3}')
    with pytest.raises(Problem) as refused:
        await launcher.ensure("alice")
    assert refused.value.code == "agent-unavailable"
    assert refused.value.status == 503
    assert last_line(launcher.log_file("alice")) in refused.value.detail
    assert last_line(launcher.log_file("alice")) != ""


async def test_an_agent_lives_on_when_its_launcher_is_killed(launcher, tmp_path):
    code = (
        "import asyncio, sys; from pathlib import Path; from simdeck_agent.launcher import Launcher;"
        "from simdeck_agent.settings import AgentSettings; f = Path(sys.argv[1]);"
        "l = Launcher(f, AgentSettings.read(f));"
        "asyncio.run(l.ensure('alice')); print('started', flush=True); sys.stdin.read()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        str(launcher.settings_file),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert await asyncio.wait_for(process.stdout.readline(), 60) == b"started\n"
    process.kill()
    await process.wait()
    assert await launcher.running("alice")


def test_agents_inherit_no_secret_of_the_service():
    environ = {
        "PATH": "/bin", "JUPYTERHUB_API_TOKEN": "x", "CONFIGPROXY_AUTH_TOKEN": "x", "SIMDECK_INSTANCE": "i",
        "LC_ALL": "C", "AWS_SECRET": "x", "EXTRA": "e",
    }  # fmt: skip
    assert agent_environment(environ, ["EXTRA"]) == {
        "PATH": "/bin", "SIMDECK_INSTANCE": "i", "LC_ALL": "C", "EXTRA": "e",
    }  # fmt: skip
