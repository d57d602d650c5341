"""Running a notebook's cells for a page, with nbclient, as Voilà does, without the waits.

Voilà's own start waits 0.2 s for a silence on the output channel; ipykernel announces the subscription with a
welcome message, so we wait for that instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from jupyter_core.utils import ensure_async
from nbclient.client import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError


@dataclass(frozen=True)
class Failure:
    """A cell that raised."""

    cell: int
    name: str
    value: str
    traceback: str


class KernelStartError(Exception):
    """The kernel did not come up."""


class PageExecutor(NotebookClient):  # type: ignore[misc]
    """Runs cells in a kernel that the server's kernel manager started."""

    async def connect(self, seconds: float = 60.0) -> None:
        """Open the channels and wait until outputs arrive.

        Raises
        ------
        KernelStartError
            It ended, or did not answer within ``seconds``.
        """
        self.kc = self.km.client()
        self.kc.start_channels(hb=False)
        self.kc.allow_stdin = False
        self.kc.kernel_info()
        try:
            async with asyncio.timeout(seconds):
                await self._answered()
        except TimeoutError:
            raise KernelStartError(f"The app's kernel did not answer within {seconds:g} s.") from None

    async def _answered(self) -> None:
        first = asyncio.ensure_future(ensure_async(self.kc.get_iopub_msg(timeout=None)))
        try:
            while True:
                done, _ = await asyncio.wait({first}, timeout=1.0)
                if done:
                    break
                if not await ensure_async(self.km.is_alive()):
                    raise KernelStartError("The app's kernel ended while it was starting.")
                # A kernel without a welcome message: its answer may have come before we were subscribed; ask again.
                self.kc.kernel_info()
            while True:
                message = await ensure_async(self.kc.get_shell_msg(timeout=None))
                if message["msg_type"] == "kernel_info_reply":
                    break
        finally:
            if not first.done():
                first.cancel()

    async def prepare(self, code: str) -> None:
        """Run ``code`` before the first cell, unseen.

        Raises
        ------
        KernelStartError
            It failed.
        """
        reply = await ensure_async(self.kc.execute_interactive(code, silent=True, output_hook=lambda message: None))
        if reply["content"]["status"] != "ok":
            raise KernelStartError("The app's kernel could not be prepared for the page.")

    async def cells(self) -> AsyncIterator[tuple[int, Any, Failure | None]]:
        """Run cell after cell; yields (index, cell with outputs, what it raised). Ends after a cell that raised."""
        self.reset_execution_trackers()
        # The server restarts a kernel that dies by itself; to its page that is the end all the same.
        died = asyncio.Event()
        for event in ("restart", "dead"):
            self.km.add_restart_callback(died.set, event)
        for index, cell in enumerate(self.nb.cells):
            if cell.cell_type == "code":
                cell.outputs = []
            run = asyncio.ensure_future(self.async_execute_cell(cell, index, store_history=False))
            end = asyncio.ensure_future(died.wait())
            try:
                await asyncio.wait({run, end}, return_when=asyncio.FIRST_COMPLETED)
                if not run.done():
                    raise DeadKernelError("The kernel ended while the cell ran.")
                run.result()
            except CellExecutionError as error:
                yield index, cell, Failure(index, error.ename, error.evalue, error.traceback)
                return
            except DeadKernelError as error:
                yield index, cell, Failure(index, "The kernel ended", "its process ended unexpectedly.", str(error))
                return
            finally:
                run.cancel()
                end.cancel()
            yield index, cell, None

    async def disconnect(self) -> None:
        """Close the channels; the kernel goes on."""
        await ensure_async(self.kc.stop_channels())
