"""What `simdeck doctor` looks at about Slurm: munge, commands, versions, answers, partitions, accounting."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from simdeck_clusters.executor import run_process
from simdeck_clusters.settings import ClusterSettings
from simdeck_clusters.slurm import argv
from simdeck_common.problems import Problem

from simdeck_hub.doctor import Examination, Finding, State
from simdeck_hub.doctor_site import ask, cluster_of

OLDEST = (22, 5)
"""The oldest Slurm this was tried with."""
SLOW_SECONDS = 5.0
_VERSION = re.compile(r"(\d+)\.(\d+)")


async def munge(examination: Examination) -> list[Finding]:
    """Whether this machine can make and read the credentials that the clusters' daemons ask for."""
    sockets: dict[str, str] = {}
    for settings in examination.site.clusters:
        if settings.executor == "ssh":
            continue
        config = await configuration(examination, settings)
        kind = re.search(r"^\s*AuthType\s*=\s*(\S+)", config, re.MULTILINE | re.IGNORECASE)
        if kind is not None and kind.group(1) != "auth/munge":
            continue
        own = re.search(r"^\s*AuthInfo\s*=.*?\bsocket=([^,\s]+)", config, re.MULTILINE | re.IGNORECASE)
        sockets.setdefault(own.group(1) if own else "", settings.label)
    if not sockets:
        return [Finding("munge", "Munge", "skipped", "no cluster here asks for it")]
    return [await _munge(socket, label) for socket, label in sockets.items()]


async def configuration(examination: Examination, settings: ClusterSettings) -> str:
    """Return slurm.conf, or where it cannot be read here what the controller says of it.

    The file first: without munge, which is looked for in it, no command would answer.
    """
    try:
        return Path(settings.slurm_conf or "/etc/slurm/slurm.conf").read_text(encoding="utf-8", errors="replace")  # noqa: ASYNC240
    except OSError:
        return (await ask(examination, settings, ["scontrol", "show", "config"])).out


def answering(examination: Examination) -> Iterator[ClusterSettings]:
    """Yield the clusters that are worth asking more."""
    return (settings for settings in examination.site.clusters if settings.name not in examination.silent)


async def _munge(socket: str, label: str) -> Finding:
    name, title = "munge", f"Munge for {label}"
    chosen = [f"--socket={socket}"] if socket else []
    made = await run_process(["munge", "-n", *chosen], timeout=10)
    if not made.ok:
        return Finding(
            name, title, "failed", f"no credential could be made: {made.message}",
            "Install munge and start munged (systemctl start munge); its key must be the cluster's.",
        )  # fmt: skip
    read = await run_process(["unmunge", *chosen], stdin=made.out.encode(), timeout=10)
    if not read.ok:
        return Finding(
            name, title, "failed", f"a credential could not be read: {read.message}", "Look at munged's log."
        )
    return Finding(name, title, "ok", "credentials are made and read")


async def programs(examination: Examination) -> list[Finding]:
    """Whether Slurm's commands are found where the site file says, on this machine."""
    found = []
    for settings in examination.site.clusters:
        title = f"Slurm's commands for {settings.label}"
        if settings.executor == "ssh":
            found.append(Finding("programs", title, "skipped", "they are on the login node"))
            continue
        missing = [
            program
            for program in argv.known_programs()
            if (shutil.which(program) if settings.slurm_bin is None else _runs(Path(settings.slurm_bin, program)))
            is None
        ]
        optional = {"sacct", "sacctmgr", "sshare"}
        if not missing:
            found.append(Finding("programs", title, "ok", "all are there"))
            continue
        where = settings.slurm_bin or "PATH"
        state: State = "warning" if set(missing) <= optional else "failed"
        found.append(
            Finding("programs", title, state, f"{', '.join(missing)} not found in {where}",
                    "Install Slurm's client commands, or give their folder as slurm_bin of the cluster.")
        )  # fmt: skip
    return found


def _runs(path: Path) -> str | None:
    return str(path) if path.is_file() else None


async def versions(examination: Examination) -> list[Finding]:
    """Which Slurm this is: commands, controller, nodes."""
    found = []
    for settings in answering(examination):
        title = f"Slurm's versions on {settings.label}"
        cluster = cluster_of(examination, settings)
        own = await cluster.version()
        config = await ask(examination, settings, ["scontrol", "show", "config"])
        told = re.search(r"^SLURM_VERSION\s*=\s*(\S+)", config.out, re.MULTILINE)
        controller = told.group(1) if told else "unknown"
        nodes = sorted({node.slurm_version for node in (await cluster.nodes()).values() if node.slurm_version})
        message = f"commands {own}, controller {controller}, nodes {', '.join(nodes) or 'unknown'}"
        if older(own, OLDEST):
            remedy = f"Simdeck was tried with {OLDEST[0]}.{OLDEST[1]:02d} and newer; expect gaps with older ones."
            found.append(Finding("slurm-version", title, "warning", message, remedy))
        elif controller != "unknown" and _release(controller) < _release(own):
            remedy = "Commands must not be newer than the controller; install the cluster's own version here."
            found.append(Finding("slurm-version", title, "failed", message, remedy))
        else:
            found.append(Finding("slurm-version", title, "ok", message))
    return found


def _release(version: str) -> tuple[int, int]:
    numbers = _VERSION.match(version)
    return (int(numbers.group(1)), int(numbers.group(2))) if numbers else (0, 0)


def older(version: str, than: tuple[int, int]) -> bool:
    """Return whether a version like "22.05.8" is older than a release."""
    return _release(version) < than


async def answers(examination: Examination) -> list[Finding]:
    """Whether the controller answers, how fast, and whether nodes are up."""
    return [await _answer(examination, settings) for settings in examination.site.clusters]


async def _answer(examination: Examination, settings: ClusterSettings) -> Finding:
    name, title = "slurm-answers", f"{settings.label} answers"
    begin = time.monotonic()
    try:
        cluster = cluster_of(examination, settings)
        jobs, nodes = await asyncio.gather(cluster.queue(), cluster.nodes())
    except Problem as problem:
        examination.silent.add(settings.name)
        return Finding(
            name,
            title,
            "failed",
            problem.detail,
            "Does slurmctld run, and does slurm.conf (slurm_conf) name it? `scontrol ping` tells.",
        )
    seconds = time.monotonic() - begin
    up = sum(node.usable for node in nodes.values())
    message = f"{len(jobs)} jobs, {up} of {len(nodes)} nodes usable, answered in {seconds:.1f} s"
    if not up:
        return Finding(name, title, "failed", message, "Look at `sinfo -R`: why are the nodes down?")
    if seconds > SLOW_SECONDS:
        return Finding(name, title, "warning", message, "The controller is slow; raise poll_seconds of the cluster.")
    return Finding(name, title, "ok", message)


async def partitions(examination: Examination) -> list[Finding]:
    """Whether the partitions that are offered exist and are up."""
    found = []
    for settings in answering(examination):
        title = f"Partitions of {settings.label}"
        known = await cluster_of(examination, settings).partitions()
        offered = [offer.name for offer in settings.partitions]
        unknown = [partition for partition in offered if partition not in known]
        if unknown:
            found.append(
                Finding("partitions", title, "failed", f"there is no {', '.join(unknown)}; there is {', '.join(known)}",
                        "Correct [[clusters.partitions]] in the site file.")
            )  # fmt: skip
        else:
            found.append(Finding("partitions", title, "ok", ", ".join(offered or known)))
    return found


async def accounting(examination: Examination) -> list[Finding]:
    """Whether Slurm keeps accounts."""
    found = []
    for settings in answering(examination):
        title = f"Accounting of {settings.label}"
        if settings.accounting == "off":
            found.append(Finding("accounting", title, "ok", "switched off in the site file"))
            continue
        associations = await cluster_of(examination, settings).associations()
        if associations is not None:
            found.append(Finding("accounting", title, "ok", f"sacct answers; {len(associations)} associations"))
            continue
        state: State = "failed" if settings.accounting == "on" else "warning"
        found.append(
            Finding("accounting", title, state, "sacct does not answer",
                    "Without slurmdbd there are no balances, and failures are explained from fewer facts. Set "
                    'accounting = "off" for the cluster if that is meant.')
        )  # fmt: skip
    return found
