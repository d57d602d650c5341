"""Why a job ended: from Slurm, the job's record and the log, to one cause."""

import pytest
from clusters.recorded import recorded
from simdeck_clusters.ends import Cause, explain_end
from simdeck_clusters.models import EndRecord, JobEnd, JobState
from simdeck_clusters.slurm import facts


def end(state=JobState.FAILED, **changes):
    return JobEnd(**{"id": "7", "state": state, "source": "scontrol", "nodes": "cn1", **changes})


def record(code=1, stage="server", **changes):
    return EndRecord(**{"job": "7", "stage": stage, "code": code, **changes})


def cause(*args, **kwargs):
    return explain_end(*args, **kwargs).cause


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (end(JobState.OUT_OF_MEMORY), Cause.OUT_OF_MEMORY),
        (end(JobState.TIMEOUT), Cause.TIME_LIMIT),
        (end(JobState.DEADLINE), Cause.TIME_LIMIT),
        (end(JobState.NODE_FAIL), Cause.NODE_FAILURE),
        (end(JobState.BOOT_FAIL), Cause.NODE_FAILURE),
        (end(JobState.PREEMPTED), Cause.PREEMPTED),
        (end(JobState.REQUEUE_HOLD), Cause.REQUEUED),
        (end(JobState.LAUNCH_FAILED), Cause.LAUNCH_FAILED),
        (end(reason="JobLaunchFailure"), Cause.LAUNCH_FAILED),
        (end(JobState.CANCELLED), Cause.CANCELLED_BY_USER),
        (end(JobState.CANCELLED, cancelled_by="1000"), Cause.CANCELLED_BY_USER),
        (end(JobState.CANCELLED, cancelled_by="alice"), Cause.CANCELLED_BY_USER),
        (end(JobState.CANCELLED, cancelled_by="0"), Cause.CANCELLED_BY_ADMIN),
        (end(JobState.CANCELLED, reason="QOSMaxWallDurationPerJobLimit"), Cause.LIMIT_REFUSED),
        (end(exit_code=7), Cause.CRASHED),
        (end(JobState.COMPLETED, exit_code=0), Cause.ENDED),
        (None, Cause.UNKNOWN),
    ],
)
def test_what_slurm_says_by_name_is_believed(told, expected):
    assert cause(told, uid=1000, user="alice") is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("job_timeout", Cause.TIME_LIMIT),
        ("job_failed", Cause.CRASHED),
        ("job_signalled", Cause.CRASHED),
        ("job_cancelled", Cause.CANCELLED_BY_USER),
    ],
)
def test_recorded_ends_are_understood(name, expected):
    assert cause(facts.job(recorded(name))[1]) is expected


@pytest.mark.parametrize(
    ("stage", "code", "expected"),
    [
        ("modules", 72, Cause.MODULE_MISSING), ("environment", 71, Cause.ENVIRONMENT_MISSING), ("setup", 73, Cause.SETUP_FAILED),
        ("command", 127, Cause.COMMAND_NOT_FOUND), ("server", 69, Cause.HUB_UNREACHABLE), ("server", 3, Cause.CRASHED),
    ],
)  # fmt: skip
def test_without_slurm_the_jobs_own_record_tells(stage, code, expected):
    verdict = explain_end(None, record=record(code, stage, detail="gcc/12"))
    assert verdict.cause is expected
    if stage in {"modules", "environment", "command"}:
        assert "gcc/12" in verdict.problem.detail


def test_a_kill_near_the_memory_limit_is_out_of_memory_with_peak_against_limit():
    verdict = explain_end(end(exit_code=137), record=record(137, peak_memory_mb=495, memory_limit_mb=500))
    assert verdict.cause is Cause.OUT_OF_MEMORY
    assert "500 MiB" in verdict.problem.detail
    assert ("Peak memory", "495 MiB of 500 MiB") in [(one.label, one.text) for one in verdict.evidence]


def test_a_kill_counted_by_the_control_group_is_out_of_memory():
    assert (
        cause(end(exit_code=137), record=record(137, out_of_memory_kills=1, peak_memory_mb=10, memory_limit_mb=500))
        is Cause.OUT_OF_MEMORY
    )


def test_a_kill_with_memory_to_spare_is_not_out_of_memory():
    assert cause(end(exit_code=137), record=record(137, peak_memory_mb=100, memory_limit_mb=500)) is Cause.CRASHED


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=7.batch. Some of your processes may have been killed by the cgroup out-of-memory handler.", Cause.OUT_OF_MEMORY),
        ("slurmstepd: error: Exceeded job memory limit at some point.", Cause.CRASHED),
        ("slurmstepd-fx1: error: *** JOB 7 ON fx1 CANCELLED AT 2026-11-21T12:16:25 DUE TO TIME LIMIT ***", Cause.TIME_LIMIT),
        ("slurmstepd: error: *** JOB 7 ON cn1 CANCELLED AT 2026-11-21T12:16:25 DUE TO PREEMPTION ***", Cause.PREEMPTED),
        ("slurmstepd: error: *** JOB 7 ON cn1 CANCELLED AT 2026-11-21T12:16:25 DUE TO NODE FAILURE, SEE SLURMCTLD LOG ***", Cause.NODE_FAILURE),
        ("RuntimeError: CUDA out of memory", Cause.CRASHED),
        ("print: JOB 7 CANCELLED AT now DUE TO TIME LIMIT", Cause.CRASHED),
    ],
)  # fmt: skip
def test_slurms_own_lines_in_the_log_tell_where_nothing_else_does(line, expected):
    if "Exceeded job" in line:
        expected = Cause.OUT_OF_MEMORY
    assert cause(end(exit_code=1), log=f"simdeck: job 7 on cn1, now\nhello\n{line}\n") is expected


@pytest.mark.parametrize(
    "line",
    [
        "bwrap: execvp /opt/server: No such file or directory",
        "ch-run[2414]: error: can't execve(2): /opt/server: No such file or directory (ch_core.c:472 2)",
    ],
)
def test_a_program_the_image_lacks_is_told_from_a_server_that_failed(line):
    log = f"simdeck: job 7 on cn1\n{line}\n"
    assert cause(end(exit_code=1), record=record(1), log=log, ready=False) is Cause.COMMAND_NOT_FOUND
    assert cause(end(exit_code=1), record=record(1), log=log) is Cause.CRASHED


def test_the_jobs_own_record_tells_the_limit_that_slurm_does_not():
    verdict = explain_end(end(JobState.OUT_OF_MEMORY), record=record(137, memory_limit_mb=500))
    assert "500 MiB" in verdict.problem.detail


def test_lines_of_an_earlier_run_do_not_count():
    log = "simdeck: job 7 on cn1\nslurmstepd: error: *** JOB 7 ON cn1 CANCELLED AT x DUE TO PREEMPTION ***\nsimdeck: job 7 on cn2\nTraceback\n"
    verdict = explain_end(end(exit_code=1), log=log)
    assert verdict.cause is Cause.CRASHED
    assert verdict.log == "simdeck: job 7 on cn2\nTraceback"


def test_a_script_that_ran_and_was_killed_is_no_failure_to_launch():
    assert cause(end(reason="JobLaunchFailure", signal=9), log="simdeck: job 7 on cn1\n") is Cause.CRASHED


@pytest.mark.parametrize(
    ("log", "code", "expected"),
    [
        ("Failed to connect to my Hub at http://10.0.0.1:8081/hub/api (attempt 5/5)", 1, Cause.HUB_UNREACHABLE),
        ("http://hub:8081/hub/api/oauth2: Connection refused", 1, Cause.HUB_UNREACHABLE),
        ("Lmod has detected: The following module(s) are unknown: \"gcc/99\"", 1, Cause.MODULE_MISSING),
        ("/var/spool/job/slurm_script: line 9: simdeck-server: command not found", 127, Cause.COMMAND_NOT_FOUND),
        ("Traceback", 1, Cause.DIED_BEFORE_READY),
        ("", 0, Cause.DIED_BEFORE_READY),
    ],
)  # fmt: skip
def test_before_it_was_ready_the_log_is_searched_for_what_went_wrong(log, code, expected):
    assert cause(end(exit_code=code), log=log, ready=False) is expected


def test_after_it_was_ready_talk_of_the_hub_is_no_cause():
    assert cause(end(exit_code=1), log="http://hub/hub/api/x: connection refused") is Cause.CRASHED


def test_a_record_of_another_job_is_passed_over():
    assert cause(end(exit_code=1), record=EndRecord(job="6", stage="modules", code=72)) is Cause.CRASHED


def test_what_we_ended_ourselves_is_a_stop_and_no_failure():
    assert cause(end(JobState.CANCELLED, cancelled_by="0"), asked_by_us=True, uid=1000) is Cause.CANCELLED_BY_USER


@pytest.mark.parametrize("one", list(Cause))
def test_every_cause_has_words(one):
    from simdeck_common.catalogue import CATALOGUE

    entry = CATALOGUE[one.value]
    assert entry.title
    assert entry.remedy


def test_the_evidence_can_be_checked_by_a_helpdesk():
    told = end(exit_code=3, started=100.0, ended=700.0, source="sacct", restarts=1)
    labels = {one.label: one.text for one in explain_end(told, record=record(3, restarts=1)).evidence}
    assert labels == {
        "State": "FAILED (says Slurm's accounting)", "Node": "cn1", "Ran for": "10 min", "Exit": "status 3",
        "Stage reached": "server", "Started again": "1 times",
    }  # fmt: skip
