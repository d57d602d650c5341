"""A real hub on a simulated cluster, to be filled, killed and started again: see ``scale``.

Hub, proxy and cluster are processes of their own; what is asked goes over the hub's REST API. The cluster counts its
own calls, the hub writes down the lag of its event loop, and the latency of ``/hub/api/`` is measured from outside.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil
from load.scale_cluster import ask
from simdeck_hub.places import Checkout
from simdeck_hub.ports import free_ports

HERE = Path(__file__).parent
CORES = 8
AT_ONCE = 50
"""Requests for servers under way at one time."""
ACTIVITY_SECONDS = 300.0
"""How often a real server tells the hub that it is used."""
PROBE_SECONDS = 0.1
EVEN_SECONDS = 120.0
PAGE = 100
"""Users asked for at one time; the hub lists no more than 200."""


def percentile(values: list[float], share: float) -> float:
    """Return the value that ``share`` of all are not above."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


class Probe:
    """Asks ``/hub/api/`` ten times a second from a thread of its own and keeps how long each answer took."""

    def __init__(self, url: str) -> None:
        self.times: list[float] = []
        self._url = url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(trust_env=False, timeout=60) as http:
            while not self._over.wait(PROBE_SECONDS):
                began = time.monotonic()
                http.get(self._url).raise_for_status()
                self.times.append(time.monotonic() - began)


class Scale:
    """Hub, proxy and cluster below ``folder``, with ``users`` of whom ``waiting`` have to wait in the queue."""

    def __init__(self, folder: Path, users: int, waiting: int) -> None:
        self.folder = folder
        self.users = [f"user{number:04d}" for number in range(users)]
        self.waiting = waiting
        self.running = users - waiting
        self.port, self.hub_port, self.proxy_port = free_ports(3)
        self.token, self.proxy_token = secrets.token_hex(16), secrets.token_hex(16)
        self._short = tempfile.TemporaryDirectory(prefix="sd-")
        self.socket = f"{self._short.name}/slurm"
        self.api = f"http://127.0.0.1:{self.hub_port}/hub/api"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.hub: subprocess.Popen[bytes] | None = None
        self.http = httpx.AsyncClient(
            headers={"Authorization": f"token {self.token}"},
            trust_env=False,
            timeout=httpx.Timeout(120.0),
            limits=httpx.Limits(max_connections=2 * len(self.users), max_keepalive_connections=AT_ONCE),
        )

    # --- processes --------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Scale:
        known = {
            "port": self.port, "hub_port": self.hub_port, "proxy_port": self.proxy_port, "token": self.token,
            "proxy_token": self.proxy_token, "cluster": self.socket,
        }  # fmt: skip
        (self.folder / "known.json").write_text(json.dumps(known))
        nodes = -(-self.running // CORES)
        assert self.running == nodes * CORES, "whole nodes must be taken"
        self.cluster = self._run(
            "cluster", [sys.executable, str(HERE / "scale_cluster.py"), self.socket, str(nodes), str(CORES)]
        )
        checkout = Checkout.find()
        self._run(
            "proxy",
            [str(checkout.node()), str(checkout.proxy_script), "--ip", "127.0.0.1", "--port", str(self.port),
             "--api-ip", "127.0.0.1", "--api-port", str(self.proxy_port),
             "--default-target", f"http://127.0.0.1:{self.hub_port}"],
        )  # fmt: skip
        await self.until("the cluster", lambda: _done(Path(self.socket).exists()))
        await self.start_hub()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self._short.cleanup()

    def _run(self, name: str, argv: list[str]) -> subprocess.Popen[bytes]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTERHUB_", "SIMDECK_"))}
        env = kept | {"SIMDECK_SCALE": str(self.folder), "CONFIGPROXY_AUTH_TOKEN": self.proxy_token}
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                argv, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(process)
        return process

    async def start_hub(self) -> float:
        """Start the hub; return the seconds until its API answers."""
        began = time.monotonic()
        self.hub = self._run("hub", [sys.executable, "-m", "jupyterhub", "-f", str(HERE / "scale_hub.py")])
        await self.until("the hub", self.answers)
        return time.monotonic() - began

    async def kill_hub(self) -> None:
        """Kill the hub as a crash does."""
        assert self.hub is not None
        self.hub.send_signal(signal.SIGKILL)
        self.hub.wait()

    async def answers(self) -> bool:
        """Return whether the hub's API answers."""
        assert self.hub is not None
        if self.hub.poll() is not None:
            raise AssertionError((self.folder / "hub.log").read_text()[-4000:])
        try:
            return (await self.http.get(f"{self.api}/")).status_code == 200
        except httpx.HTTPError:
            return False

    async def until(self, what: str, test: Any, seconds: float = 1200.0) -> None:
        """Ask until ``test`` is true."""
        deadline = time.monotonic() + seconds
        while True:
            began = time.monotonic()
            if await test():
                return
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"waited {seconds:g} s in vain: {what}\n{(self.folder / 'hub.log').read_text()[-4000:]}"
                )
            # A list of all users keeps the hub busy: what is measured must not be the measuring.
            await asyncio.sleep(min(5.0, max(0.1, 3 * (time.monotonic() - began))))

    # --- what people do ---------------------------------------------------------------------------------------------

    async def add_users(self) -> None:
        """Make the users."""
        for first in range(0, len(self.users), 200):
            sent = {"usernames": self.users[first : first + 200]}
            (await self.http.post(f"{self.api}/users", json=sent)).raise_for_status()

    async def ask_for(self, names: list[str]) -> Counter[int]:
        """Ask for a server for each of ``names``; return the statuses (0: no answer came)."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> int:
            async with gate:
                try:
                    return (await self.http.post(f"{self.api}/users/{name}/server", json={})).status_code
                except httpx.HTTPError:
                    return 0

        return Counter(await asyncio.gather(*(one(name) for name in names)))

    async def stop_all(self) -> None:
        """End every server."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> None:
            async with gate:
                (await self.http.delete(f"{self.api}/users/{name}/server")).raise_for_status()

        await asyncio.gather(*(one(name) for name in self.users))

    async def live_with_it(self, seconds: float) -> None:
        """Do for a while what such a site does: people watch their place in the queue, servers tell of their use."""
        shown = await self.states()
        watching = [asyncio.create_task(self._watch(name)) for name, state in shown.items() if state == "pending"]
        ready = [name for name, state in shown.items() if state == "ready"]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            name = secrets.choice(ready)
            sent = {"servers": {"": {"last_activity": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}}}
            (await self.http.post(f"{self.api}/users/{name}/activity", json=sent)).raise_for_status()
            await asyncio.sleep(ACTIVITY_SECONDS / len(ready))
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)

    async def _watch(self, name: str) -> None:
        async with self.http.stream("GET", f"{self.api}/users/{name}/server/progress") as answer:
            async for _ in answer.aiter_lines():
                pass

    # --- what is there ----------------------------------------------------------------------------------------------

    async def states(self) -> dict[str, str]:
        """Return what the hub says of each user's server: ``ready``, ``pending`` or nothing."""
        found = {}
        for first in range(0, len(self.users), PAGE):
            asked = {"limit": PAGE, "offset": first, "include_stopped_servers": True}
            answer = await self.http.get(f"{self.api}/users", params=asked)
            answer.raise_for_status()
            for user in answer.json():
                server = (user.get("servers") or {}).get("") or {}
                found[user["name"]] = "ready" if server.get("ready") else "pending" if server.get("pending") else ""
        return {name: found[name] for name in self.users}

    async def settled(self, ready: int, pending: int) -> bool:
        """Return whether as many servers are ready and pending."""
        count = Counter((await self.states()).values())
        return (count["ready"], count["pending"]) == (ready, pending)

    async def jobs(self) -> list[dict[str, Any]]:
        """Return every job Slurm ever had."""
        found: list[dict[str, Any]] = await ask(self.socket, {"tell": "jobs"})
        return found

    async def calls(self) -> Counter[str]:
        """Return how often each of Slurm's commands was called."""
        return Counter(await ask(self.socket, {"tell": "counts"}))

    async def more_room(self) -> None:
        """Let those who wait begin."""
        await ask(self.socket, {"tell": "room"})

    async def through_the_proxy(self) -> dict[str, str]:
        """Return the id of the job that answers under each running server's address."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> str:
            async with gate:
                answer = await self.http.get(f"http://127.0.0.1:{self.port}/user/{name}/api")
                return str(answer.json().get("job", "")) if answer.status_code == 200 else ""

        shown = [name for name, state in (await self.states()).items() if state == "ready"]
        return dict(zip(shown, await asyncio.gather(*(one(name) for name in shown)), strict=True))

    def memory(self) -> float:
        """Return the hub's resident memory in MiB."""
        assert self.hub is not None
        return float(psutil.Process(self.hub.pid).memory_info().rss) / 2**20

    def lags(self, since: float) -> list[float]:
        """Return the lags of the hub's event loop since a moment (seconds since the epoch), in seconds."""
        lines = (self.folder / "lag.jsonl").read_text().splitlines()
        found = [json.loads(line) for line in lines if line.endswith("}")]
        return [lag for one in found if one["when"] >= since for lag in one["lags"]]

    async def check(self) -> None:
        """Assert: one job for each server the hub knows and one server for each job; none was submitted twice."""
        # A submission that a killed hub may have made is waited for before another is made.
        await self.until("one job for each server and one server for each job", self._even, EVEN_SECONDS)
        jobs = await self.jobs()
        names = Counter(one["name"] for one in jobs)
        assert max(names.values()) == 1, "a job was submitted twice"
        assert not [one for one in jobs if one["restarts"]], "a job was started twice"

    async def _even(self) -> bool:
        alive = Counter(one["user"] for one in await self.jobs() if one["state"] in {"PENDING", "RUNNING"})
        shown = Counter(name for name, state in (await self.states()).items() if state)
        return alive == shown


async def _done(value: bool) -> bool:
    return value
