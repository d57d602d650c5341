"""A cluster whose one node is this machine: the doctor's job really runs, without Slurm."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simdeck_clusters.cluster import ServerFiles
from simdeck_clusters.models import Job, JobState, Node

NODE = Node("cn1", "127.0.0.1", "cn1", frozenset({"IDLE"}), ("normal",), 4, 0, 8000, 0)


@dataclass
class OneNode:
    """What the doctor's canary asks of ``Cluster``."""

    folder: Path
    node: Node = NODE
    reason: str = ""
    """Given: the job never starts, for this reason."""
    shared: bool = True
    """Whether what the node writes is seen here."""
    python: str = sys.executable
    scripts: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    job: Job | None = None
    process: subprocess.Popen[bytes] | None = None

    async def write(self, user: str, server: str, files: Mapping[str, Any]) -> None:
        (self.folder / server).mkdir()
        for name, content in files.items():
            (self.folder / server / name).write_text(content if isinstance(content, str) else json.dumps(content))

    async def submit(self, user: str, server: str, script: str) -> str:
        self.scripts.append(script)
        self.job = Job("7", server, user, JobState.PENDING, reason=self.reason)
        if not self.reason:
            with (self.folder / server / "job.log").open("wb") as log:
                self.process = subprocess.Popen(  # noqa: ASYNC220
                    [self.python, "-I", self.folder / server / "probe.py"], stdout=log, stderr=log
                )
            self.job = replace(self.job, state=JobState.RUNNING, batch_host="cn1", nodes="cn1")
        return "7"

    async def read(self, user: str, server: str) -> ServerFiles:
        log = self.folder / server / "job.log"
        return ServerFiles(log.read_text() if self.shared and log.exists() else "")

    async def find_by_name(self, name: str, user: str) -> list[Job]:
        assert self.job is not None
        if self.process is not None and self.process.poll() is not None:
            self.job = replace(self.job, state=JobState.COMPLETED)
        return [self.job]

    async def nodes(self) -> dict[str, Node]:
        return {"cn1": self.node}

    async def node_address(self, node: Node) -> str:
        return node.address

    async def cancel(self, user: str, job_id: str) -> None:
        self.ended.append(job_id)
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def clean(self, user: str, server: str) -> None:
        for path in (self.folder / server).iterdir():
            path.unlink()
        (self.folder / server).rmdir()
