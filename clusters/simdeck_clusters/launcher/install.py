"""Puts ``simdeck-launch``, its configuration and the sudo rule in their places. All three belong to root.

The texts are made by pure functions; ``install`` writes them, and asks ``visudo`` before a rule takes effect.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = Path(__file__).with_name("simdeck_launch.py")
SUDOERS = Path("/etc/sudoers.d/simdeck")
PYTHON = Path("/usr/bin/python3")
_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}", re.ASCII)
_PATH = re.compile(r"(/[A-Za-z0-9_.+-]+)+", re.ASCII)


@dataclass(frozen=True)
class ClusterCommands:
    """Where one cluster's Slurm commands lie, and the ``SLURM_CONF`` they are run with (empty: Slurm's default)."""

    bin: str = "/usr/bin"
    conf: str = ""


@dataclass(frozen=True)
class LaunchConfig:
    """``launch.json``: what root tells the launcher.

    Parameters
    ----------
    service_user
        The account of hub and deck; the only one whose connections agents take.
    agent
        The words an agent is started with, the first an absolute path.
    clusters
        By the clusters' names; the first is the default.
    environment
        Variables every agent and Slurm command gets besides ``PATH``, ``LANG`` and what names the user.
    seconds
        The longest a command of Slurm, or the start of an agent, may take.
    """

    service_user: str
    agent: Sequence[str]
    clusters: Mapping[str, ClusterCommands] = field(default_factory=lambda: {"main": ClusterCommands()})
    path: str = "/usr/local/bin:/usr/bin:/bin"
    environment: Mapping[str, str] = field(default_factory=dict)
    minimum_uid: int = 1000
    seconds: float = 60.0

    def text(self) -> str:
        """Return the file's content."""
        clusters = {name: {"bin": entry.bin, "conf": entry.conf} for name, entry in self.clusters.items()}
        content = {
            "service_user": self.service_user,
            "minimum_uid": self.minimum_uid,
            "path": self.path,
            "environment": dict(self.environment),
            "agent": list(self.agent),
            "clusters": clusters,
            "seconds": self.seconds,
        }
        return json.dumps(content, indent=2) + "\n"


@dataclass(frozen=True)
class Places:
    """Where the three files of an installation below ``prefix`` lie."""

    prefix: Path
    sudoers: Path = SUDOERS

    @property
    def program(self) -> Path:
        return self.prefix / "libexec" / "simdeck-launch"

    @property
    def config(self) -> Path:
        return self.prefix / "libexec" / "launch.json"

    def all(self) -> list[Path]:
        return [self.program, self.config, self.sudoers]


def agent_words(python: Path, settings: Path) -> list[str]:
    """Return what starts an agent with the environment's ``python`` and the site's ``agent.json``."""
    return [str(python), "-I", "-m", "simdeck_agent", "--settings", str(settings)]


def sudoers_text(service_user: str, group: str, program: Path) -> str:
    """Return the sudo rule: ``service_user`` may run ``program`` as any member of ``group``, and nothing else.

    Raises
    ------
    ValueError
        A name or the path holds a character that sudo would read as something else.
    """
    for what in (service_user, group):
        if not _NAME.fullmatch(what):
            raise ValueError(f"{what!r} is not a plain account or group name")
    if not _PATH.fullmatch(str(program)) or ".." in program.parts:
        raise ValueError(f"{program} is not an absolute path of plain letters")
    # Two rules with one alias would be an error for sudo, and another Simdeck may be on this machine.
    alias = "SIMDECK_LAUNCH_" + hashlib.sha256(f"{service_user} {program}".encode()).hexdigest()[:8].upper()
    return (
        "# Simdeck: the service starts its one launcher as a member of the group. Nothing else is granted.\n"
        f"Cmnd_Alias {alias} = {program}\n"
        # No terminal and no log of input: agents are started on a socket, and input carries tokens.
        f"Defaults!{alias} env_reset, !use_pty, !requiretty, !log_input, !log_output, umask=0077\n"
        f"{service_user} ALL=(%{group}) NOPASSWD: {alias}\n"
    )


def program_text(python: Path = PYTHON) -> str:
    """Return the program with its first line: isolated (``-I``), and without the site's packages (``-S``)."""
    if not _PATH.fullmatch(str(python)):
        raise ValueError(f"{python} is not an absolute path of plain letters")
    return f"#!{python} -IS\n" + PROGRAM.read_text(encoding="utf-8")


def check_sudoers(text: str, visudo: str | None = None) -> str:
    """Return what ``visudo -c`` has against the rule, or nothing.

    Raises
    ------
    FileNotFoundError
        There is no ``visudo`` here.
    """
    found = visudo or shutil.which("visudo", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise FileNotFoundError("visudo is missing; install sudo")
    with tempfile.NamedTemporaryFile("w", suffix=".sudoers", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        done = subprocess.run([found, "-c", "-f", stream.name], capture_output=True, text=True, timeout=20, check=False)
    return "" if done.returncode == 0 else (done.stderr + done.stdout).replace(stream.name, "the rule").strip()


def install(places: Places, config: LaunchConfig, group: str, *, python: Path = PYTHON) -> None:
    """Write program (755), configuration (644) and, last, the sudo rule (440). Run by root; repeatable.

    Raises
    ------
    PermissionError
        This is not root.
    ValueError
        A name is not usable, or ``visudo`` refuses the rule; nothing was written then.
    """
    if os.getuid() != 0:
        raise PermissionError("only root can install the launcher")
    rule = sudoers_text(config.service_user, group, places.program)
    fault = check_sudoers(rule)
    if fault:
        raise ValueError(f"visudo refuses the rule: {fault}")
    program = program_text(python)
    for folder in (places.prefix, places.program.parent):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder.chmod(0o755)
    _put(places.config, config.text(), 0o644)
    _put(places.program, program, 0o755)
    places.sudoers.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    _put(places.sudoers, rule, 0o440)


def remove(places: Places) -> None:
    """Take the three files away again, the rule first; what is gone already is well."""
    for path in reversed(places.all()):
        path.unlink(missing_ok=True)


def _put(path: Path, text: str, mode: int) -> None:
    # A name with a dot is no rule for sudo while it is being written.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
        stream.write(text)
        os.fchmod(stream.fileno(), mode)
        os.fchown(stream.fileno(), 0, 0)
    os.replace(temporary, path)


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m simdeck_clusters.launcher.install``: what root calls once, and again after an update."""
    parser = argparse.ArgumentParser(prog="simdeck_clusters.launcher.install", description="Install simdeck-launch.")
    parser.add_argument("--prefix", type=Path, default=Path("/opt/simdeck"), help="the site's folder")
    parser.add_argument("--service", default="simdeck", help="account that runs hub and deck")
    parser.add_argument("--group", default="simdeck-users", help="Unix group of the people it may act for")
    parser.add_argument("--data", type=Path, required=True, help="the service's data folder, where agent.json lies")
    parser.add_argument(
        "--cluster",
        action="append",
        default=[],
        metavar="NAME[=SLURM_CONF]",
        help="as the site file names it; repeatable",
    )
    parser.add_argument("--slurm-bin", default="/usr/bin", help="folder of Slurm's commands")
    parser.add_argument("--python", type=Path, default=PYTHON, help="interpreter of the launcher itself")
    parser.add_argument("--print", action="store_true", dest="show", help="print the sudo rule and write nothing")
    given = parser.parse_args(argv)
    places = Places(given.prefix)
    clusters = {}
    for entry in given.cluster or ["main"]:
        name, _, conf = entry.partition("=")
        clusters[name] = ClusterCommands(given.slurm_bin, conf)
    agent = agent_words(given.prefix / "env" / "bin" / "python", given.data / "agent.json")
    try:
        if given.show:
            sys.stdout.write(sudoers_text(given.service, given.group, places.program))
            return 0
        install(places, LaunchConfig(given.service, agent, clusters), given.group, python=given.python)
    except (OSError, ValueError) as error:
        print(f"Not installed: {error}", file=sys.stderr)
        return 1
    for path in places.all():
        print(f"Wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
