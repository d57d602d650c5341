"""What runs inside simulated jobs: a small web server that reads its orders and announces itself as a real one does."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simdeck_clusters.models import JobState
from simdeck_clusters.simulated import SimulatedJob, SimulatedSlurm
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from simdeck_spawners.files import PROGRAM
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
    process: asyncio.subprocess.Process | None = None


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
    homes: Path | None = None
    """Folder of the users' homes: set, jobs run the real server as a process instead of a small one."""
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
            if running.process is not None and running.process.returncode is None:
                running.process.terminate()

    async def close(self) -> None:
        """End them all."""
        ending = [one.process for one in self.running.values() if one.process is not None]
        for job_id in list(self.running):
            self.stop(self.slurm.machine.jobs[job_id])
        for process in ending:
            await process.wait()

    async def _run(self, job: SimulatedJob) -> None:
        await self.boots.wait()
        if self.homes is not None:
            await self._run_really(job, self.homes / job.user)
            return
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

    async def _run_really(self, job: SimulatedJob, home: Path) -> None:
        """Run the server as the job's script would, with the user's home where the test says."""
        folder = home / ".simdeck" / "servers" / job.server
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, text in self.slurm.files[job.user, job.server].items():
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o600)
        ends = {"SLURM_JOB_END_TIME": str(int(job.ends or 0))}
        with (folder / "job.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *PROGRAM, "--name", job.server),
                cwd=home,
                env={"HOME": str(home), "PATH": os.environ["PATH"], **ends},
                stdout=log,
                stderr=log,
            )
        self.running[job.id].process = process
        code = await process.wait()
        if job.state is JobState.RUNNING:
            self.slurm.finish(job.id, code=code)

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
