"""Executing a page's notebook in the app's own kernel, without a browser: what is left where there is none."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simdeck_common.problems import Problem


@dataclass(frozen=True)
class PageRun:
    """What executing a page once showed: seconds from kernel start to the last cell, resident memory in MiB."""

    seconds: float
    memory: float


def run_page(version: Path, apps: Path, app: str, seconds: int) -> PageRun:
    """Execute the page's notebook in the app's own kernel, away from any service.

    Raises
    ------
    Problem
        ``page-fails`` with the error's name and text.
    """
    result: list[PageRun | BaseException] = []

    def work() -> None:
        try:
            result.append(asyncio.run(_execute(version, apps, app, seconds)))
        except BaseException as error:  # handed to the caller's thread
            result.append(error)

    # A loop of its own: the caller may have one running.
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


async def _execute(version: Path, apps: Path, app: str, seconds: int) -> PageRun:
    import nbformat
    import psutil
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    entry = json.loads((version / "app.json").read_text("utf-8"))["entry"]
    notebook = nbformat.read(str(version / entry["file"]), as_version=4)
    scratch = tempfile.mkdtemp(prefix="sd-")
    manager = AsyncKernelManager(
        # Over TCP every user of the machine could speak to it.
        transport="ipc",
        ip=f"{scratch}/kernel",
        kernel_name=f"simdeck-{app}",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(apps / ".jupyter" / "kernels")]),
    )
    client = NotebookClient(notebook, km=manager, timeout=seconds, resources={"metadata": {"path": str(version)}})
    began = time.monotonic()
    try:
        async with client.async_setup_kernel(env=_page_environment(app)):
            for index, cell in enumerate(notebook.cells):
                await client.async_execute_cell(cell, index)
            pid = getattr(manager.provisioner, "pid", None)
            memory = psutil.Process(pid).memory_info().rss / 2**20 if pid else 0.0
            return PageRun(time.monotonic() - began, memory)
    except CellExecutionError as error:
        raise Problem("page-fails", reason=f"{error.ename}: {error.evalue}".rstrip(".")[:400]) from None
    except (CellTimeoutError, DeadKernelError) as error:
        what = f"it did not end within {seconds} s" if isinstance(error, CellTimeoutError) else "its kernel died"
        raise Problem("page-fails", reason=what) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _page_environment(app: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTERHUB_", "SIMDECK_"))}
    # An address where nobody listens: the page must come up all the same and say that the service does not answer.
    return kept | {"SIMDECK_API": "http://127.0.0.1:9/api/v1", "JUPYTERHUB_API_TOKEN": "none", "SIMDECK_APP": app}


def report(found: PageRun) -> tuple[str, dict[str, Any]]:
    data = {"seconds": round(found.seconds, 2), "memory_mib": round(found.memory)}
    return f"its page runs without an error ({found.memory:.0f} MiB in its kernel)", data
