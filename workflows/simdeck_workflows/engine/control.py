"""Killing, pausing and playing whole process trees, whatever the engine happens to be doing with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from aiida import orm
from plumpy.futures import unwrap_kiwi_future

from simdeck_workflows.engine import tree

LOG = logging.getLogger(__name__)

_ANSWER_PATIENCE = 15.0
_ROUNDS = 5


class Control:
    """Sends wishes to processes through the runner's controller, as ``verdi process`` does."""

    def __init__(self, runner: Any) -> None:
        self._controller = runner.controller

    async def kill(self, node: Any) -> None:
        """Kill a process and its descendants. On return none of them is active, or an error was logged."""
        for force in (False, True, True):
            for process in _active(node):
                # A parent kills its children itself; those that are left are told one by one.
                if not _reload(process).is_terminated:
                    await self._ask(process, partial(self._kill, process.pk, force))
            if not _active(node):
                return
        for process in _active(node):
            # It is not loaded anywhere (its class is gone, or it is waiting to be taken up): close it in the books.
            LOG.warning("process %s does not answer; it is marked as killed", process.pk)
            process.set_process_state("killed")
            process.set_process_status("cancelled")
            process.delete_checkpoint()
            process.seal()

    async def set_paused(self, node: Any, paused: bool) -> None:
        """Pause or play a process and its descendants, and those that appear meanwhile."""
        action = self._controller.pause_process if paused else self._controller.play_process
        for _round in range(_ROUNDS):
            left = [process for process in _active(node) if process.paused != paused]
            if not left:
                return
            for process in left:
                await self._ask(process, partial(action, process.pk))

    def _kill(self, pk: int, force: bool) -> Any:
        return self._controller.kill_process(pk, msg_text="cancelled", force_kill=force)

    async def _ask(self, process: Any, send: Callable[[], Any]) -> None:
        try:
            future = unwrap_kiwi_future(send())
            await asyncio.wait_for(asyncio.wrap_future(future), _ANSWER_PATIENCE)
        except Exception as error:
            LOG.info("process %s did not take a wish: %s", process.pk, error)
            await asyncio.sleep(0.2)


def _active(node: Any) -> list[Any]:
    return [process for process in tree.with_descendants(node) if not process.is_terminated]


def _reload(process: Any) -> Any:
    return orm.load_node(pk=process.pk)
