"""Server jobs on the private cluster: the room's own script, submitted as a person, and what is said of its end."""

from __future__ import annotations

import asyncio
import json
import pwd
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from simdeck_clusters.cluster import Cluster
from simdeck_clusters.ends import Verdict, explain_end
from simdeck_clusters.executor import LocalExecutor
from simdeck_clusters.models import EndRecord, JobEnd
from simdeck_clusters.records import end_record
from simdeck_clusters.request import ResourceRequest
from simdeck_clusters.settings import ClusterSettings, Environment
from simdeck_clusters.slurm.script import JobSpec, job_script
from simdeck_hub.trial import machine
from simdeck_hub.trial.trial import Options, Trial
from slurm.site_stack import missing_for_slurm
from stack import wait_for

CONTAINERS = Options(
    folder=Path("/var/lib/simdeck-trial-cont"),
    users=("sdk-alice", "sdk-bob"),
    service="sdk-service",
    group="sdk-people",
)
ENDS = Options(
    folder=Path("/var/lib/simdeck-trial-ends"), users=("sde-alice", "sde-bob"), service="sde-service", group="sde-people",
    accounting=True,
)  # fmt: skip
PLAIN = Environment(name="default")


def needs(program: str, package: str) -> None:
    """Skip where a program is missing."""
    if not shutil.which(program, path=machine.SYSTEM_PATH):
        pytest.skip(f"`apt-get install {package}` adds {program}")


def cluster_of(options: Options) -> Iterator[Trial]:
    """Run Slurm and the accounts of ``options``, without a hub."""
    reason = missing_for_slurm()
    if reason:
        pytest.skip(reason)
    packages = machine.missing_packages(accounting=options.accounting)
    if packages:
        pytest.skip(f"`apt-get install {' '.join(packages)}` adds them")
    with Trial(options) as trial:
        trial.make_people()
        trial.start_cluster()
        yield trial
    options.folder.joinpath("trial.lock").unlink()
    options.folder.rmdir()


@dataclass(frozen=True)
class Job:
    """A server's job of a person."""

    trial: Trial
    user: str
    server: str
    id: str

    @classmethod
    def submit(
        cls,
        trial: Trial,
        user: str,
        server: str,
        command: Sequence[str],
        environment: Environment = PLAIN,
        *,
        partition: str = "debug",
        requeue: bool = False,
        extra: Sequence[str] = (),
        **resources: int,
    ) -> Job:
        """Submit the script made for ``command``; ``extra`` are further words of `sbatch`."""
        request = ResourceRequest.model_validate(
            {"cluster": "simdeck", "partition": partition, "environment": environment.name, "walltime_minutes": 5,
             "memory_mb": 300, **resources}
        )  # fmt: skip
        spec = JobSpec(f"simdeck-test-{server}", server, "test", tuple(command), requeue=requeue)
        script = trial.run / f"{server}.sh"
        script.write_text(job_script(request, spec, environment), encoding="utf-8")
        script.chmod(0o644)
        folder = f".simdeck/servers/{server}"
        made = trial.run_as(user, ["mkdir", "-p", "-m", "700", folder])
        assert made.returncode == 0, made.stderr
        trial.run_as(user, ["find", folder, "-type", "f", "-delete"])
        done = trial.run_as(user, ["sbatch", "--parsable", *extra, str(script)])
        assert done.returncode == 0, done.stderr
        return cls(trial, user, server, done.stdout.strip())

    # --- what it left ---------------------------------------------------------------------------------------------

    def file(self, name: str) -> str:
        """Return the text of a file in the server's folder; nothing where there is none."""
        path = self.trial.homes / self.user / ".simdeck" / "servers" / self.server / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def log(self) -> str:
        return self.file("job.log")

    def record(self) -> EndRecord | None:
        return end_record(json.loads(self.file("end.json") or "null"))

    # --- what Slurm says ------------------------------------------------------------------------------------------

    def state(self) -> str:
        shown = self.trial.slurm.slurm("squeue", "--noheader", "--states=all", "--jobs", self.id, "--format=%T")
        return shown.strip()

    def wait_running(self) -> None:
        """Wait until the server itself has been started."""
        wait_for(f"{self.server} to run", lambda: self.state() == "RUNNING" and self.log())

    def end(self, accounting: str = "off") -> JobEnd | None:
        """Return the job's end as the room asks for it: from the controller, or ("on") from accounting."""
        settings = ClusterSettings.model_validate(
            {"name": "simdeck", "executor": "local", "slurm_conf": str(self.trial.slurm.cluster.config),
             "accounting": accounting}
        )  # fmt: skip
        return asyncio.run(Cluster(settings, LocalExecutor(environment=self.trial.slurm.environment)).history(self.id))

    def verdict(self, accounting: str = "off", *, ready: bool = True, seconds: float = 180) -> Verdict:
        """Wait for the job's end and return what is said about it."""

        def ended() -> JobEnd | None:
            end = self.end(accounting)
            return end if end is not None and (accounting == "off" or end.source == "sacct") else None

        end = wait_for(f"the end of {self.server}", ended, seconds)
        return explain_end(
            end, record=self.record(), log=self.log(), ready=ready, uid=pwd.getpwnam(self.user).pw_uid, user=self.user
        )

    # --- what is done to it ---------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """End it as its owner does, and wait for that."""
        self.trial.run_as(self.user, ["scancel", self.id])
        wait_for(f"the end of {self.server}", lambda: self.state() not in {"RUNNING", "PENDING", "COMPLETING"})

    def signal(self, name: str) -> None:
        """Signal the batch script, as the launcher does."""
        done = self.trial.run_as(self.user, ["scancel", "--batch", f"--signal={name}", self.id])
        assert done.returncode == 0, done.stderr
