"""The doctor's small job: tries on a compute node what a server needs, and takes itself away again.

It answers whether the home folder is shared, node and hub reach each other, the environment works there, and the
clocks agree. Its name is made before it is submitted; whatever happens, the job is ended and its folder removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shlex
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simdeck_clusters.cluster import Cluster
from simdeck_clusters.settings import ClusterSettings
from simdeck_common.problems import Problem

from simdeck_hub import doctor_probe
from simdeck_hub.configure import Runtime
from simdeck_hub.doctor import Examination, Finding
from simdeck_hub.doctor_cluster import answering
from simdeck_hub.doctor_machine import own_runtime
from simdeck_hub.doctor_site import cluster_of, person

POLL_SECONDS = 1.0
NODE_PATIENCE = 60.0
"""Seconds from the job's start until it must have said all it has to say."""
CLOCK_WARNING, CLOCK_FAILURE = 2.0, 60.0
"""Seconds between the clocks; munge refuses credentials of other machines from 300 on."""
PROBE = Path(doctor_probe.__file__).read_text(encoding="utf-8")
MODULES = ("jupyterhub", "jupyterlab", "voila", "simdeck_spawners", "simdeck_deck")


@dataclass
class Heard:
    """What the job has said so far."""

    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: str = ""
    clock: float | None = None
    """The node's clock minus ours, in seconds."""
    call: str | None = None
    """Why the node could not be called; empty: it could."""
    waited: str = ""
    """Why the job did not start in time."""
    ended: bool = False


async def small_job(examination: Examination) -> list[Finding]:
    """Try a small job on each cluster."""
    user = person(examination)
    if user is None:
        return [Finding("canary", "A job", "skipped", "nobody to submit it as", "Name somebody with --user.")]
    found: list[Finding] = []
    for settings in answering(examination):
        found += await try_cluster(examination, settings, user)
    return found


async def try_cluster(examination: Examination, settings: ClusterSettings, user: str) -> list[Finding]:
    """Submit the job to one cluster and tell what came of it."""
    title = f"A job on {settings.label}"
    cluster = cluster_of(examination, settings)
    name = f"simdeck-doctor-{secrets.token_hex(4)}"
    word = secrets.token_hex(8)
    job = None
    async with listeners(examination) as (ports, urls):
        plan = {"word": word, "ports": ports, "urls": urls, "modules": MODULES, "patience": NODE_PATIENCE}
        try:
            await cluster.write(user, name, {"probe.py": PROBE, "plan.json": plan})
            python = examination.site.service.prefix / "env" / "bin" / "python"
            job = await cluster.submit(user, name, script(name, settings, python))
            heard = await follow(cluster, user, name, word, examination.patience)
        except Problem as problem:
            return [Finding("canary", title, "failed", f"as {user}: {problem.detail}", problem.remedy)]
        finally:
            with contextlib.suppress(Problem):
                if job is not None:
                    await cluster.cancel(user, job)
            with contextlib.suppress(Problem):
                await cluster.clean(user, name)
    return judge(heard, settings, user)


def script(name: str, settings: ClusterSettings, python: Path) -> str:
    """Return the job's script; the site file's values are bound to patterns, and quoted besides."""
    chosen = settings.defaults
    partition = chosen.partition or (settings.partitions[0].name if settings.partitions else None)
    options = {
        "job-name": name, "partition": partition, "account": chosen.account, "qos": chosen.qos,
        "ntasks": "1", "cpus-per-task": "1", "mem": "256M", "time": "5", "export": "NONE", "open-mode": "append",
    }  # fmt: skip
    lines = [f"#SBATCH --{option}={value}" for option, value in options.items() if value is not None]
    probe = f".simdeck/servers/{name}/probe.py"
    return "\n".join(
        [
            "#!/bin/bash",
            *lines,
            "#SBATCH --no-requeue",
            "cd ~ || exit 1",
            f"""echo '{doctor_probe.PREFIX}{{"stage": "script"}}'""",
            f"exec {shlex.quote(str(python))} -I {shlex.quote(probe)}",
            "",
        ]
    )


@contextlib.asynccontextmanager
async def listeners(examination: Examination) -> AsyncIterator[tuple[list[tuple[str, int]], list[str]]]:
    """Yield where the node must reach us: the running hub and proxy, or sockets in their place."""
    runtime = own_runtime(examination)
    hub = examination.site.hub
    address = hub.node_address or "127.0.0.1"
    if runtime is not None:
        yield reached_at(runtime, address, internal_tls=hub.internal_tls)
        return
    ip = hub.ip or "0.0.0.0"  # noqa: S104 - as the hub itself would, so that a firewall shows
    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for port in dict.fromkeys([hub.port, hub.api_port or 0]):
            with contextlib.suppress(OSError):
                server = await stack.enter_async_context(await asyncio.start_server(_hang_up, ip, port))
                ports.append((address, int(server.sockets[0].getsockname()[1])))
        yield ports, []


def reached_at(runtime: Runtime, address: str, *, internal_tls: bool) -> tuple[list[tuple[str, int]], list[str]]:
    """Return the ports and addresses of a running Simdeck that its servers use."""
    ports = [(address, runtime.port), (address, runtime.hub_port)]
    return ports, [] if internal_tls else [f"{runtime.hub_api}/"]


async def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def follow(cluster: Cluster, user: str, name: str, word: str, patience: float) -> Heard:
    """Read what the job says until it has said all, ended, or ran out of time."""
    heard = Heard()
    queued_until = time.monotonic() + patience
    node_until: float | None = None
    while True:
        read_log(heard, (await cluster.read(user, name)).log, word)
        if "listening" in heard.stages and heard.call is None:
            await call(heard, cluster, user, name, word)
        if heard.call is not None or "not-called" in heard.stages or heard.ended:
            return heard
        jobs = await cluster.find_by_name(name, user)
        if jobs and not jobs[0].state.waiting and node_until is None:
            node_until = time.monotonic() + NODE_PATIENCE
        # Looked at once more after its end: the last lines may be on their way through the file system.
        heard.ended = not jobs or jobs[0].state.ended
        if node_until is None and time.monotonic() > queued_until:
            heard.waited = jobs[0].reason if jobs else "it is not in the queue"
            return heard
        if node_until is not None and time.monotonic() > node_until:
            return heard
        await asyncio.sleep(POLL_SECONDS)


def read_log(heard: Heard, log: str, word: str) -> None:
    """Take in the lines of the probe; of another probe's nothing."""
    heard.log = log
    for line in log.splitlines():
        if not line.startswith(doctor_probe.PREFIX):
            continue
        with contextlib.suppress(ValueError, TypeError, KeyError):
            said = json.loads(line.removeprefix(doctor_probe.PREFIX))
            if said["stage"] != "begun" or said["word"] == word:
                heard.stages[str(said["stage"])] = said


async def call(heard: Heard, cluster: Cluster, user: str, name: str, word: str) -> None:
    """Call the probe on its node, as the hub and the proxy call a server, and compare clocks."""
    jobs = await cluster.find_by_name(name, user)
    node = (await cluster.nodes()).get(jobs[0].batch_host or jobs[0].nodes) if jobs else None
    if node is None:
        heard.call = "Slurm does not say on which node it runs"
        return
    address = await cluster.node_address(node)
    try:
        async with asyncio.timeout(15):
            before = time.time()
            reader, writer = await asyncio.open_connection(address, int(heard.stages["listening"]["port"]))
            writer.write(word.encode())
            said = await reader.read(64)
            after = time.time()
            writer.close()
        heard.clock = float(said) - (before + after) / 2
        heard.call = ""
    except (OSError, ValueError, TimeoutError) as error:
        heard.call = f"{address}: {error or type(error).__name__}"


def judge(heard: Heard, settings: ClusterSettings, user: str) -> list[Finding]:
    """Return what all this means."""
    title = f"A job on {settings.label}"
    if heard.waited:
        return [
            Finding("canary", title, "warning", f"it did not start in time: {heard.waited}",
                    "Wait longer with --wait, or give the cluster a default partition with free nodes.")
        ]  # fmt: skip
    if not heard.log:
        return [
            Finding("canary", title, "failed", f"it ran as {user}, but nothing it wrote is seen here",
                    "Home folders must be shared: what a node writes to ~/.simdeck must be seen on the hub's machine.")
        ]  # fmt: skip
    if "begun" not in heard.stages:
        last = next((line for line in reversed(heard.log.splitlines()) if line.strip()), "")
        return [
            Finding("canary", title, "failed", f"its Python did not start on the node: {last[:200]}",
                    "The site's prefix must be on every node, and what the hub's side wrote to ~/.simdeck too.")
        ]  # fmt: skip
    host = heard.stages["begun"]["host"]
    found = [Finding("canary", title, "ok", f"it ran as {user} on {host}; the home folder is shared")]
    found += list(_judge_reach(heard, settings, host))
    found.append(_judge_call(heard, settings, host))
    if heard.clock is not None:
        found.append(_judge_clock(heard.clock, settings, host))
    return found


def _judge_reach(heard: Heard, settings: ClusterSettings, host: str) -> Iterable[Finding]:
    title = f"{settings.label} → hub"
    said = heard.stages.get("reached")
    if said is None:
        yield Finding(
            "node-to-hub", title, "failed", f"{host} was silent while it tried", "Try again with a longer --wait."
        )
        return
    failed = {where: why for where, why in {**said["ports"], **said["urls"]}.items() if why}
    if failed:
        which = "; ".join(f"{where} ({why})" for where, why in failed.items())
        yield Finding(
            "node-to-hub", title, "failed", f"{host} does not reach {which}",
            "Open these ports for the nodes, and check node_address in [hub]: this machine as the nodes see it.",
        )  # fmt: skip
    else:
        yield Finding("node-to-hub", title, "ok", f"{host} reaches {', '.join([*said['ports'], *said['urls']])}")
    title = f"Environment on {settings.label}"
    if said["missing"]:
        yield Finding(
            "node-environment", title, "failed", f"{host} lacks {', '.join(said['missing'])}",
            "The prefix on the nodes is another one, or older: share one, or make it again.",
        )  # fmt: skip
    else:
        yield Finding(
            "node-environment", title, "ok", f"Python {heard.stages['begun']['python']} with all that servers need"
        )


def _judge_call(heard: Heard, settings: ClusterSettings, host: str) -> Finding:
    title = f"Hub → {settings.label}"
    if heard.call == "":
        return Finding("hub-to-node", title, "ok", f"a port of {host} is reached from here")
    reason = heard.call or "the job did not get so far"
    return Finding(
        "hub-to-node", title, "failed", f"a port of {host} cannot be reached: {reason}",
        "Servers listen on ports of their node: open them for the hub's machine; if the name does not resolve, set "
        'node_address = "address" for the cluster.',
    )  # fmt: skip


def _judge_clock(seconds: float, settings: ClusterSettings, host: str) -> Finding:
    title = f"Clock of {settings.label}"
    message = f"{host} is {abs(seconds):.1f} s {'ahead' if seconds > 0 else 'behind'}"
    remedy = "Let one time server set both clocks (chrony)."
    if abs(seconds) > CLOCK_FAILURE:
        return Finding("clock", title, "failed", message, remedy)
    if abs(seconds) > CLOCK_WARNING:
        return Finding("clock", title, "warning", message, remedy)
    return Finding("clock", title, "ok", f"{host} agrees within {max(abs(seconds), 0.1):.1f} s")
