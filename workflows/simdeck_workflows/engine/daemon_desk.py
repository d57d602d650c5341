"""Answers ``verdi`` where it asks for AiiDA's daemon: the worker is that daemon, only without circus around it.

Without this, ``verdi status`` fails, and ``verdi daemon start`` takes the worker's pid file for a stale one and starts
a second daemon on the same profile. The worker's command line holds the word ``circusd`` for the same reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import zmq
from aiida.engine.daemon.client import get_daemon_client
from aiida.manage.configuration import get_config
from simdeck_common.files import write_atomically


def answer(command: str, pid: int, stop: Callable[[], object]) -> dict[str, Any]:
    """The answer to a circus command. ``quit`` ends the worker; the agent starts the next one when runs need it."""
    process = psutil.Process(pid)
    info = {"cpu": process.cpu_percent(), "mem": process.memory_percent(), "create_time": process.create_time()}
    if command == "status":
        return {"status": "active"}
    if command == "numprocesses":
        return {"status": "ok", "numprocesses": 1}
    if command == "stats":
        return {"status": "ok", "info": {str(pid): {**info, "pid": pid}}}
    if command == "dstats":
        return {"status": "ok", "info": info}
    if command == "quit":
        stop()
        return {"status": "ok"}
    return {"status": "error", "reason": "Simdeck's worker is the daemon of this profile; it has one process, always."}


def end_plain_daemon() -> None:
    """End a daemon that somebody started by hand: a profile may have one only. Call it before the broker starts."""
    client = get_daemon_client()
    # Whatever goes wrong here says that there is no daemon that answers.
    with contextlib.suppress(Exception):
        if "start-circus" in psutil.Process(client.get_daemon_pid()).cmdline():
            client.stop_daemon(wait=True)


class DaemonDesk:
    """A thread that answers on the socket where ``verdi`` looks for circus."""

    def __init__(self, profile: Any, sockets: Path, stop: Callable[[], object]) -> None:
        paths = get_config().filepaths(profile)["circus"]
        self._pid_file = Path(paths["pid"])
        self._sockets_file = Path(paths["socket"]["file"])
        self._socket = sockets / paths["socket"]["controller"]
        self._stop_worker = stop
        self._stopping = threading.Event()

    def start(self) -> None:
        """Answer from now on."""
        self._pid_file.parent.mkdir(parents=True, exist_ok=True)
        threading.Thread(target=self._run, name="daemon-desk", daemon=True).start()
        write_atomically(self._sockets_file, str(self._socket.parent))
        # What `submit` and `verdi` look at to decide whether a daemon runs.
        write_atomically(self._pid_file, str(os.getpid()))

    def stop(self) -> None:
        self._pid_file.unlink(missing_ok=True)
        self._stopping.set()

    def _run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.ROUTER) as desk:
            desk.setsockopt(zmq.LINGER, 0)
            desk.bind(f"ipc://{self._socket}")
            while not self._stopping.is_set():
                if desk.poll(1000):
                    self._serve(desk)

    def _serve(self, desk: Any) -> None:
        frames = desk.recv_multipart()
        try:
            message = json.loads(frames[-1])
            reply = answer(str(message.get("command", "")).lower(), os.getpid(), self._stop_worker)
            reply |= {"id": message.get("id"), "time": time.time()}
        except (ValueError, AttributeError):
            return
        desk.send_multipart([*frames[:-1], json.dumps(reply).encode()])
