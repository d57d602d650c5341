"""What processes listen on, and what another Unix user can open below a folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

LISTENING = "0A"
ACCEPTS = 0x10000
LOOK = """
import json, os, socket, stat, sys
opened = []
for top in sys.argv[1:]:
    for folder, folders, files in os.walk(top):
        if folder != top:
            opened.append(folder)
        for name in files:
            path = os.path.join(folder, name)
            try:
                if stat.S_ISSOCK(os.lstat(path).st_mode):
                    socket.socket(socket.AF_UNIX).connect(path)
                elif not os.path.islink(path):
                    open(path, "rb").close()
                else:
                    continue
            except OSError:
                continue
            opened.append(path)
print(json.dumps(opened))
"""
CONNECT = """
import json, socket, sys
opened = []
for path in sys.argv[1:]:
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        opened.append(path)
    except PermissionError:
        pass
print(json.dumps(opened))
"""


def _inodes(pids: Iterable[int]) -> set[str]:
    found = set()
    for pid in pids:
        try:
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                target = os.readlink(handle)
                if target.startswith("socket:["):
                    found.add(target[8:-1])
        except OSError:
            continue
    return found


def unix_sockets(pids: Iterable[int]) -> list[str]:
    """Return the addresses of the Unix sockets that these processes listen on; abstract ones begin with ``@``."""
    mine = _inodes(pids)
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    bound = {words[7] for words in lines if len(words) > 7 and int(words[3], 16) & ACCEPTS and words[6] in mine}
    # The kernel keeps the name a socket was bound to; some are renamed to the one they are known by.
    return sorted(path if os.path.exists(path) else re.sub(r"\.\d+$", "", path) for path in bound)


def tcp_ports(pids: Iterable[int]) -> dict[int, str]:
    """Return the TCP ports that these processes listen on, each with its address as the kernel writes it (hex)."""
    mine = _inodes(pids)
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENING and words[9] in mine:
                address, _, port = words[1].partition(":")
                found[int(port, 16)] = address
    return found


def _as_nobody(code: str, arguments: Iterable[str]) -> list[str]:
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", code, *arguments], user="nobody", group="nogroup", extra_groups=[],
        cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    return list(json.loads(done.stdout))


def opened_by_nobody(*tops: Path) -> list[str]:
    """Return the folders, files and sockets below ``tops`` that the Unix user ``nobody`` can open. Needs root."""
    return _as_nobody(LOOK, map(str, tops))


def connected_by_nobody(sockets: Iterable[str]) -> list[str]:
    """Return those of the Unix sockets that ``nobody`` can connect to. Needs root."""
    return _as_nobody(CONNECT, sockets)
