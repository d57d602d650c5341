"""Servers as Slurm jobs against the stock pair (JupyterHub and batchspawner) on the same private cluster in one run.

Measured from outside for both: the time from the request to the hub's word "ready", from the first process of the job to
"ready", and how often the controller is asked about jobs (its own counters, ``sdiag``), with one and with many servers
in the queue. Needs root on Debian or Ubuntu, as ``make site`` does.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from simdeck_hub.ports import free_ports
from simdeck_hub.trial import machine
from simdeck_spawners.identity import start_ticks
from slurm.site_stack import ALICE, SiteStack, missing_for_slurm
from stack import wait_for

ROUNDS = 5
PENDING = 50
WINDOW_SECONDS = 20.0
QUERIES = re.compile(r"(REQUEST_JOB_INFO|REQUEST_JOB_INFO_SINGLE|REQUEST_JOB_USER_INFO)\s.*?count:(\d+)")

STOCK = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}/"
c.JupyterHub.hub_bind_url = "http://{address}:{hub_port}"
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.ConfigurableHTTPProxy.command = {proxy}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.pid_file = "{folder}/proxy.pid"
c.JupyterHub.spawner_class = "batchspawner.SlurmSpawner"
c.SlurmSpawner.batchspawner_singleuser_cmd = "{bin}/batchspawner-singleuser"
c.SlurmSpawner.cmd = ["{bin}/jupyterhub-singleuser"]
c.SlurmSpawner.environment = {{"SLURM_CONF": "{conf}", "PATH": "{path}"}}
c.SlurmSpawner.req_keepvars_extra = "SLURM_CONF"
c.Spawner.start_timeout = 3600
c.Spawner.http_timeout = 120
c.JupyterHub.services = [{{"name": "bench", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [{{"name": "bench", "services": ["bench"], "scopes": ["admin:users", "admin:servers"]}}]
import batchspawner
"""


class Hub:
    """A hub to be asked to start servers of one user: ours or the stock one."""

    def __init__(self, url: str, token: str, options: dict[str, Any]) -> None:
        self.options = options
        self.http = httpx.AsyncClient(
            base_url=f"{url}/hub/api/users/{ALICE}",
            headers={"Authorization": f"token {token}"},
            trust_env=False,
            timeout=httpx.Timeout(120.0),
            limits=httpx.Limits(max_connections=2 * PENDING),
        )

    async def ask(self, name: str, partition: str) -> None:
        answer = await self.http.post(f"/servers/{name}", json={**self.options, "partition": partition})
        if answer.status_code not in (201, 202):
            raise RuntimeError(f"{answer.status_code}: {answer.text[:300]}")

    async def ready(self, name: str) -> None:
        """Wait for the hub's word that the server answers."""
        async with self.http.stream("GET", f"/servers/{name}/progress") as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    event = json.loads(line[5:])
                    if event.get("failed"):
                        raise RuntimeError(str(event))
                    if event.get("ready"):
                        return
        raise RuntimeError("the progress ended before the server was ready")

    async def stop(self, name: str) -> None:
        """Stop a server and forget it."""
        await self.http.request("DELETE", f"/servers/{name}", json={"remove": True})

    async def start_one(self, name: str) -> tuple[float, float]:
        """Start a server; return seconds from the request to ready, and from the job's first process to ready."""
        jobs = jobs_running()
        began = time.monotonic()
        await self.ask(name, "debug")
        await self.ready(name)
        end = time.monotonic()
        (job,) = jobs_running() - jobs
        age = age_of_first_process(job) - (time.monotonic() - end)
        return end - began, age


def jobs_running() -> set[str]:
    """Return the ids of the user's jobs that have processes on this machine's make-believe nodes."""
    return {job for job, _ in job_processes()}


def age_of_first_process(job: str) -> float:
    """Return for how many seconds the first process of a job has run, to a hundredth."""
    ticks = min(start_ticks(process.pid) or 0 for found, process in job_processes() if found == job)
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - ticks / os.sysconf("SC_CLK_TCK")


def job_processes() -> Iterator[tuple[str, psutil.Process]]:
    owner = pwd.getpwnam(ALICE).pw_uid
    for process in psutil.process_iter():
        try:
            job = process.environ().get("SLURM_JOB_ID") if process.uids().real == owner else None
        except (psutil.Error, OSError):
            continue
        if job:
            yield job, process


def queries(site: SiteStack) -> int:
    """Return how often the controller has been asked about jobs so far."""
    return sum(int(count) for _, count in QUERIES.findall(site.slurm("sdiag")))


def allow_many(site: SiteStack, token: str) -> None:
    """Let a user have as many named servers as the measurement needs; the hub reads the site file when it starts."""
    text = site.run / "site.toml"
    text.write_text(text.read_text().replace('kind = "slurm"\n', f'kind = "slurm"\nnamed_limit = {2 * PENDING}\n', 1))
    hub = next(found for found in psutil.process_iter() if is_hub(found, str(site.data)))
    hub.kill()
    hub.wait(30)
    headers = {"Authorization": f"token {token}"}

    def answers() -> bool:
        try:
            return httpx.get(f"{site.url}/hub/api/user", headers=headers, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    wait_for("the hub with its new limit", answers)


def is_hub(process: psutil.Process, data: str) -> bool:
    try:
        return "jupyterhub" in process.cmdline()[1:3] and process.environ().get("SIMDECK_DATA") == data
    except (psutil.Error, OSError):
        return False


@contextmanager
def stock_hub(site: SiteStack) -> Iterator[Hub]:
    """Run the stock pair as root, as its documentation has it: ``sudo -E -u {username} sbatch``."""
    prefix = site.options.folder / "prefix"
    address = re.search(r"SlurmctldHost=\S+\(([\d.]+)\)", (site.run / "slurm" / "slurm.conf").read_text())
    assert address
    port, hub_port, proxy_port = free_ports(3)
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        node = json.loads((prefix / ".simdeck" / "tools" / "node.json").read_text())["node"]
        script = prefix / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
        bin_folder = prefix / "env" / "bin"
        config = Path(folder) / "jupyterhub_config.py"
        config.write_text(
            STOCK.format(
                port=port, hub_port=hub_port, proxy_port=proxy_port, folder=folder, token=token, bin=bin_folder,
                proxy=[node, str(script)], address=address.group(1), conf=site.run / "slurm" / "slurm.conf",
                path=f"{bin_folder}:{machine.SYSTEM_PATH}",
            )
        )  # fmt: skip
        env = machine.system_environment() | {
            "SLURM_CONF": str(site.run / "slurm" / "slurm.conf"),
            "PATH": f"{bin_folder}:{machine.SYSTEM_PATH}",
            "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16),
        }
        log = stack.enter_context((Path(folder) / "hub.log").open("wb"))
        process = subprocess.Popen(
            # The stock pair knows nodes by name alone, so it gets a hosts file of its own.
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             'mount --bind "$1" /etc/hosts && shift && exec "$@"', "stock", str(site.run / "slurm" / "hosts"),
             str(bin_folder / "python"), "-m", "jupyterhub", "-f", str(config)], cwd=folder, env=env,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        stack.callback(process.wait)
        stack.callback(process.terminate)
        url = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            if process.poll() is not None:
                raise AssertionError((Path(folder) / "hub.log").read_text()[-3000:])
            try:
                return httpx.get(f"{url}/hub/api/", trust_env=False).status_code == 200
            except httpx.HTTPError:
                return False

        wait_for("the stock hub", answers)
        httpx.post(f"{url}/hub/api/users/{ALICE}", headers={"Authorization": f"token {token}"}, trust_env=False)
        yield Hub(url, token, {})


async def measure_hub(site: SiteStack, hub: Hub) -> dict[str, float]:
    """Measure one hub: starts on an idle cluster, questions to the controller, a start while many wait."""
    found: dict[str, float] = {}
    await hub.start_one("warm-up")
    await hub.stop("warm-up")
    times = []
    for number in range(ROUNDS):
        times.append(await hub.start_one(f"idle-{number}"))
        await hub.stop(f"idle-{number}")
    found["request_to_ready"] = statistics.median(total for total, _ in times)
    found["job_to_ready"] = statistics.median(own for _, own in times)
    site.slurm("scontrol", "update", "nodename=cn2", "state=drain", "reason=bench")
    names = [f"wait-{number}" for number in range(PENDING)]
    try:
        await hub.ask(names[0], "gpu")
        found["calls_1"] = await calls(site)
        await asyncio.gather(*(hub.ask(name, "gpu") for name in names[1:]))
        found["calls_many"] = await calls(site)
        found["request_to_ready_many"] = (await hub.start_one("beside"))[0]
        await hub.stop("beside")
    finally:
        await asyncio.gather(*(hub.stop(name) for name in names), return_exceptions=True)
        site.slurm("scancel", f"--user={ALICE}")
        site.slurm("scontrol", "update", "nodename=cn2", "state=resume")
    return found


async def calls(site: SiteStack) -> float:
    """Return how often a second the controller is asked about jobs, over a window."""
    before, began = queries(site), time.monotonic()
    await asyncio.sleep(WINDOW_SECONDS)
    return (queries(site) - before) / (time.monotonic() - began)


def measure() -> list[dict[str, Any]]:
    """Both hubs, one after the other, on one cluster."""
    reason = missing_for_slurm()
    if reason:
        return [
            {"what": "servers as Slurm jobs", "ours": "not measured", "reference": reason, "ratio": "–", "budget": "–"}
        ]
    with tempfile.TemporaryDirectory() as folder, SiteStack(Path(folder)) as site:
        token = site.token(ALICE, "server")
        allow_many(site, token)
        options = {
            "cluster": "simdeck",
            "cores": 1,
            "memory": "512 MiB",
            "walltime": "0:20:00",
            "environment": "default",
        }
        ours = asyncio.run(measure_hub(site, Hub(site.url, token, options)))
        print(f"ours: {ours}", file=sys.stderr)
        with stock_hub(site) as hub:
            stock = asyncio.run(measure_hub(site, hub))
    return rows(ours, stock)


def rows(ours: dict[str, float], stock: dict[str, float]) -> list[dict[str, Any]]:
    words = {
        "job_to_ready": ("a job's first process to server ready (p50)", "s", "≤ 0.5"),
        "request_to_ready": ("request to server ready on an idle cluster (p50)", "s", "–"),
        "request_to_ready_many": (f"request to server ready beside {PENDING} waiting", "s", "–"),
        "calls_1": ("job queries a second at the controller, 1 waiting", "", "≤ 0.5 a second"),
        "calls_many": (f"job queries a second at the controller, {PENDING} waiting", "", "≤ 0.5 a second"),
    }
    return [
        {
            "what": what,
            "ours": f"{ours[key]:.2f} {unit}".strip(),
            "reference": f"stock JupyterHub and batchspawner, {stock[key]:.2f} {unit}".strip(),
            "ratio": round(ours[key] / stock[key], 3) if stock[key] else "–",
            "budget": budget,
        }
        for key, (what, unit, budget) in words.items()
    ]


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1), os.getloadavg())
