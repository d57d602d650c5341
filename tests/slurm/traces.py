"""What a trial could leave on a machine, looked at from outside."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path


def traces(names: tuple[str, ...]) -> dict[str, object]:
    """Return what a trial touches, as it is now; ``names`` are its accounts and groups."""
    return {
        "accounts": [line for line in lines("getent", "passwd") if line.split(":")[0] in names],
        "groups": [line for line in lines("getent", "group") if line.split(":")[0] in names],
        "in groups": [line for line in lines("getent", "group") if set(line.split(":")[-1].split(",")) & set(names)],
        "namespaces": lines("ip", "netns"),
        "rules": [name for name in folder("/etc/sudoers.d") if set(rule_words(name)) & set(names)],
        "munge": folder("/etc/munge"),
        "slurm": folder("/etc/slurm"),
        "policy": Path("/usr/sbin/policy-rc.d").exists(),
    }


def rule_words(name: str) -> list[str]:
    try:
        return Path("/etc/sudoers.d", name).read_text(encoding="utf-8").replace("%", " ").replace(")", " ").split()
    except FileNotFoundError:
        return []


def lines(*argv: str) -> list[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()


def folder(path: str) -> list[str]:
    return sorted(os.listdir(path)) if Path(path).is_dir() else []


def devices() -> list[str]:
    found = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=True).stdout)
    return [str(link["ifname"]) for link in found]


def processes_below(path: Path) -> list[str]:
    """Return the command lines of processes that name ``path``, or run in it, or have a file there open."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            places = [command, os.readlink(entry / "cwd"), os.readlink(entry / "exe")]
        except OSError:
            continue
        if any(str(path) in place for place in places):
            found.append(f"{entry.name}: {command}")
    return found


def mounts_below(path: Path) -> list[str]:
    return [line for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines() if str(path) in line]
