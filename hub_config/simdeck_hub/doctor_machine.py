"""What `simdeck doctor` looks at on every machine: environments, the data folder, sockets, ports, what runs."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from simdeck_common.problems import Problem

from simdeck_hub import instance, parts
from simdeck_hub.configure import Runtime
from simdeck_hub.doctor import Examination, Finding, State
from simdeck_hub.ports import HOST, holder, is_free
from simdeck_hub.site_file import unix_user as whoami

SOCKET_LIMIT = 107
"""Bytes a Unix socket's path may have."""
LONGEST_USER = 32
PASS_THROUGH = 0o011
"""What a site's data folder lets others do: reach what they may read below it."""
LITTLE, TOO_LITTLE = 2 * 2**30, 200 * 2**20
"""Free bytes on the data folder's disk below which it is told, and below which it fails."""


async def environments(examination: Examination) -> list[Finding]:
    """Whether everything ``make up`` makes is there."""
    name, title = "environments", "Environments"
    try:
        examination.checkout.check()
    except Problem as problem:
        return [Finding(name, title, "failed", problem.detail, problem.remedy)]
    return [
        Finding(name, title, "ok", f"the workflow backend, the proxy and Node.js are in {examination.checkout.root}")
    ]


async def data_folder(examination: Examination) -> list[Finding]:
    """Whether the data folder is ours, closed to others, and has space."""
    name, title, root = "data-folder", "Data folder", examination.data.root
    try:
        info = root.lstat()
    except FileNotFoundError:
        above = next(folder for folder in root.parents if folder.is_dir())
        if os.access(above, os.W_OK):
            return [Finding(name, title, "ok", f"{root} is made at the first start")]
        return [
            Finding(name, title, "failed", f"{root} is not there, and cannot be made by {whoami()}",
                    f"As root: install -d -m 711 -o {whoami()} {root}")
        ]  # fmt: skip
    except PermissionError:
        return [Finding(name, title, "failed", f"{root} cannot be reached by {whoami()}", "Open the folders above it.")]
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        return [
            Finding(name, title, "failed", f"{root} is not a folder of {whoami()}",
                    f"Run it as the owner, or give it away: chown -R {whoami()} {root}")
        ]  # fmt: skip
    found = []
    open_to = stat.S_IMODE(info.st_mode) & (0o066 if examination.site.on_site else 0o077)
    private = [
        path for path in (examination.data.private, examination.data.hub, examination.data.agents) if path.exists()
    ]
    loose = [path for path in private if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_to and not open_to & ~PASS_THROUGH and not loose:
        found.append(
            Finding(name, title, "warning", f"others can pass through {root}, and no site file says it is a site's",
                    f"Name the site file with --site (or SIMDECK_SITE); if this is no site: chmod go-rwx {root}")
        )  # fmt: skip
    elif open_to or loose:
        where = ", ".join(map(str, loose or [root]))
        found.append(Finding(name, title, "failed", f"others can look into {where}", f"chmod go-rwx {where}"))
    free = shutil.disk_usage(root).free
    message = f"{root}, {free / 2**30:.1f} GiB free"
    if free < LITTLE:
        state: State = "failed" if free < TOO_LITTLE else "warning"
        found.append(Finding("disk", "Disk", state, message, "Free some space: runs and installs need it."))
    if not found:
        found.append(Finding(name, title, "ok", message))
    return found


async def sockets(examination: Examination) -> list[Finding]:
    """Whether the longest path of a socket fits into what the kernel takes."""
    name, title = "sockets", "Sockets"
    longest = [
        Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir(), "simdeck-4294967295-0123456789", "01234567")
    ]
    longest[0] /= "worker.sock.4194304"
    if examination.site.on_site:
        longest.append(examination.data.agents / ("u" * LONGEST_USER + ".sock"))
    for path in longest:
        if len(os.fsencode(path)) > SOCKET_LIMIT:
            return [
                Finding(name, title, "failed", f"paths below {path.parent} are too long for sockets",
                        "Use a data folder (SIMDECK_DATA) or a runtime folder (XDG_RUNTIME_DIR) with a shorter path.")
            ]  # fmt: skip
    return [Finding(name, title, "ok", "their paths are short enough")]


async def running(examination: Examination) -> list[Finding]:
    """Whether a running Simdeck answers; one that does not run is not an error."""
    name, title, data = "running", "Simdeck itself", examination.data
    state = instance.read_state(data)
    if state is None or not instance.is_locked(data):
        return [Finding(name, title, "ok", "it does not run now")]
    silent = [
        part
        for part, url in (("the hub", f"{state.hub_api}/"), ("the deck", f"{state.api}/openapi.json"))
        if not await parts.answers(url, {})
    ]
    if silent:
        return [
            Finding(name, title, "failed", f"it runs (process {state.pid}), but {' and '.join(silent)} did not answer",
                    f"Read the logs in {data.logs}.")
        ]  # fmt: skip
    return [Finding(name, title, "ok", f"it runs at {state.address} (process {state.pid}); hub and deck answer")]


async def ports(examination: Examination) -> list[Finding]:
    """Whether the ports the site file names are free, or held by our own parts."""
    found = []
    site = examination.site.hub
    own = own_runtime(examination)
    address = own.ip if own else site.ip or HOST
    wanted = {"ports": own.port if own else site.port}
    if site.api_port is not None:
        wanted["api-port"] = site.api_port
    for name, port in wanted.items():
        title = "Port" if name == "ports" else "The hub's port"
        if own is not None:
            found.append(Finding(name, title, "ok", f"{port} is held by Simdeck itself"))
        elif is_free(port, "0.0.0.0" if address == HOST and examination.site.on_site else address):  # noqa: S104
            found.append(Finding(name, title, "ok", f"{port} is free"))
        else:
            found.append(
                Finding(name, title, "failed", f"{port} is taken by {holder(port)}",
                        "End that, or name another port in [hub].")
            )  # fmt: skip
    return found


def own_runtime(examination: Examination) -> Runtime | None:
    """Return where the running Simdeck of this data folder listens, if one runs."""
    if not instance.is_locked(examination.data):
        return None
    try:
        return Runtime.read(examination.data)
    except (OSError, ValueError, TypeError):
        return None
