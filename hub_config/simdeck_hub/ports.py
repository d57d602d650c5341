"""Ports on 127.0.0.1: finding free ones, and naming what holds a taken one."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
from pathlib import Path

import psutil

HOST = "127.0.0.1"
LOWEST = 10_000
"""Below are the ports of well-known services."""
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
TRIES = 2_000


def is_free(port: int, host: str = HOST) -> bool:
    """Return whether a service could listen on ``port`` of ``host`` now; an address not of this machine holds none."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that was closed a moment ago does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRNOTAVAIL
    return True


def free_ports(count: int) -> list[int]:
    """Return ``count`` different ports that are free now.

    They are chosen below the range the kernel takes the ports of outgoing connections from: such a connection may hold
    a port for minutes, and a part that is started again needs its old one at once.

    Raises
    ------
    OSError
        No free ports were found.
    """
    lowest, highest = listening_range()
    chosen: list[int] = []
    with contextlib.ExitStack() as held:
        for _ in range(TRIES):
            if len(chosen) == count:
                return chosen
            candidate = random.randint(lowest, highest)  # noqa: S311  (no secret: only to keep two starts apart)
            one = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with contextlib.suppress(OSError):
                one.bind((HOST, candidate))
                chosen.append(candidate)
    raise OSError(f"no {count} free ports between {lowest} and {highest}")


def listening_range(ephemeral: Path = EPHEMERAL) -> tuple[int, int]:
    """Return the lowest and highest port to listen on: outside the kernel's range of outgoing connections."""
    try:
        first, last = map(int, ephemeral.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        first, last = 32768, 60999
    if first - LOWEST >= TRIES:
        return LOWEST, first - 1
    # A machine that uses the low ports for outgoing connections: above them, else anywhere.
    return (last + 1, 65535) if 65535 - last >= TRIES else (LOWEST, 65535)


def next_free(port: int, tries: int = 100) -> int:
    """Return the first free port after ``port``, to suggest it."""
    for candidate in range(port + 1, min(port + tries, 65535)):
        if is_free(candidate):
            return candidate
    return free_ports(1)[0]


def holder(port: int) -> str:
    """Return a phrase for what listens on ``port``: the program and pid where this user may see them."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.AccessDenied, OSError):
        connections = []
    for connection in connections:
        if (
            connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid
        ):
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return "another program"
