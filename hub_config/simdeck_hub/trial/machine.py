"""What the trial needs of this machine: root, Debian, packages, free names and a free network."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from simdeck_common.problems import Problem

from simdeck_hub.trial.ledger import Ledger

PROGRAMS = {
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "squeue": "slurm-wlm",
    "munged": "munge",
    "sudo": "sudo",
    "visudo": "sudo",
    "ip": "iproute2",
    "unshare": "util-linux",
    "mount": "mount",
    "useradd": "passwd",
}
ACCOUNTING_PROGRAMS = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server", "mariadb-install-db": "mariadb-server"}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_LINE = "# The Simdeck trial: installed services are not started."
SUBNETS = [f"10.{second}.0.0/24" for second in (77, 78, 79, 177, 178, 179)] + ["172.31.77.0/24", "192.168.77.0/24"]
OLDEST_PYTHON = (3, 11)


def refuse(what: str, hint: str) -> Problem:
    return Problem("trial", what=what.rstrip("."), hint=hint.rstrip("."))


def check() -> None:
    """Refuse where a trial cannot be run at all.

    Raises
    ------
    Problem
        ``trial``: not root, not Debian or Ubuntu, or no namespaces.
    """
    if os.getuid() != 0:
        raise refuse(
            "A trial site makes accounts, a network and a cluster, so it needs root",
            "Run `sudo make site`; `make up` needs no root and starts Simdeck for you alone",
        )
    if not shutil.which("apt-get", path=SYSTEM_PATH):
        raise refuse("A trial site is made for Debian and Ubuntu, and this is another system", "Use such a machine")


def check_namespaces() -> None:
    """Refuse where the kernel, or the container this runs in, allows no namespaces."""
    try:
        run(["unshare", "--net", "--uts", "--mount", "--pid", "--fork", "--mount-proc", "true"])
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()
        raise refuse(
            f"This machine allows no namespaces, which the trial's nodes are made of ({said[-1] if said else ''})",
            "Use a virtual machine, or a container that may make namespaces (--privileged)",
        ) from error


def missing_packages(*, accounting: bool) -> list[str]:
    """Return the Debian packages whose programs are not on this machine."""
    wanted = PROGRAMS | (ACCOUNTING_PROGRAMS if accounting else {})
    return sorted({package for program, package in wanted.items() if not shutil.which(program, path=SYSTEM_PATH)})


def install(packages: Sequence[str], ledger: Ledger, say: Callable[[str], None]) -> None:
    """Install Debian packages. Their services are not started: the trial runs its own, beside any of the machine.

    Raises
    ------
    Problem
        ``trial``: apt-get's own words.
    """
    say(f"Installing {', '.join(packages)} with apt-get (they stay; nothing of them is started) …")
    made = not POLICY.exists()
    if made:
        ledger.note("file", path=str(POLICY), line=POLICY_LINE)
        POLICY.write_text(f"#!/bin/sh\n{POLICY_LINE}\nexit 101\n", encoding="utf-8")
        POLICY.chmod(0o755)
    try:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "PATH": SYSTEM_PATH}
        for argv in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-qq", "-y", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends", *packages],
        ):
            code, said = run_whole(argv, environment)
            if code and argv[1] == "install":
                raise refuse(f"apt-get could not install {', '.join(packages)}: {said}",
                             "Install them by hand, then start again")  # fmt: skip
    finally:
        if made:
            POLICY.unlink(missing_ok=True)


def run_whole(argv: Sequence[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run apt-get to its end even when we are to stop: half an installation is no good. Return code and last words."""
    with subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            _, said = process.communicate()
        except KeyboardInterrupt:
            process.communicate()
            raise
    lines = said.strip().splitlines()
    return process.returncode, lines[-1] if lines else "no reason given"


def run(
    argv: Sequence[str], *, env: dict[str, str] | None = None, stdin: str | None = None, timeout: float = 60
) -> str:
    """Run a program and return what it printed; ``CalledProcessError`` carries its words (text)."""
    return subprocess.run(
        list(argv), env=env or system_environment(), input=stdin or "", capture_output=True, text=True,
        timeout=timeout, check=True,
    ).stdout  # fmt: skip


def system_environment() -> dict[str, str]:
    return {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", "HOME": "/root"}


def check_names(users: Sequence[str], groups: Sequence[str]) -> None:
    """Refuse to touch accounts and groups that exist.

    Raises
    ------
    Problem
        ``trial``: names one that is taken.
    """
    for name in users:
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            raise refuse(
                f"There is an account {name!r} on this machine already, and the trial touches only accounts it made",
                "Choose other names: make site USERS=ada,emil, or SERVICE_USER=… for the service's account",
            )
    for name in [*users, *groups]:
        with contextlib.suppress(KeyError):
            grp.getgrnam(name)
            raise refuse(f"There is a group {name!r} on this machine already", "Choose other names: make site USERS=…")


def free_group_number() -> int:
    """Return the number of no group, below those for people."""
    taken = {group.gr_gid for group in grp.getgrall()}
    return next(number for number in range(980, 200, -1) if number not in taken)


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let no other trial of this machine choose names and networks meanwhile."""
    handle = os.open("/run", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def used_networks() -> list[IPv4Network]:
    """Return the networks this machine has an address in or a route to (not the default route)."""
    found = []
    for route in json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]) or "[]"):
        with contextlib.suppress(ValueError):
            found.append(IPv4Network(route.get("dst", ""), strict=False))
    return found


def free_network(wanted: str | None = None) -> IPv4Network:
    """Return a network nobody here uses: ``wanted``, or the first free one of a few.

    Raises
    ------
    Problem
        ``trial``: it is taken, or all are.
    """
    used = used_networks()
    for candidate in [wanted] if wanted else SUBNETS:
        network = IPv4Network(candidate)
        if not any(network.overlaps(other) for other in used if other.prefixlen):
            return network
    raise refuse(
        f"{wanted or 'Each network the trial knows'} is in use on this machine",
        "Name a free private one: make site SUBNET=10.99.0.0/24",
    )


def free_link(prefix: str) -> str:
    """Return a name of a network device that does not exist."""
    for number in range(100):
        if not Path(f"/sys/class/net/{prefix}{number}").exists():
            return f"{prefix}{number}"
    raise refuse("All names of the trial's network devices are taken", "Remove some with `ip link del`")


def host_name() -> str:
    return socket.gethostname().split(".")[0]


def public_python() -> str:
    """Return a Python that every account may execute.

    Raises
    ------
    Problem
        ``trial``: there is none (a Python below root's home is for root alone).
    """
    for candidate in candidates():
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            done = subprocess.run(
                [candidate, "-I", "-c", "import ensurepip, venv, ssl, sqlite3, sys; print(*sys.version_info[:2])"],
                user=65534, group=65534, extra_groups=[], cwd="/", env={"PATH": SYSTEM_PATH}, timeout=30,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
            )  # fmt: skip
            major, minor = map(int, done.stdout.split())
            if (major, minor) >= OLDEST_PYTHON:
                return candidate
    raise refuse(
        "There is no Python 3.11 or newer that every account may execute",
        "Install one for all: apt-get install python3 python3-venv",
    )


def candidates() -> Iterator[str]:
    yield os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    for folder in ("/usr/bin", "/usr/local/bin"):
        for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
            if Path(folder, name).exists():
                yield os.path.realpath(Path(folder, name))
