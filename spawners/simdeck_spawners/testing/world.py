"""A whole site in one test: simulated clusters, servers in their jobs, and a hub to be killed and started again.

::

    async with World(tmp_path) as world:
        world.crash_at("after-sbatch")
        await world.start("alice")            # the hub dies on the way
        await world.hub_again()
        await world.until_running("alice")
        world.check()                         # no orphan job, no lost server, no double start
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from simdeck_clusters.executor import Done
from simdeck_clusters.settings import SiteResources
from simdeck_clusters.simulated import SimulatedJob, SimulatedNode, SimulatedSlurm
from traitlets.config import Config

from simdeck_spawners import points
from simdeck_spawners.book import LIVE, Entry, Stage
from simdeck_spawners.fleet import SlurmFleet
from simdeck_spawners.testing.clock import FastClock
from simdeck_spawners.testing.hubs import HubLife
from simdeck_spawners.testing.servers import JobServers

INSTANCE = "0123456789abcdef"
PATIENCE = 180.0


class Line:
    """A hub's connection to the cluster. It breaks for good when that hub dies."""

    def __init__(self, slurm: SimulatedSlurm) -> None:
        self.slurm = slurm
        self.cut = False

    async def run(self, *args: Any, **kwargs: Any) -> Done:
        """Pass a command on; a dead hub neither sends nor hears."""
        if self.cut:
            await asyncio.get_running_loop().create_future()
        done = await self.slurm.run(*args, **kwargs)
        if self.cut:
            await asyncio.get_running_loop().create_future()
        return done


class World:
    """See the module. ``configure`` gets the hub's configuration, to put another spawner there."""

    def __init__(
        self,
        folder: Path,
        *,
        nodes: list[SimulatedNode] | None = None,
        site: dict[str, Any] | None = None,
        configure: Callable[[Config], None] | None = None,
        factor: float = 40.0,
        accounting: bool = False,
        accounts: dict[str, list[str]] | None = None,
    ) -> None:
        self.folder = folder
        self.clock = FastClock(factor)
        self.nodes = nodes or [SimulatedNode("localhost", cores=8), SimulatedNode("127.0.0.2", cores=8)]
        self.slurm = SimulatedSlurm(self.nodes, clock=self.clock, accounting=accounting, accounts=accounts)
        self.servers = JobServers(self.slurm)
        given: dict[str, Any] = {"clusters": [{"name": "sim", "command_timeout": 10}], **(site or {})}
        self.site = SiteResources.model_validate(given)
        self.configure = configure
        self.table: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}
        """Further traits of the fleet."""
        self.hub: HubLife
        self.crashed = asyncio.Event()
        self._line = Line(self.slurm)
        self._port = _free_port()
        self._passed: Counter[str] = Counter()

    async def __aenter__(self) -> World:
        await self.hub_again()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        points.arm(None)
        await self.hub.die()
        await self.servers.close()

    # --- the hub's lives ----------------------------------------------------------------------------------------

    async def hub_again(self) -> HubLife:
        """Start the hub (again)."""
        self._line = Line(self.slurm)
        self.hub = HubLife(self.folder, self._port, self._configure, self.table)
        await self.hub.start(self._fleet)
        return self.hub

    def _configure(self, config: Config) -> None:
        config.JupyterHub.spawner_class = "simdeck_spawners.slurm.SimdeckSlurmSpawner"
        config.SimdeckSlurmSpawner.poll_interval = 1
        config.SimdeckSlurmSpawner.recheck_timeout = 1
        if self.configure is not None:
            self.configure(config)

    def _fleet(self, config: Config) -> SlurmFleet:
        line = self._line
        made = SlurmFleet(
            config=config,
            data=str(self.folder),
            instance=INSTANCE,
            api="http://hub/services/deck/api/v1",
            site=self.site,
            make_executor=lambda _: line,
            clock=self.clock.time,
            watch_clock=self.clock,
            **self.settings,
        )
        made.tender.tick = 0.01
        made.pace = 1 / self.clock.factor
        return made

    async def kill_hub(self) -> None:
        """Kill the hub now."""
        self._line.cut = True
        points.arm(None)
        await self.hub.die()
        self.crashed.clear()

    def crash_at(self, point: str) -> None:
        """Let the hub die when it first passes ``point``."""
        assert point in points.POINTS, point

        async def hook(name: str) -> None:
            self._passed[name] += 1
            if name == point and not self.crashed.is_set():
                self._line.cut = True
                self.crashed.set()
            if self.crashed.is_set():
                await asyncio.get_running_loop().create_future()

        self.crashed.clear()
        points.arm(hook)

    async def crash_and_return(self) -> None:
        """Wait for the crash that was asked for, bury that hub, and start the next."""
        async with asyncio.timeout(PATIENCE):
            await self.crashed.wait()
        await self.kill_hub()
        await self.hub_again()

    def no_room(self) -> None:
        """Let Slurm start nothing more; what runs goes on."""
        for node in self.nodes:
            node.down = True
        self.slurm.machine.changed()

    def room(self) -> None:
        """Let Slurm start jobs again."""
        for node in self.nodes:
            self.slurm.node_up(node.name)

    # --- what people do -----------------------------------------------------------------------------------------

    async def start(self, user: str, server: str = "", **options: Any) -> int:
        """Ask for a server as the REST API does; return the HTTP status (0: the hub died meanwhile)."""
        return await self._ask("POST", user, server, json=options)

    async def stop(self, user: str, server: str = "") -> int:
        """Ask for a server's end; return the HTTP status."""
        return await self._ask("DELETE", user, server)

    async def _ask(self, method: str, user: str, server: str, **sent: Any) -> int:
        path = f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"
        async with self.hub.client(user) as client:
            request = asyncio.ensure_future(client.request(method, path, **sent))
            crash = asyncio.ensure_future(self.crashed.wait())
            await asyncio.wait([request, crash], return_when=asyncio.FIRST_COMPLETED)
            crash.cancel()
            if not request.done():
                request.cancel()
                return 0
            return request.result().status_code

    # --- what can be seen ---------------------------------------------------------------------------------------

    def entry(self, user: str, server: str = "") -> Entry:
        """Return the last start of a server."""
        found = self.hub.fleet.book.latest(user, server)
        assert found is not None
        return found

    def jobs(self, user: str | None = None) -> list[SimulatedJob]:
        """Return jobs that wait or run."""
        return self.slurm.jobs(user=user)

    def target(self, user: str, server: str = "") -> str | None:
        """Return where the proxy sends the server's requests."""
        spec = f"/user/{user}/{server}/" if server else f"/user/{user}/"
        route = self.table.get(spec)
        return None if route is None else route["target"]

    def ready(self, user: str, server: str = "") -> bool:
        """Return whether the hub has the server running and the proxy leads to it."""
        spawners = self.hub.user(user).spawners
        if server not in spawners or not spawners[server].ready:
            return False
        live = self.hub.fleet.book.live(user, server)
        if live is None or live.stage is not Stage.RUNNING:
            return False
        return self.target(user, server) == f"http://{live.host}:{live.port}"

    async def until(self, what: str, test: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait until ``test`` is true and return what it gave."""
        try:
            async with asyncio.timeout(seconds):
                while not (found := test()):  # noqa: ASYNC110 - it is no event of ours that is awaited
                    await asyncio.sleep(0.01)
                return found
        except TimeoutError:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}\n{self.describe()}") from None

    async def until_running(self, user: str, server: str = "") -> None:
        """Wait until the server runs, for hub and proxy too."""
        await self.until(f"{user}'s server {server!r} runs", lambda: self.ready(user, server))

    async def until_gone(self, user: str, server: str = "") -> None:
        """Wait until neither the hub, the proxy nor Slurm has anything of the server."""

        def gone() -> bool:
            spawners = self.hub.user(user).spawners
            idle = server not in spawners or not spawners[server].active
            open_ = [one for one in self.hub.fleet.book.unfinished() if (one.user, one.server) == (user, server)]
            return idle and not open_ and self.target(user, server) is None

        await self.until(f"{user}'s server {server!r} is gone", gone)

    def check(self) -> None:
        """Assert: each live server has one job and each job one live server; nothing ever ran twice."""
        live = [one for one in self.hub.fleet.book.unfinished() if one.stage in LIVE]
        names = Counter(job.name for job in self.jobs())
        assert names == Counter(one.job_name for one in live), self.describe()
        submitted = Counter(job.name for job in self.slurm.machine.jobs.values())
        assert all(count == 1 for count in submitted.values()), f"submitted twice: {submitted}\n{self.describe()}"

    def describe(self) -> str:
        """Return the state of things, for a failed assertion."""
        lines = [f"{job.id} {job.name} {job.user} {job.state} {job.reason}" for job in self.slurm.jobs(active=False)]
        lines += [f"{one}" for one in self.hub.fleet.book.unfinished()]
        return "\n".join([*lines, f"routes: {self.table}", f"points: {dict(self._passed)}"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
