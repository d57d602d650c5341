"""The oven of ``tests/workflows``, on a cluster: its calculations are Slurm jobs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

from simdeck_common.layout import UserHome
from simdeck_workflows.backend import Backend, BackendSettings
from simdeck_workflows.clusters import RunCluster
from toy_oven import Oven

NAME = "oven"


def missing() -> str | None:
    """Return in one line why there can be no Slurm here, or None."""
    if os.getuid() != 0:
        return "a private Slurm needs root"
    lacking = [name for name in ("slurmctld", "slurmd", "munged", "unshare", "ip") if not shutil.which(name)]
    return f"not installed: {', '.join(lacking)}" if lacking else None


class ClusterOven(Oven):
    """An oven whose calculations are jobs of the cluster ``oven``; ``tools`` stand before Slurm's own commands."""

    def __init__(self, home: UserHome, toy: ModuleType, slurm: Any, **settings: Any) -> None:
        super().__init__(home, toy)
        self.slurm = slurm
        self.cluster = RunCluster(name=NAME, slurm_conf=Path(slurm.environment["SLURM_CONF"]), **settings)
        self.settings = BackendSettings(toy.BACKEND_PYTHON, worker_idle_seconds=300.0, clusters=(self.cluster,))
        self.backend = Backend(home, self.settings)

    def folders(self) -> list[Path]:
        """The working directories of all calculations so far."""
        return sorted(path.parent for path in (self.home.workflows / "scratch").glob("*/*/*/_aiidasubmit.sh"))

    def records(self) -> list[dict[str, Any]]:
        found = [path / ".simdeck-slurm.json" for path in self.folders()]
        return [json.loads(path.read_text()) for path in found if path.exists()]

    def jobs(self, name: str = "") -> list[list[str]]:  # type: ignore[override]
        """Slurm's jobs of ours, ended ones too: [id, name, state]."""
        wanted = [f"--name={name}"] if name else []
        text = self.slurm.slurm("squeue", "--noheader", "--states=all", "--format=%i %j %T", *wanted)
        return [line.split() for line in text.splitlines() if " simdeck-calc-" in line]

    def living_jobs(self) -> list[int]:
        ended = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}
        return [int(job[0]) for job in self.jobs() if job[2] not in ended]

    def clear(self) -> None:
        """Kill the worker; the jobs end with the cluster."""
        import signal

        pid = self.worker_pid()
        if pid is not None:
            os.killpg(pid, signal.SIGKILL)
