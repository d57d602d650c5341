"""Looks for processes that the database calls active but that nobody carries on, and has them carried on.

A lost message (a broker that dropped its worker for a moment, a task that failed to load) leaves a process
waiting for ever. One that does not answer in two looks in a row is continued again; one that is carried on
already refuses a second start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aiida import orm
from aiida.common import timezone
from kiwipy import DeliveryFailed
from plumpy.futures import unwrap_kiwi_future

from simdeck_workflows.engine import tree
from simdeck_workflows.engine.scheduler import job_in, processes_of

LOG = logging.getLogger(__name__)

LOOK_EVERY = 15.0
STANDSTILL = timedelta(seconds=90)
_RESTARTED = "simdeck_restarted"
_ANSWER_PATIENCE = 10.0
_NOBODY = "Recipient not found"


def is_stuck(node: Any) -> bool:
    """Whether a process has not changed for long though no child, no job and no pause holds it."""
    if node.paused or timezone.now() - node.mtime < STANDSTILL or any(not child.is_terminated for child in node.called):
        return False
    directory = tree.work_directory(node) if isinstance(node, orm.CalcJobNode) else None
    job = job_in(directory) if directory is not None else None
    return job is None or not processes_of(job)


class Watch:
    """Asks every active process for its status, now and then."""

    def __init__(self, controller: Any, restart: Callable[[], None]) -> None:
        self._controller = controller
        self._restart = restart
        self._silent: set[int] = set()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
                self.look_for_stuck(tree.active_processes())
            except Exception:
                LOG.exception("the look for processes left alone failed; it is tried again")

    async def look(self) -> list[int]:
        """Continue what was silent the last time and still is; return those processes."""
        silent = {node.pk for node in tree.active_processes() if not await self._answers(node.pk)}
        again = sorted(silent & self._silent)
        for pk in again:
            LOG.warning("process %s is active but nobody carries it on; it is continued", pk)
            self._controller.now(pk)
        self._silent = silent - set(again)
        return again

    def look_for_stuck(self, nodes: list[Any]) -> None:
        """End this worker, to be started afresh, when a process answers but has stood still with nothing to wait for.

        Once for each process: what stands still again is waiting for something after all (AiiDA's own retries, say).
        """
        for node in nodes:
            if is_stuck(node) and not node.base.extras.get(_RESTARTED, False):
                LOG.warning("process %s stands still with nothing to wait for; the worker starts afresh", node.pk)
                node.base.extras.set(_RESTARTED, True)
                self._restart()
                return

    async def _answers(self, pk: int) -> bool:
        try:
            future = unwrap_kiwi_future(self._controller.get_status(pk))
            await asyncio.wait_for(asyncio.wrap_future(future), _ANSWER_PATIENCE)
        except Exception as error:
            # The ZeroMQ broker's own answer has no type of its own.
            if isinstance(error, DeliveryFailed) or _NOBODY in str(error):
                return False
            # Busy, or about to end: somebody has it.
            LOG.debug("process %s did not tell its status: %s", pk, error)
        return True
