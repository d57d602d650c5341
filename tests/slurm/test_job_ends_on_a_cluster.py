"""Why jobs ended, on a real cluster: from Slurm's own words, the job's record and its log, to one cause each."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from simdeck_clusters.ends import Cause, Evidence
from simdeck_clusters.settings import Environment, ModulesEnvironment, VenvEnvironment
from simdeck_clusters.slurm.script import ExitCode
from simdeck_hub.trial.trial import Trial
from slurm.job_runs import ENDS, Job, cluster_of
from stack import wait_for

pytestmark = pytest.mark.slurm
ALICE, BOB = ENDS.users
SLEEP = ("/bin/sleep", "600")
SERVER = (
    "import os, signal, sys; signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b'warned\\n')); "
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); [signal.pause() for _ in iter(int, 1)]"
)
DEBIANS_MODULES = Path("/usr/share/modules/init/bash")
# Both who may be asked: the controller, while it remembers the job, and accounting.
EVERY_SOURCE = ("off", "on")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Trial]:
    yield from cluster_of(ENDS)


@pytest.fixture(scope="module", autouse=True)
def limited(cluster: Trial) -> Job:
    """A job that soon reaches its limit, begun first: the other tests run while it does."""
    job = Job.submit(cluster, BOB, "limited", python(SERVER), partition="normal", walltime_minutes=2, memory_mb=100)
    job.wait_running()
    cluster.slurm.slurm("scontrol", "update", f"JobId={job.id}", "EndTime=now+31")
    return job


@pytest.fixture(params=EVERY_SOURCE, ids=["controller", "accounting"])
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def python(code: str) -> tuple[str, ...]:
    return ("/usr/bin/python3", "-c", code)


def test_a_server_that_takes_more_than_its_memory_is_out_of_memory(cluster: Trial, source: str) -> None:
    eat = python("import time; x = bytearray(b'1' * 400_000_000); time.sleep(600)")
    verdict = Job.submit(cluster, ALICE, f"eater-{source}", eat, memory_mb=100).verdict(source)
    assert verdict.cause is Cause.OUT_OF_MEMORY
    assert "100 MiB" in verdict.problem.detail


def test_an_administrators_cancel_is_told_from_the_owners(cluster: Trial) -> None:
    # Only accounting knows who it was.
    job = Job.submit(cluster, ALICE, "by-admin", SLEEP)
    job.wait_running()
    cluster.slurm.slurm("scancel", job.id)
    assert job.verdict("on").cause is Cause.CANCELLED_BY_ADMIN


def test_the_owners_cancel_is_theirs(cluster: Trial, source: str) -> None:
    job = Job.submit(cluster, ALICE, f"by-owner-{source}", SLEEP)
    job.wait_running()
    job.cancel()
    assert job.verdict(source).cause is Cause.CANCELLED_BY_USER


def test_a_program_that_is_not_there(cluster: Trial, source: str) -> None:
    verdict = Job.submit(cluster, ALICE, f"lost-{source}", ("/nowhere/simdeck-server",)).verdict(source, ready=False)
    assert verdict.cause is Cause.COMMAND_NOT_FOUND
    assert "/nowhere/simdeck-server" in verdict.problem.detail


def test_a_module_that_is_not_there(cluster: Trial, source: str) -> None:
    modules = Environment(name="chem", source=ModulesEnvironment(load=("no-such-module/1",)))
    verdict = Job.submit(cluster, ALICE, f"modules-{source}", SLEEP, modules).verdict(source, ready=False)
    assert verdict.cause is Cause.MODULE_MISSING
    # A node may have no modules at all.
    assert ("no-such-module/1" if DEBIANS_MODULES.exists() else "the module command") in verdict.problem.detail


@pytest.mark.skipif(not DEBIANS_MODULES.exists(), reason="`apt-get install environment-modules` adds modules")
def test_a_module_of_debians_is_loaded(cluster: Trial) -> None:
    modules = Environment(name="chem", source=ModulesEnvironment(load=("null",)))
    server = python("import os; raise SystemExit(0 if os.environ['LOADEDMODULES'] == 'null' else 9)")
    assert Job.submit(cluster, ALICE, "loaded", server, modules).verdict().cause is Cause.ENDED


def test_an_environment_that_is_not_there(cluster: Trial, source: str) -> None:
    venv = Environment(name="py", source=VenvEnvironment(path="/nowhere/env"))
    verdict = Job.submit(cluster, ALICE, f"venv-{source}", SLEEP, venv).verdict(source, ready=False)
    assert verdict.cause is Cause.ENVIRONMENT_MISSING


def test_a_line_of_the_administrators_that_fails(cluster: Trial, source: str) -> None:
    broken = Environment(name="broken", setup=("exit 9",))
    verdict = Job.submit(cluster, ALICE, f"setup-{source}", SLEEP, broken).verdict(source, ready=False)
    assert verdict.cause is Cause.SETUP_FAILED


def test_a_server_that_cannot_reach_the_hub(cluster: Trial, source: str) -> None:
    server = python(f"raise SystemExit({int(ExitCode.HUB_UNREACHABLE)})")
    verdict = Job.submit(cluster, ALICE, f"hubless-{source}", server).verdict(source, ready=False)
    assert verdict.cause is Cause.HUB_UNREACHABLE
    assert "cn1" in verdict.problem.detail


@pytest.mark.parametrize(
    ("code", "ready", "cause"),
    [
        ("raise SystemExit(0)", True, Cause.ENDED),
        ("raise SystemExit(3)", True, Cause.CRASHED),
        ("import os; os.kill(os.getpid(), 11)", True, Cause.CRASHED),
        ("raise SystemExit(3)", False, Cause.DIED_BEFORE_READY),
    ],
)
def test_a_server_that_ends_by_itself(cluster: Trial, source: str, code: str, ready: bool, cause: Cause) -> None:
    verdict = Job.submit(cluster, ALICE, f"own-{source}", python(code)).verdict(source, ready=ready)
    assert verdict.cause is cause


def test_a_job_of_a_node_that_goes_down(cluster: Trial) -> None:
    job = Job.submit(cluster, ALICE, "on-cn2", SLEEP, partition="gpu")
    job.wait_running()
    lose_node(cluster)
    try:
        for source in EVERY_SOURCE:
            verdict = job.verdict(source)
            assert verdict.cause is Cause.NODE_FAILURE
            assert "cn2" in verdict.problem.detail
    finally:
        bring_back(cluster)


def test_a_job_that_may_start_again_after_its_nodes_failure_is_not_over(cluster: Trial) -> None:
    job = Job.submit(cluster, ALICE, "again", python("import time; time.sleep(600)"), partition="gpu", requeue=True)
    job.wait_running()
    lose_node(cluster)
    try:
        wait_for("the job to wait again", lambda: job.state() == "PENDING")
        assert job.end("off") is None
        assert job.end("on") is None
    finally:
        bring_back(cluster)

    def started_again() -> bool:
        if job.state() == "PENDING":
            # Slurm holds it back for two minutes, and may say so only now.
            change(cluster, f"JobId={job.id}", "StartTime=now")
        return job.state() == "RUNNING" and job.log().count("simdeck: job ") == 2

    wait_for("its second start", started_again)
    job.cancel()
    verdict = job.verdict()
    assert Evidence("Started again", "1 times") in verdict.evidence


@pytest.mark.parametrize("requeue", [False, True], ids=["not to start again", "to start again"])
def test_a_job_that_more_urgent_ones_push_aside(cluster: Trial, requeue: bool) -> None:
    name = f"lower-{str(requeue).lower()}"
    lower = Job.submit(
        cluster, ALICE, name, SLEEP, partition="preempt", requeue=requeue, cores=4, extra=["--nodelist=cn2"]
    )
    lower.wait_running()
    upper = Job.submit(cluster, BOB, f"upper-{name}", SLEEP, partition="gpu", cores=4)
    upper.wait_running()
    if requeue:
        assert lower.state() == "PENDING"
        assert lower.end("off") is None
        assert lower.end("on") is None
    else:
        for source in EVERY_SOURCE:
            assert lower.verdict(source).cause is Cause.PREEMPTED
    upper.cancel()
    lower.cancel()


def test_a_job_at_the_end_of_its_time(limited: Job) -> None:
    # Slurm looks at limits every half minute: the warning comes at one look, the end at a later one.
    for source in EVERY_SOURCE:
        verdict = limited.verdict(source, seconds=150)
        assert verdict.cause is Cause.TIME_LIMIT
        assert "2 min" in verdict.problem.detail
    record = limited.record()
    assert record is not None
    assert (record.warned, record.signal) == (True, "15")
    assert "warned" in limited.log()


def lose_node(cluster: Trial) -> None:
    cluster.slurm.stop_node("cn2")
    # What slurmctld finds out by itself after SlurmdTimeout.
    cluster.slurm.slurm("scontrol", "update", "NodeName=cn2", "State=DOWN", "Reason=plug")


def bring_back(cluster: Trial) -> None:
    cluster.slurm.start_node(cluster.slurm.cluster.nodes[1])

    def back() -> bool:
        state = cluster.slurm.slurm("sinfo", "--noheader", "--nodes=cn2", "--format=%T").split()
        if "down" in state:
            change(cluster, "NodeName=cn2", "State=RESUME")
        return set(state) <= {"idle", "mixed", "allocated"}

    wait_for("cn2 to come back", back)


def change(cluster: Trial, *words: str) -> None:
    """Change what is to change by itself, too: it may have done so just now, which Slurm takes for a mistake."""
    with contextlib.suppress(subprocess.CalledProcessError):
        cluster.slurm.slurm("scontrol", "update", *words)
