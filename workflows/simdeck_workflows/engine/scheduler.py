"""The scheduler plugin ``simdeck.local``: jobs as processes of this machine, started once, known by more than a number.

AiiDA's ``core.direct`` knows a job by its process id and asks ``ps``. Three things go wrong there and are mended here:

- A worker killed between starting a job and noting its id starts it a second time. Here the job itself makes a marker
  in its working directory before it does anything, and only the maker of the marker runs on; a second start adopts it.
- After a reboot the number may belong to another process, which then passes for the job, or is killed in its place.
  Here the id holds the process's start time and the boot's id too.
- A ``ps`` that fails or is not installed reads as "all jobs are done". Here ``/proc`` is read directly.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiida.schedulers import SchedulerError
from aiida.schedulers.datastructures import JobInfo, JobState
from aiida.schedulers.plugins.direct import DirectScheduler

MARKER = ".simdeck-job"

# `set -C` makes the redirection fail where the file exists, so of two starts exactly one runs on. `exec` keeps the id.
_LAUNCH = (
    "read -r stat </proc/$$/stat; read -r boot </proc/sys/kernel/random/boot_id; "
    f'set -C; echo "$boot $stat" > {MARKER} || exit 0; set +C; exec bash "$1"'
)
_MARKER_PATIENCE = 10.0


@dataclass(frozen=True)
class JobId:
    """A process that cannot be mistaken: number, start (clock ticks since boot) and boot."""

    pid: int
    start: int
    boot: str

    def __str__(self) -> str:
        return f"{self.pid}-{self.start}-{self.boot}"

    @classmethod
    def parse(cls, text: str) -> JobId:
        """Read what ``str`` wrote. Raises ``ValueError``."""
        pid, start, boot = text.split("-", 2)
        return cls(int(pid), int(start), boot)

    @classmethod
    def from_marker(cls, text: str) -> JobId:
        """Read a marker's line: the boot's id and the content of ``/proc/<pid>/stat``. Raises ``ValueError``."""
        boot, _, stat = text.partition(" ")
        pid, start, _session, _state = parse_stat(stat)
        return cls(pid, start, boot[:8])


def parse_stat(line: str) -> tuple[int, int, int, str]:
    """Return (pid, start in ticks, session, state letter) from a ``/proc/<pid>/stat`` line. Raises ``ValueError``."""
    head, _, tail = line.rpartition(")")
    fields = tail.split()
    try:
        return int(head.split()[0]), int(fields[19]), int(fields[3]), fields[0]
    except IndexError as error:
        raise ValueError(f"not a stat line: {line!r}") from error


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]


def processes_of(job: JobId) -> list[int]:
    """The live processes of a job: its leader, or what is left of its session when the leader has died."""
    if job.boot != boot_id():
        return []
    leader = _stat(job.pid)
    if leader is not None and leader[1] != job.start:
        return []
    if leader is not None and leader[3] not in "ZX":
        return [job.pid]
    # A number is not given away again while a session carries it, so what is found belongs to the job.
    members = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and (found := _stat(int(entry))) is not None:
            pid, _start, session, state = found
            if session == job.pid and state not in "ZX":
                members.append(pid)
    return members


def kill(job: JobId, number: signal.Signals) -> bool:
    """Send a signal to every process of the job. False if there was none left."""
    if not processes_of(job):
        return False
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and (found := _stat(int(entry))) is not None and found[2] == job.pid:
            try:
                os.kill(found[0], number)
            except ProcessLookupError:
                continue
    return True


def job_in(directory: Path) -> JobId | None:
    """The job that was started in a working directory, or None if none was."""
    try:
        return JobId.from_marker((directory / MARKER).read_text())
    except (OSError, ValueError):
        return None


def launch(directory: Path, script: str) -> JobId:
    """Start ``bash <script>`` in ``directory`` in a session of its own, or adopt the job that was started there.

    Raises
    ------
    SchedulerError
        The job did not come up.
    """
    if (found := job_in(directory)) is not None:
        return found
    process = subprocess.Popen(
        ["bash", "-c", _LAUNCH, "simdeck-job", script],
        cwd=directory,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    patience = time.monotonic() + _MARKER_PATIENCE
    while (found := job_in(directory)) is None:
        if time.monotonic() > patience or (process.poll() is not None and job_in(directory) is None):
            raise SchedulerError(f"the job in {directory} did not come up (exit status {process.returncode})")
        time.sleep(0.002)
    return found


def _stat(pid: int) -> tuple[int, int, int, str] | None:
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except (OSError, ValueError):
        return None


class LocalScheduler(DirectScheduler):  # type: ignore[misc]
    """Direct execution on this machine. See the module's text for what differs from ``core.direct``."""

    _logger = DirectScheduler._logger.getChild("simdeck")
    _features = {"can_query_by_user": False}  # noqa: RUF012 - the base class's own form

    def submit_job(self, working_directory: str, filename: str) -> str:
        return str(launch(Path(working_directory), filename))

    def get_jobs(self, jobs: list[str] | None = None, user: str | None = None, as_dict: bool = False) -> Any:
        found = {}
        for text in jobs or []:
            job = JobInfo()
            job.job_id = text
            job.job_state = JobState.RUNNING if _alive(text) else JobState.DONE
            found[text] = job
        return found if as_dict else list(found.values())

    def kill_job(self, jobid: str) -> bool:
        """Ask the job to end. One that is gone already counts as killed."""
        try:
            kill(JobId.parse(jobid), signal.SIGTERM)
        except ValueError:
            return False
        return True


def _alive(text: str) -> bool:
    try:
        return bool(processes_of(JobId.parse(text)))
    except ValueError:
        # Not one of our ids (a computer that was reconfigured): there is no such process.
        return False
