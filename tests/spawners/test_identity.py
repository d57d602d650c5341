"""A server is known by pid and start, never by pid alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from simdeck_spawners.identity import boot_id, environment, is_same, start_ticks
from simdeck_spawners.local import LocalSpawner, leftover_servers


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    # Its name holds what a careless reader of /proc/PID/stat trips over.
    code = "import ctypes,sys; ctypes.CDLL(None).prctl(15, b') x (', 0, 0, 0); print(flush=True); sys.stdin.read()"
    env = {"SIMDECK_INSTANCE": "i1", "JUPYTERHUB_USER": "alice", "JUPYTERHUB_SERVER_NAME": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", code, "jupyterhub-singleuser"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def spawner_of(process: subprocess.Popen[bytes], ticks_off: int = 0, boot: str | None = None) -> LocalSpawner:
    spawner = LocalSpawner()
    ticks = start_ticks(process.pid)
    assert ticks is not None
    spawner.load_state({"pid": process.pid, "ticks": ticks + ticks_off, "boot": boot or boot_id()})
    return spawner


async def test_after_a_restart_of_the_hub_the_running_server_is_known_again(sleeper: subprocess.Popen[bytes]) -> None:
    assert await spawner_of(sleeper).poll() is None


async def test_a_process_that_got_the_servers_pid_later_is_not_the_server(sleeper: subprocess.Popen[bytes]) -> None:
    assert await spawner_of(sleeper, ticks_off=-1).poll() == 0


async def test_a_pid_of_an_earlier_boot_means_nothing(sleeper: subprocess.Popen[bytes]) -> None:
    assert await spawner_of(sleeper, boot="another").poll() == 0


async def test_stopping_never_signals_a_process_that_got_the_pid_later(sleeper: subprocess.Popen[bytes]) -> None:
    await spawner_of(sleeper, ticks_off=-1).stop(now=True)
    assert sleeper.poll() is None


def test_the_state_kept_for_the_next_hub_names_the_process_not_just_its_pid(sleeper: subprocess.Popen[bytes]) -> None:
    assert set(spawner_of(sleeper).get_state()) >= {"pid", "ticks", "boot"}


def test_a_dead_process_has_no_start(sleeper: subprocess.Popen[bytes]) -> None:
    ticks = start_ticks(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert not is_same(sleeper.pid, ticks, boot_id())


def test_an_unrecorded_server_is_found_by_its_environment(sleeper: subprocess.Popen[bytes]) -> None:
    assert leftover_servers("i1", "alice", "") == [sleeper.pid]
    assert leftover_servers("i1", "bob", "") == []
    assert leftover_servers("i2", "alice", "") == []


def test_nobody_elses_environment_is_guessed() -> None:
    assert environment(2**22 + 1) == {}


async def test_a_server_runs_as_who_we_are_with_what_apps_are_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PATH", "/site/share/jupyter")
    monkeypatch.setattr("jupyterhub.spawner.LocalProcessSpawner.get_env", lambda self: self.user_env({"PATH": "/bin"}))
    spawner = LocalSpawner(data=str(tmp_path), instance="i1", api="http://127.0.0.1:1/api/v1")
    spawner.user = type("User", (), {"name": "alice"})()
    env = spawner.get_env()
    apps = tmp_path / "users" / "alice" / "apps"
    assert spawner.make_preexec_fn("alice") is None
    assert env["SIMDECK_API"] == "http://127.0.0.1:1/api/v1"
    assert env["SIMDECK_APPS_DIR"] == str(apps)
    assert env["SIMDECK_INSTANCE"] == "i1"
    assert env["JUPYTER_PATH"].split(os.pathsep) == [str(apps / ".jupyter"), "/site/share/jupyter"]
