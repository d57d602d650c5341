"""A simulated cluster in a process of its own, so that a hub can be killed beside it: Slurm behind a Unix socket.

``python scale_cluster.py SOCKET NODES CORES``: each connection carries one line of JSON and gets one back. ``argv`` is
answered as Slurm would; ``tell`` is what a test asks (``counts``, ``jobs``, ``room``). Each job runs a small web server
that announces itself to the hub as a real one does.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from simdeck_clusters.clock import RealClock
from simdeck_clusters.executor import Done
from simdeck_clusters.simulated import SimulatedNode, SimulatedSlurm
from simdeck_spawners.testing.servers import JobServers

LINE = 2**24
"""Bytes a line may have: a look at a long queue is one."""


async def ask(path: str, question: dict[str, Any]) -> Any:
    """Return the answer to one question."""
    reader, writer = await asyncio.open_unix_connection(path, limit=LINE)
    try:
        writer.write(json.dumps(question).encode() + b"\n")
        return json.loads(await reader.readline())
    finally:
        writer.close()


class Connected:
    """An ``Executor`` whose commands the cluster's process answers."""

    def __init__(self, path: str) -> None:
        self.path = path

    async def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        stdin: bytes = b"",
        timeout: float = 20.0,  # noqa: ASYNC109
    ) -> Done:
        """Have ``argv`` answered."""
        question = {"argv": list(argv), "user": user, "stdin": stdin.decode(), "timeout": timeout}
        return Done(**await ask(self.path, question))


class ScaleCluster:
    """Nodes with the addresses 127.0.1.1, 127.0.1.2 … and what runs on them."""

    def __init__(self, nodes: int, cores: int) -> None:
        made = [SimulatedNode(f"127.0.1.{n}", cores=cores, memory_mb=8000 * cores) for n in range(1, nodes + 1)]
        self.cores = cores
        self.slurm = SimulatedSlurm(made, clock=RealClock())
        self.servers = JobServers(self.slurm)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            question = json.loads(await reader.readline())
            writer.write(json.dumps(await self._answer(question)).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _answer(self, question: dict[str, Any]) -> Any:
        if "argv" in question:
            asked = question["argv"], question["user"], question["stdin"].encode(), question["timeout"]
            return asdict(await self.slurm.run(asked[0], user=asked[1], stdin=asked[2], timeout=asked[3]))
        if question["tell"] == "room":
            for node in self.slurm.machine.nodes.values():
                node.cores, node.memory_mb = 10 * self.cores, 80_000 * self.cores
            self.slurm.machine.changed()
            self.slurm.tick()
        if question["tell"] == "counts":
            return dict(self.slurm.calls)
        jobs = self.slurm.jobs(active=False)
        return [
            {"id": one.id, "name": one.name, "user": one.user, "state": one.state.value, "restarts": one.restarts}
            for one in jobs
        ]


async def main(path: str, nodes: int, cores: int) -> None:
    """Serve until killed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    cluster = ScaleCluster(nodes, cores)
    server = await asyncio.start_unix_server(cluster.answer, path, limit=LINE, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
