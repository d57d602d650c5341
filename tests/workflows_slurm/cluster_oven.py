"""The oven of ``tests/workflows``, on a cluster: its calculations are Slurm jobs."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from types import ModuleType
from typing import Any

from simdeck_common.layout import UserHome
from simdeck_workflows.backend import Backend, BackendSettings
from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.models import Run, RunRequest
from toy_oven import Oven, until

NAME = "oven"
TOOLS = ("sbatch", "squeue", "scancel", "scontrol", "sacct")
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}
TROUBLE = Path(__file__).parent / "fixtures" / "trouble_workflows.py"
ENTRY_POINTS = "[aiida.calculations]\ntrouble.make = trouble_workflows:TroubleCalculation\n"
MEMORY_MB = 300


def install_trouble(toy: ModuleType, apps: Path) -> None:
    """Install the app "trouble", whose manifest asks for two cores and little memory."""
    folder = apps / "trouble" / "versions" / "1.0"
    info = folder / "workflows" / "trouble-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(TROUBLE, folder / "workflows")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trouble\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    python = folder / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{toy.BACKEND_PYTHON}" "$@"\n')
    python.chmod(0o755)
    resources = {"cores": 2, "memory": f"{MEMORY_MB} MiB"}
    (folder / "app.json").write_text(json.dumps({"id": "trouble", "version": "1.0", "resources": resources}))
    (folder / "workflows.json").write_bytes(toy.describe(folder / "workflows"))
    (apps / "trouble" / "current").symlink_to("versions/1.0")


def missing() -> str | None:
    """Return in one line why there can be no Slurm here, or None."""
    if os.getuid() != 0:
        return "a private Slurm needs root"
    if Path(__file__).resolve().is_relative_to("/tmp"):
        return "the checkout lies below /tmp, and the nodes have a /tmp of their own"
    lacking = [name for name in ("slurmctld", "slurmd", "munged", "unshare", "ip") if not shutil.which(name)]
    return f"not installed: {', '.join(lacking)}" if lacking else None


class ClusterOven(Oven):
    """An oven whose calculations are jobs of the cluster ``oven``.

    ``tools`` holds the Slurm commands that the worker uses: links to the real ones, which a test replaces to make
    trouble (:meth:`break_tool`).
    """

    def __init__(self, home: UserHome, toy: ModuleType, slurm: Any, tools: Path, **settings: Any) -> None:
        super().__init__(home, toy)
        self.slurm = slurm
        self.tools = tools
        tools.mkdir(exist_ok=True)
        for name in TOOLS:
            self.mend_tool(name)
        self.cluster = RunCluster(
            name=NAME, slurm_conf=Path(slurm.environment["SLURM_CONF"]), commands=tools, walltime_minutes=1, **settings
        )
        self.settings = BackendSettings(toy.BACKEND_PYTHON, worker_idle_seconds=300.0, clusters=(self.cluster,))
        self.backend = Backend(home, self.settings)

    def trouble(self, **inputs: Any) -> Run:
        return self.backend.submit(RunRequest(workflow="trouble.make", inputs=inputs))

    # --- tools

    def break_tool(self, name: str, script: str) -> None:
        """Put a shell script in a command's place; in it, ``$REAL`` is the real command."""
        half = self.tools / f".{name}"
        half.unlink(missing_ok=True)
        half.write_text(f"#!/bin/sh\nREAL={shutil.which(name)}\nTOOLS={self.tools}\n{script}\n")
        half.chmod(0o755)
        half.replace(self.tools / name)

    def mend_tool(self, name: str) -> None:
        half = self.tools / f".{name}"
        half.unlink(missing_ok=True)
        half.symlink_to(str(shutil.which(name)))
        half.replace(self.tools / name)

    # --- what is there

    def folders(self) -> list[Path]:
        """The working directories of all calculations so far."""
        return sorted(path.parent for path in (self.home.workflows / "scratch").glob("*/*/*/_aiidasubmit.sh"))

    def records(self) -> list[dict[str, Any]]:
        """What was noted of the jobs in their working directories."""
        found = [path / ".simdeck-slurm.json" for path in self.folders()]
        return [json.loads(path.read_text()) for path in found if path.exists()]

    def queue(self, name: str = "") -> list[list[str]]:
        """Slurm's jobs of ours, ended ones too: [id, name, state, node]."""
        wanted = [f"--name={name}"] if name else []
        text = self.slurm.slurm("squeue", "--noheader", "--states=all", "--format=%i %j %T %N", *wanted)
        return [line.split() for line in text.splitlines() if " simdeck-calc-" in line]

    def living(self) -> list[list[str]]:
        return [job for job in self.queue() if job[2] not in ENDED]

    async def job(self, *besides: str, state: str = "RUNNING") -> list[str]:
        """Wait until there is a job in that state other than those ``besides`` (ids), and return it."""
        found: list[list[str]] = []

        def there() -> bool:
            found[:] = [job for job in self.living() if job[2] == state and job[0] not in besides]
            return bool(found)

        await until(there, 30.0)
        return found[0]

    def clear(self) -> None:
        """Kill the worker; the jobs end with the cluster."""
        pid = self.worker_pid()
        if pid is not None:
            os.killpg(pid, signal.SIGKILL)
