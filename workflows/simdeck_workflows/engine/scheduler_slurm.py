"""The scheduler plugin ``simdeck.slurm``: calculations as Slurm jobs, submitted once, whatever dies in between.

It stands on AiiDA's ``core.slurm`` for resources and job scripts. What differs:

- A job is known by a name that no other job has; it is written into the working directory before ``sbatch`` is called.
  A worker killed between ``sbatch`` and noting the id finds the job by that name. Should an unknown outcome have led
  to a second submission all the same, the first job to start makes a marker and any other ends at once.
- States come from :mod:`.slurm_watch`: never a ``squeue`` for each job, none that the worker waits for. A scheduler
  that does not answer leaves every job as it was.
- Commands are argument lists in a small environment of their own; no shell, no login shell.

An id reads ``<Slurm's job id>:<name>``.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.engine.processes.exit_code import ExitCode
from aiida.schedulers import SchedulerError
from aiida.schedulers.datastructures import JobInfo, JobState
from aiida.schedulers.plugins.slurm import SlurmScheduler
from simdeck_clusters.models import JobState as SlurmState
from simdeck_common.files import write_atomically
from simdeck_common.problems import Problem

from simdeck_workflows import clusters
from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.engine import slurm_commands, slurm_ends
from simdeck_workflows.engine.slurm_commands import LaterError, QueueEntry, RefusedError, SchedulerSilentError
from simdeck_workflows.engine.slurm_watch import ENDED, STARTED, SlurmWatch, leading, watch_of

NAME = "simdeck.slurm"
RECORD = ".simdeck-slurm.json"
JOB_NAME = "simdeck-calc-"

SETTLED = 10.0
"""Seconds after which a submission whose outcome is unknown is certainly in the queue, if it went through."""

_SUBMIT_PATIENCE = 30.0

# The first job to start in a working directory runs; one of the same number is that job again, requeued.
_GUARD = f"""set -C
if ! echo "$SLURM_JOB_ID" 2>/dev/null >{STARTED}; then
  read -r simdeck_first <{STARTED}; [ "$simdeck_first" = "$SLURM_JOB_ID" ] || exit 0
fi
set +C
rm -f {ENDED}
trap ': >{ENDED}' EXIT
export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-${{SLURM_CPUS_PER_TASK:-1}}}}"
"""


def cluster_of(name: str) -> RunCluster:
    """The cluster of a computer's host name, as the agent wrote it down. Raises ``SchedulerError``."""
    path = Path(os.environ.get("AIIDA_PATH", "")).parent / "clusters.json"
    try:
        return next(cluster for cluster in clusters.read(path) if cluster.name == name)
    except (OSError, ValueError, StopIteration):
        raise SchedulerError(f"no cluster {name} is configured in {path}") from None


def name_of(job: str) -> str:
    """The name in a job's id."""
    return job.partition(":")[2]


def read_record(directory: Path) -> dict[str, Any]:
    """What was noted of a working directory's job: ``name``, ``cluster``, ``tried`` (s), ``job``; or nothing."""
    try:
        found = json.loads((directory / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and str(found.get("name", "")).startswith(JOB_NAME) else {}


def submit(cluster: RunCluster, directory: Path, script: str) -> str:
    """Submit ``script`` in ``directory``, or adopt the job that was submitted there; return Slurm's id.

    Raises
    ------
    RefusedError
        Slurm does not take such a job.
    SchedulerSilentError
        The outcome is not known (yet): call again later.
    """
    watch = watch_of(cluster)
    record = read_record(directory)
    if record.get("job"):
        return f"{record['job']}:{record['name']}"
    watch.raise_if_silent()
    try:
        if record:
            found = [job for job in slurm_commands.ask_queue(cluster, [record["name"]]) if job.name == record["name"]]
            if found:
                return _noted(directory, record, leading(tuple(found)).id)
            if time.time() - float(record["tried"]) < SETTLED:
                raise LaterError("it is not certain yet whether the job was submitted")
        else:
            record = {"name": f"{JOB_NAME}{secrets.token_hex(10)}", "cluster": cluster.name}
        record["tried"] = time.time()
        write_atomically(directory / RECORD, json.dumps(record))
        answer = slurm_commands.run(
            cluster, "sbatch", slurm_commands.sbatch(record["name"], script), timeout=_SUBMIT_PATIENCE, cwd=directory
        )
        number = slurm_commands.parse_sbatch(*answer)
    except SchedulerSilentError as error:
        watch.heard(None if isinstance(error, LaterError) else error)
        raise
    watch.heard(None)
    watch.submitted(record["name"], directory)
    return _noted(directory, record, number)


def _noted(directory: Path, record: dict[str, Any], number: str) -> str:
    write_atomically(directory / RECORD, json.dumps({**record, "job": number}))
    return f"{number}:{record['name']}"


def clear(directory: Path) -> bool:
    """End the job of a working directory, if there is one; return whether none is left for certain.

    Raises
    ------
    SchedulerSilentError
        The scheduler does not answer.
    """
    record = read_record(directory)
    if not record:
        return True
    try:
        cluster = cluster_of(str(record["cluster"]))
    except SchedulerError:
        # The cluster was taken out of the site: nobody can be asked any more.
        return True
    left = [job for job in slurm_commands.ask_queue(cluster, [record["name"]]) if not job.state.ended]
    if left:
        slurm_commands.cancel(cluster, record["name"])
        return False
    return bool(record.get("job")) or time.time() - float(record["tried"]) > SETTLED


def _seen(cluster: RunCluster, name: str) -> QueueEntry | None:
    """What the queue still holds of a job that another worker saw end."""
    try:
        found = [job for job in slurm_commands.ask_queue(cluster, [name], timeout=5.0) if job.name == name]
    except SchedulerSilentError:
        return None
    return leading(tuple(found)) if found else None


def _find_places(watch: SlurmWatch, jobs: list[str]) -> None:
    """Tell the watch where jobs run that a worker before this one has submitted."""
    unknown = set(watch.placeless(name_of(job) for job in jobs))
    wanted = [job for job in jobs if name_of(job) in unknown]
    if not wanted:
        return
    query = orm.QueryBuilder().append(
        orm.CalcJobNode,
        filters={"attributes.job_id": {"in": wanted}},
        project=["attributes.job_id", "attributes.remote_workdir"],
    )
    for job, place in query.iterall():
        watch.lies_in(name_of(job), Path(place))


def aiida_state(state: SlurmState) -> JobState:
    """What AiiDA calls a state. Only what has ended is ``DONE``."""
    if state.ended:
        return JobState.DONE
    if state in (SlurmState.REQUEUE_HOLD, SlurmState.RESV_DEL_HOLD, SlurmState.SPECIAL_EXIT):
        return JobState.QUEUED_HELD
    if state.waiting or state is SlurmState.CONFIGURING:
        return JobState.QUEUED
    if state in (SlurmState.SUSPENDED, SlurmState.STOPPED):
        return JobState.SUSPENDED
    return JobState.UNDETERMINED if state is SlurmState.UNKNOWN else JobState.RUNNING


class SimdeckSlurmScheduler(SlurmScheduler):  # type: ignore[misc]
    """Slurm, each job submitted once. See the module's text for what differs from ``core.slurm``."""

    _logger = SlurmScheduler._logger.getChild("simdeck")
    _features = {"can_query_by_user": False}  # noqa: RUF012 - the base class's own form

    @property
    def cluster(self) -> RunCluster:
        return cluster_of(str(self.transport.hostname))

    def submit_job(self, working_directory: str, filename: str) -> Any:
        try:
            return submit(self.cluster, Path(working_directory), filename)
        except RefusedError as error:
            problem = Problem("job-refused", cluster=self.cluster.title or self.cluster.name, sentence=error)
            return ExitCode(slurm_ends.REFUSED, problem.detail)
        except SchedulerSilentError as error:
            raise SchedulerError(str(error)) from error

    def get_jobs(self, jobs: list[str] | None = None, user: str | None = None, as_dict: bool = False) -> Any:
        watch = watch_of(self.cluster)
        _find_places(watch, jobs or [])
        seen = watch.look([name_of(job) for job in jobs or []])
        found = {}
        for job in jobs or []:
            entry = seen[name_of(job)]
            info = JobInfo()
            info.job_id = job
            info.job_state = aiida_state(entry.state) if entry is not None else JobState.DONE
            if entry is not None:
                info.title, info.annotation, info.queue_name = entry.name, entry.reason, entry.partition
            found[job] = info
        return found if as_dict else list(found.values())

    def kill_job(self, jobid: str) -> bool:
        """End the job, and any other of its name."""
        try:
            slurm_commands.cancel(self.cluster, name_of(jobid))
        except SchedulerSilentError as error:
            raise SchedulerError(str(error)) from error
        return True

    def can_get_detailed_job_info(self) -> bool:
        return True

    def get_detailed_job_info(self, job_id: str) -> dict[str, Any]:
        """How the job ended, as JSON in ``stdout``."""
        cluster, name = self.cluster, name_of(job_id)
        end = slurm_ends.find(cluster, job_id.partition(":")[0], watch_of(cluster).end_of(name) or _seen(cluster, name))
        watch_of(cluster).forget(name)
        return {"retval": 0, "stdout": end.to_json(), "stderr": ""}

    def parse_output(
        self, detailed_job_info: dict[str, Any] | None = None, stdout: str | None = None, stderr: str | None = None
    ) -> ExitCode | None:
        return slurm_ends.exit_code(slurm_ends.End.of(detailed_job_info), stderr or "")

    def _get_run_line(self, codes_info: Any, codes_run_mode: Any) -> str:
        return f"{_GUARD}\n{super()._get_run_line(codes_info, codes_run_mode)}"
