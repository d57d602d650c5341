"""A compute node of the trial: process 1 of its own namespaces (network, host name, mounts, processes).

Started by ``unshare`` and told on standard input what to be. It ends, and the kernel ends everything on the node with
it, when standard input closes: when whoever made the trial is gone. Standard library only; run with ``python -I``.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from typing import Any

RESTART_PAUSE_SECONDS = 1.0


def command(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def settle(node: dict[str, Any]) -> None:
    """Take the host name and the address, and what differs from node to node: hosts file, temporary files."""
    socket.sethostname(node["name"])
    command("mount", "--make-rprivate", "/")
    command("mount", "--bind", node["hosts"], "/etc/hosts")
    command("mount", "--bind", node["tmp"], "/tmp")  # noqa: S108  (the node's own one)
    command("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/dev/shm")  # noqa: S108
    command("ip", "link", "set", "lo", "up")
    command("ip", "link", "set", node["link"], "name", "eth0")
    command("ip", "addr", "add", node["address"], "dev", "eth0")
    command("ip", "link", "set", "eth0", "up")
    command("ip", "route", "add", "default", "via", node["gateway"])


def start(node: dict[str, Any]) -> subprocess.Popen[bytes]:
    log = os.open(node["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            node["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    finally:
        os.close(log)


def main() -> None:
    sys.stdout.write("here\n")
    sys.stdout.flush()
    node = json.loads(sys.stdin.readline())
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    settle(node)
    daemon = start(node)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    while True:
        ready, _, _ = select.select([woken, sys.stdin], [], [])
        if sys.stdin in ready and not sys.stdin.readline():
            return
        if woken in ready:
            os.read(woken, 512)
        ended = reap()
        if daemon.pid in ended:
            # As a service manager does.
            time.sleep(RESTART_PAUSE_SECONDS)
            daemon = start(node)


def reap() -> set[int]:
    """Collect all that has ended: process 1 inherits every orphan of the node."""
    ended: set[int] = set()
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            ended.add(pid)
    return ended


if __name__ == "__main__":
    main()
