"""Saving in time: an app is told that the job its page runs in is about to end.

    from simdeck_widgets.walltime import on_walltime_warning

    on_walltime_warning(lambda seconds_left: save_draft())

The page itself warns the person; this is for what only the kernel holds. Where servers are not batch jobs, the callback
is never called.
"""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Callable
from typing import Any

COMM_TARGET = "simdeck.walltime"

_callbacks: list[Callable[[float], Any]] = []


def on_walltime_warning(callback: Callable[[float], Any]) -> Callable[[], None]:
    """Have ``callback(seconds_left)`` called before the end, on the kernel's loop; a coroutine is awaited.

    Returns
    -------
    A function that takes the callback back.
    """
    from comm import get_comm_manager

    get_comm_manager().register_target(COMM_TARGET, heard)
    _callbacks.append(callback)

    def forget() -> None:
        if callback in _callbacks:
            _callbacks.remove(callback)

    return forget


def heard(_comm: Any, message: dict[str, Any]) -> None:
    """Call everybody; one that fails does not keep the others from saving."""
    left = float(message["content"]["data"].get("left") or 0.0)
    for callback in list(_callbacks):
        try:
            result = callback(left)
            if inspect.isawaitable(result):
                asyncio.ensure_future(result).add_done_callback(_report)
        except Exception:
            traceback.print_exc()


def _report(done: asyncio.Future[Any]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        traceback.print_exception(error)
