"""Where a server on a node keeps its kernels' sockets: in a folder nobody else can enter, with a short name."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from simdeck_spawners import server


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    base = Path("/tmp") / f"sd-{os.getpid()}"
    base.mkdir()
    yield {"TMPDIR": str(base)}
    shutil.rmtree(base)


def test_the_folder_is_its_owners_alone_and_named_to_jupyter(environment: dict[str, str]) -> None:
    folder = server.runtime_folder(environment)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert environment["JUPYTER_RUNTIME_DIR"] == str(folder)
    assert folder.parent == Path(environment["TMPDIR"])


def test_a_socket_of_a_kernel_fits_into_the_longest_base() -> None:
    folder = "x" * server.LONGEST_BASE + f"/simdeck-{2**31}-r{2**22}"
    assert len(f"{folder}/kernel-{'0' * 36}-ipc-1") <= 107


def test_a_base_that_is_too_long_is_not_used(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    folder = server.runtime_folder({"TMPDIR": str(deep)})
    try:
        assert folder.parent == Path("/tmp")
    finally:
        shutil.rmtree(folder)


def test_the_folder_of_a_killed_server_is_removed_and_a_living_ones_is_not(environment: dict[str, str]) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    base = Path(environment["TMPDIR"])
    old = base / f"simdeck-{os.getuid()}-r{ended.pid}"
    living = base / f"simdeck-{os.getuid()}-r{os.getppid()}"
    old.mkdir()
    living.mkdir()
    server.runtime_folder(environment)
    assert (old.exists(), living.exists()) == (False, True)
