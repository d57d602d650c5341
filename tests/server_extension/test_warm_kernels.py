"""The pool of warm kernels, with the real fork server and real kernels."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from installed_apps import install_app
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from simdeck_deck.server_extension import apps, kernels
from simdeck_deck.server_extension.pool import WarmPool


@pytest.fixture
async def warm(tmp_path: Path) -> AsyncIterator[tuple[WarmPool, Path]]:
    folder = tmp_path / "apps"
    install_app(folder, "lab", [], warm=["colorsys", "no_such_module_anywhere"])
    pool = WarmPool(limit=1, spare=1, refill_delay=0.0)
    kernels.install(pool, folder, None)
    yield pool, folder
    await pool.close()
    kernels.WarmProvisioner.pool = None


def manager(folder: Path, app: str = "lab") -> AsyncKernelManager:
    specs = KernelSpecManager(kernel_dirs=[str(folder / ".jupyter" / "kernels")])
    return AsyncKernelManager(kernel_name=f"simdeck-{app}", kernel_spec_manager=specs)


async def ask(km: AsyncKernelManager, code: str) -> Any:
    client = km.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=30)
        reply = await client.execute_interactive("", user_expressions={"x": code}, timeout=30)
        return eval(reply["content"]["user_expressions"]["x"]["data"]["text/plain"])
    finally:
        client.stop_channels()


async def test_a_warm_kernel_has_the_imports_done_and_the_pages_own_environment(warm: Any, tmp_path: Path) -> None:
    pool, folder = warm
    pool.warm(apps.read(folder, "lab"))
    assert await pool.ready("lab")
    km = manager(folder)
    await km.start_kernel(env={**os.environ, "QUERY_STRING": "run=7"}, cwd=str(tmp_path))
    try:
        assert km.transport == "ipc"
        found = await ask(
            km,
            "(__import__('sys').modules.get('colorsys') is not None, __import__('os').environ['QUERY_STRING'], __import__('os').getcwd())",
        )
        assert found == (True, "run=7", str(tmp_path))
    finally:
        await km.shutdown_kernel(now=True)


async def test_kernels_share_nothing_and_are_used_once(warm: Any) -> None:
    pool, folder = warm
    pool.warm(apps.read(folder, "lab"))
    pids = []
    for _ in range(2):
        assert await pool.ready("lab")
        km = manager(folder)
        await km.start_kernel()
        pids.append(await ask(km, "__import__('os').getpid()"))
        await km.shutdown_kernel(now=True)
    assert pids[0] != pids[1]


async def test_without_a_waiting_kernel_it_starts_cold(warm: Any) -> None:
    _, folder = warm
    km = manager(folder)
    await km.start_kernel()
    try:
        assert km.transport == "tcp"
        assert await ask(km, "1 + 1") == 2
    finally:
        await km.shutdown_kernel(now=True)


async def test_a_restarted_kernel_answers_on_the_same_sockets(warm: Any) -> None:
    pool, folder = warm
    pool.warm(apps.read(folder, "lab"))
    assert await pool.ready("lab")
    km = manager(folder)
    await km.start_kernel()
    try:
        before = km.ip, await ask(km, "__import__('os').getpid()")
        await km.restart_kernel(now=True)
        after = km.ip, await ask(km, "__import__('os').getpid()")
        assert before[0] == after[0]
        assert before[1] != after[1]
    finally:
        await km.shutdown_kernel(now=True)


async def test_a_killed_warm_parent_is_replaced_at_the_next_use(warm: Any) -> None:
    pool, folder = warm
    app = apps.read(folder, "lab")
    pool.warm(app)
    assert await pool.ready("lab")
    [pid] = pool.pids()
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(120):
        while pid in pool.pids():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert pool.take(app) is None
    assert await pool.ready("lab")
    assert pool.pids() != [pid]


async def test_an_update_retires_the_old_versions_kernels(warm: Any) -> None:
    pool, folder = warm
    pool.warm(apps.read(folder, "lab"))
    assert await pool.ready("lab")
    install_app(folder, "lab", [], version="2.0")
    assert pool.take(apps.read(folder, "lab")) is None
    assert await pool.ready("lab")
    taken = pool.take(apps.read(folder, "lab"))
    assert taken is not None
    assert taken.parent.app.version == "2.0"


async def test_an_app_whose_python_is_missing_only_has_no_warm_kernels(warm: Any) -> None:
    pool, folder = warm
    version = install_app(folder, "bare", [])
    (version / "env" / "bin" / "python").unlink()
    pool.warm(apps.read(folder, "bare"))
    assert pool.take(apps.read(folder, "bare")) is None


async def test_closing_the_pool_ends_its_processes_and_removes_its_sockets(warm: Any) -> None:
    pool, folder = warm
    pool.warm(apps.read(folder, "lab"))
    assert await pool.ready("lab")
    [pid] = pool.pids()
    sockets = pool.folder
    assert sockets.stat().st_mode & 0o777 == 0o700
    await pool.close()
    assert not sockets.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
