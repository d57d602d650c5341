"""What runs inside simulated jobs: a small web server that reads its orders and announces itself as a real one does."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from simdeck_clusters.models import JobState
from simdeck_clusters.simulated import SimulatedJob, SimulatedSlurm
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from simdeck_spawners.testing.hubs import outside

PAUSE = 0.05


class _Answer(RequestHandler):  # type: ignore[misc]
    def get(self, *_: str) -> None:
        self.set_header("X-JupyterHub-Version", self.settings["version"])
        self.write({"job": self.settings["job"], "port": self.settings["port"]})


@dataclass
class _Running:
    task: asyncio.Task[None]
    server: HTTPServer | None = None


@dataclass
class JobServers:
    """Starts and ends a server with each simulated job.

    ``boots`` holds back every server that starts while it is cleared; ``silent`` ones run and never announce
    themselves; ``deaf`` ones announce themselves and do not answer.
    """

    slurm: SimulatedSlurm
    boots: asyncio.Event = field(default_factory=asyncio.Event)
    silent: bool = False
    deaf: bool = False
    running: dict[str, _Running] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    """Job ids in the order their servers began, one for each run."""
    refused: list[int] = field(default_factory=list)
    """HTTP statuses announcements were refused with."""

    def __post_init__(self) -> None:
        self.boots.set()
        self.slurm.machine.on_start = self.start
        self.slurm.machine.on_end = self.stop

    def start(self, job: SimulatedJob) -> None:
        """Begin the job's server."""
        self.begun.append(job.id)
        self.running[job.id] = _Running(outside(self._run(job)))

    def stop(self, job: SimulatedJob) -> None:
        """End the job's server at once."""
        running = self.running.pop(job.id, None)
        if running is not None:
            running.task.cancel()
            if running.server is not None:
                running.server.stop()

    async def close(self) -> None:
        """End them all."""
        for job_id in list(self.running):
            self.stop(self.slurm.machine.jobs[job_id])

    async def _run(self, job: SimulatedJob) -> None:
        await self.boots.wait()
        orders = json.loads(self.slurm.files[job.user, job.server]["server.json"])
        environment = orders["environment"]
        host = "127.0.0.1" if job.node == "localhost" else job.node
        sockets = bind_sockets(0, host)
        port = sockets[0].getsockname()[1]
        if not self.deaf:
            about = {"version": "6", "job": job.id, "port": port}
            server = HTTPServer(Application([(r"/.*", _Answer)], **about))
            server.add_sockets(sockets)
            self.running[job.id].server = server
        if self.silent:
            return
        await self._announce(job, environment, port, host)

    async def _announce(self, job: SimulatedJob, environment: dict[str, str], port: int, host: str) -> None:
        url = environment["JUPYTERHUB_API_URL"] + "/simdeck/ready"
        headers = {"Authorization": f"token {environment['JUPYTERHUB_API_TOKEN']}"}
        client: Any = AsyncHTTPClient(force_instance=True)
        try:
            while job.state is JobState.RUNNING:
                try:
                    await client.fetch(
                        url, method="POST", headers=headers, body=json.dumps({"port": port}), network_interface=host
                    )
                    return
                except HTTPClientError as error:
                    self.refused.append(error.code)
                except OSError:
                    pass
                await asyncio.sleep(PAUSE)
        finally:
            client.close()
