"""Nothing of a server outlives its job, also where Slurm finds processes by their parents alone; and what comes back."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from simdeck_hub.trial.trial import Trial
from slurm.job_runs import Job
from slurm.site_stack import ADA, EMIL
from stack import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]

# A server with a kernel in a session of its own that does not care for TERM. What the server does when it is told to
# end is its first argument: end and leave the kernel alone, or nothing. "quits" ends by itself.
SERVER = """\
import os, signal, subprocess, sys, time
kernel = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('kernel', flush=True); time.sleep(600)"
started = subprocess.Popen([sys.executable, "-c", kernel], start_new_session=True, stdout=subprocess.PIPE)
started.stdout.readline()
if sys.argv[1] == "stays":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[1].isdigit():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(int(sys.argv[1])))
print("server", os.getpid(), flush=True)
if sys.argv[1] != "quits":
    time.sleep(600)
"""


PROGRAM = f"exec({SERVER!r})"
"""In one line, as words of a job script are."""


def submit(cluster: Trial, name: str, way: str, extra: Sequence[str] = (), user: str = ADA, **options: object) -> Job:
    return Job.submit(cluster, user, name, ("/usr/bin/python3", "-c", PROGRAM, way), extra=extra, **options)  # type: ignore[arg-type]


def started(job: Job) -> str:
    """Wait until the server says so; return its pid on the node."""
    found = wait_for("the server", lambda: re.findall(r"^server (\d+)$", job.log(), re.MULTILINE))
    return str(found[-1])


def left(cluster: Trial, user: str = ADA) -> list[str]:
    """Return what runs of a person on the nodes."""
    found = []
    for node in cluster.slurm.nodes:
        listing = cluster.run_on(node, ["ps", "-e", "-o", "user:32=,pid=,args="]).splitlines()
        found += [line for line in listing if line.split()[0] == user]
    return found


@pytest.mark.parametrize("way", ["leaves", "stays", "killed", "quits"])
def test_nothing_of_a_server_outlives_its_job(cluster: Trial, way: str) -> None:
    job = submit(cluster, f"left-{way}", way)
    pid = started(job)
    if way in {"leaves", "stays"}:
        assert len(left(cluster)) >= 3
        job.cancel()
    if way == "killed":
        cluster.run_on("cn1", ["kill", "-KILL", pid])
    wait_for("the job's end", lambda: job.state() not in {"RUNNING", "COMPLETING"})
    assert left(cluster) == []


@pytest.mark.parametrize("grace", [0, 8])
def test_a_server_that_ends_before_it_reached_the_hub_is_started_again_after_preemption(
    cluster: Trial, grace: int
) -> None:
    cluster.slurm.slurm("scontrol", "update", "PartitionName=preempt", f"GraceTime={grace}")
    job = submit(cluster, f"unheard-{grace}", "69", ["--nodelist=cn1"], partition="preempt", requeue=True, cores=4)
    started(job)
    other = submit(cluster, f"first-{grace}", "leaves", user=EMIL, cores=4)
    started(other)
    shown = cluster.slurm.slurm("scontrol", "show", "job", job.id)
    other.cancel()
    assert re.findall(r"JobState=(\w+)|Restarts=(\d+)", shown)[:2] == [("PENDING", ""), ("", "1")], shown
    job.cancel()


def test_a_server_that_ends_before_it_reached_the_hub_is_started_again_when_it_is_requeued(cluster: Trial) -> None:
    job = submit(cluster, "again", "69", requeue=True)
    started(job)
    cluster.slurm.slurm("scontrol", "requeue", job.id)
    wait_for("its place in the queue", lambda: job.state() == "PENDING")
    cluster.slurm.slurm("scontrol", "update", f"JobId={job.id}", "StartTime=now")
    wait_for("its next run", lambda: len(re.findall(r"^server ", job.log(), re.MULTILINE)) == 2)
    job.cancel()
