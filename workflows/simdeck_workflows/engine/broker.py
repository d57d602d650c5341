"""AiiDA's ZeroMQ broker as a thread of the worker: one process instead of four, and no stale queue.

The broker's queue on disk is thrown away at each start. The database knows which processes are unfinished, and the
worker enqueues each of them once; a queue that survived a crash could only disagree with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from aiida.brokers.zeromq import server as server_module
from aiida.brokers.zeromq.server import ZeromqBrokerServer
from aiida.brokers.zeromq.service import PID_SENTINEL, ZeromqBrokerService
from aiida.manage.configuration import get_config
from simdeck_common.files import write_atomically
from simdeck_common.layout import private_dir

_STATUS_EVERY = 5.0


class BrokerThread:
    """Runs the broker of an AiiDA profile; ``runtime`` is a short private folder for its socket."""

    def __init__(self, profile: Any, runtime: Path) -> None:
        paths = get_config().filepaths(profile)
        self._layout = ZeromqBrokerService.FilepathLayout(paths["broker_service"]["dir"])
        self._sockets = runtime / "broker"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._ready = threading.Event()
        self._server: ZeromqBrokerServer | None = None

    def start(self) -> None:
        """Clear what a dead worker left, and start.

        Raises
        ------
        RuntimeError
            The broker did not come up.
        """
        shutil.rmtree(self._layout.service_dir, ignore_errors=True)
        shutil.rmtree(self._sockets, ignore_errors=True)
        self._layout.service_dir.mkdir(parents=True)
        private_dir(self._sockets)
        # Both ends live in this process, so a heartbeat proves nothing; but a machine that slept for longer than its
        # time-out would wake to a broker that has dropped its only worker for good.
        server_module.HEARTBEAT_IVL = 0
        self._server = ZeromqBrokerServer(storage_path=self._layout.storage_path, sockets_path=self._sockets)
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the broker did not start")
        write_atomically(self._layout.sockets_file, str(self._sockets))
        write_atomically(self._layout.pid_file, f"{PID_SENTINEL} {os.getpid()}")

    @property
    def sockets(self) -> Path:
        """The folder of the worker's ZeroMQ sockets."""
        return self._sockets

    def healthy(self) -> bool:
        """Whether the thread lives and has a worker to give tasks to."""
        return (
            self._thread.is_alive() and self._server is not None and self._server.get_status()["task_subscribers"] > 0
        )

    def stop(self) -> None:
        for path in (self._layout.pid_file, self._layout.sockets_file, self._layout.status_file):
            path.unlink(missing_ok=True)
        self._stopping.set()
        self._thread.join(3)
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _run(self) -> None:
        assert self._server is not None
        self._server.start()
        self._ready.set()
        told = 0.0
        while not self._stopping.is_set():
            self._server.run_once(1.0)
            if time.monotonic() - told > _STATUS_EVERY:
                told = time.monotonic()
                self._tell_status(self._server.get_status())
        self._server.stop()

    def _tell_status(self, status: dict[str, Any]) -> None:
        # Read by `verdi status`; the layout is that of AiiDA's own broker service.
        with contextlib.suppress(OSError):
            body = {**status, "timestamp": time.time(), "pid": os.getpid()}
            write_atomically(self._layout.status_file, json.dumps(body))
