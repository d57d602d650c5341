"""The end of the job this server runs in: told to app pages and to kernels while there is time to save.

``SIMDECK_JOB_ENDS`` (seconds since the epoch) says when it comes; without it nothing here happens. The scheduler's own
warning arrives in the server's process, which calls what is listed in the web application's setting
``simdeck_walltime_hooks``. Where no warning comes, the clock gives it, once.

Pages get a message of the type ``simdeck_walltime`` on their kernel's websocket (they count down by themselves; it is
for an end that comes earlier than they know). Kernels get a comm of the target ``simdeck.walltime``; see
``simdeck_widgets.walltime``.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

HOOKS = "simdeck_walltime_hooks"
COMM_TARGET = "simdeck.walltime"
PAGE_MESSAGE = "simdeck_walltime"
KERNEL_PREFIX = "simdeck-"

_SHARE = 5
_KERNEL_PATIENCE = 60.0


@dataclass
class Walltime:
    """One server's time.

    Parameters
    ----------
    ends
        When the job ends (s since the epoch); None where nothing ends this server.
    warn_seconds
        How long before the end to warn; a short job warns in its last fifth.
    """

    ends: float | None
    warn_seconds: float = 600.0
    clock: Callable[[], float] = time.time
    warned: bool = False
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        left = self.left()
        if left is not None:
            self.warn_seconds = min(self.warn_seconds, max(60.0, left / _SHARE))

    def left(self) -> float | None:
        """Seconds until the end, 0 after it; None where there is no end."""
        return None if self.ends is None else max(0.0, self.ends - self.clock())

    def page(self) -> dict[str, int] | None:
        """What a page is told: seconds left, and seconds before the end to warn at."""
        left = self.left()
        return None if left is None else {"left": round(left), "warn": round(self.warn_seconds)}

    async def watch(self, kernel_manager: Any, log: Any) -> None:
        """Warn when the time has come, if the scheduler has not done so."""
        if self.ends is None:
            return
        while True:
            rest = self.ends - self.warn_seconds - self.clock()
            if self.warned or rest <= 0:
                break
            # The clock may be set, and the machine may sleep: look again now and then.
            await asyncio.sleep(min(rest, 60.0))
        self.warn(kernel_manager, log)

    def warn(self, kernel_manager: Any, log: Any, ends: float | None = None) -> None:
        """Tell pages and kernels, once. Called on the server's loop.

        Parameters
        ----------
        ends
            When the job ends, if the caller knows better than what was known at the start.
        """
        if ends is not None:
            self.ends = float(ends)
        if self.warned or self.ends is None:
            return
        self.warned = True
        content = {"ends": self.ends, "left": self.left()}
        log.info("This server's job ends in %i s; telling its pages and kernels", content["left"])
        for connection in page_connections():
            send_to_page(connection, content)
        for kernel_id in list(kernel_manager.list_kernel_ids()):
            kernel = kernel_manager.get_kernel(kernel_id)
            if str(kernel.kernel_name).startswith(KERNEL_PREFIX):
                task = asyncio.ensure_future(send_to_kernel(kernel, content, log))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)


def page_connections() -> Iterator[Any]:
    """The websockets of open pages and notebooks."""
    from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

    yield from list(ZMQChannelsWebsocketConnection._open_sockets)


def send_to_page(connection: Any, content: dict[str, Any]) -> None:
    """Write one message that comes from the server itself, on the channel that pages listen to."""
    from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1

    message = connection.session.msg(PAGE_MESSAGE, content=content, parent={})
    if connection.subprotocol == "v1.kernel.websocket.jupyter.org":
        connection.write_message(serialize_msg_to_ws_v1(message, "iopub", connection.session.pack), binary=True)
    else:
        message["channel"] = "iopub"
        connection.write_message(json.dumps(message, default=str))


async def send_to_kernel(kernel: Any, content: dict[str, Any], log: Any) -> None:
    """Open a comm in the kernel, and stay until it has been read: a closed socket drops what was not."""
    client = kernel.client()
    try:
        client.start_channels(iopub=False, stdin=False, hb=False, control=False)
        opened = {"comm_id": uuid.uuid4().hex, "target_name": COMM_TARGET, "data": content}
        client.shell_channel.send(client.session.msg("comm_open", opened))
        # Answered in turn: when this has its reply, the kernel has read the comm.
        await client.kernel_info(reply=True, timeout=_KERNEL_PATIENCE)
    except Exception as error:
        log.warning("A kernel could not be told that the job ends: %s", error)
    finally:
        client.stop_channels()
