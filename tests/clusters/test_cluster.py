"""Asking and acting on a cluster: refused, unreachable and unknown are told apart."""

import pytest
from clusters.recorded import recorded
from simdeck_clusters import refusals
from simdeck_clusters.cluster import Cluster, node_address
from simdeck_clusters.executor import Done
from simdeck_clusters.models import JobState, Node
from simdeck_clusters.records import end_record, from_record
from simdeck_clusters.request import ResourceRequest
from simdeck_clusters.settings import ClusterSettings, Environment
from simdeck_clusters.simulated import OUTAGE, SimulatedSlurm
from simdeck_clusters.slurm.script import JobSpec, job_script
from simdeck_common.problems import Problem


def script(server="s1", **changes):
    request = ResourceRequest(
        **{"cluster": "hpc", "partition": "normal", "environment": "default", "memory_mb": 100, **changes}
    )
    return job_script(
        request,
        JobSpec(f"simdeck-abcd1234-{server}", server, "abcd1234", ("/bin/server",)),
        Environment(name="default"),
    )


def cluster(**slurm):
    made = SimulatedSlurm(**slurm)
    return Cluster(ClusterSettings(name="hpc"), made), made


class Answers:
    """An executor that gives recorded answers, by the command's first words."""

    def __init__(self, **answers):
        self.answers = answers

    async def run(self, argv, *, user=None, stdin=b"", timeout=20.0):  # noqa: ASYNC109
        name = argv[1] if argv[0] == "simdeck-launch" else argv[0]
        return self.answers.get(name.replace("-", "_"), Done(1, err=OUTAGE))


def answering(**answers):
    return Cluster(ClusterSettings(name="hpc"), Answers(**answers))


async def problem(awaitable):
    with pytest.raises(Problem) as caught:
        await awaitable
    return caught.value


async def test_a_job_is_submitted_found_signalled_and_cancelled():
    asked, slurm = cluster()
    job = await asked.submit("alice", "s1", script())
    assert [one.id for one in await asked.find_by_name("simdeck-abcd1234-s1", "alice")] == [job]
    await asked.signal("alice", job, "USR1")
    assert slurm.job(job).signals == ["USR1"]
    await asked.cancel("alice", job)
    shown, end = await asked.job(job)
    assert (shown.state, end.state) == (JobState.CANCELLED, JobState.CANCELLED)


async def test_a_name_is_looked_for_among_the_users_own_jobs_only():
    asked, _ = cluster()
    await asked.submit("mallory", "s1", script())
    assert await asked.find_by_name("simdeck-abcd1234-s1", "alice") == []


async def test_the_estimate_before_submitting_submits_nothing():
    asked, slurm = cluster(nodes=1)
    await asked.submit("bob", "b", script("b", cores=32, walltime_minutes=30))
    estimate = await asked.estimate("alice", "s1", script(cores=32))
    assert estimate.start == pytest.approx(slurm.clock.time() + 1800)
    assert slurm.jobs(user="alice") == []


async def test_a_smaller_request_may_start_sooner():
    asked, slurm = cluster(nodes=1)
    await asked.submit("bob", "b", script("b", cores=30))
    now = slurm.clock.time()
    assert (await asked.estimate("alice", "s1", script(cores=2))).start == now
    assert (await asked.estimate("alice", "s1", script(cores=3))).start > now


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("lost", "cluster-submit-unknown"),
        ("hang", "cluster-submit-unknown"),
        ("garbage", "cluster-submit-unknown"),
        ("empty", "cluster-submit-unknown"),
        ("error", "cluster-unavailable"),
        ("refuse", "cluster-refused"),
    ],
)
async def test_what_became_of_a_submission_is_never_guessed(kind, code):
    asked, slurm = cluster(clock=Quick())
    slurm.fault("sbatch", kind)
    assert (await problem(asked.submit("alice", "s1", script()))).code == code
    assert bool(slurm.jobs(user="alice")) == (kind in {"lost", "garbage", "empty"})


class Quick:
    """A clock whose waits are over at once."""

    def time(self):
        return 1_800_000_000.0

    async def wait(self, event, seconds):
        return event.is_set()


@pytest.mark.parametrize(
    ("name", "field", "said"),
    [
        ("err_partition", "partition", "partition"),
        ("err_gres", "cores", "Requested node configuration"),
        ("err_memory", "memory_mb", "Memory specification"),
        ("err_reservation", "reservation", "reservation is invalid"),
    ],
)
async def test_a_refusal_names_the_field_to_change(name, field, said):
    refused = await problem(answering(sbatch=Done(1, err=recorded(name))).submit("alice", "s1", script()))
    assert (refused.code, refused.field) == ("cluster-refused", field)
    assert said in refused.detail
    assert "sbatch: error" not in refused.detail


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("sbatch: error: QOSMaxWallDurationPerJobLimit; sbatch: error: Batch job submission failed: Job violates accounting/QOS policy", "walltime_minutes"),
        ("sbatch: error: QOSMaxMemoryPerJob; x", "memory_mb"),
        ("sbatch: error: AssocMaxSubmitJobLimit; x", None),
        ("Invalid account or account/partition combination specified", "account"),
        ("Invalid qos specification", "qos"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "walltime_minutes"),
        ("something nobody has heard of", None),
    ],
)  # fmt: skip
def test_slurms_words_point_at_a_field(message, field):
    found, hint = refusals.explain(message)
    assert found == field
    assert hint


def test_a_recorded_time_out_is_an_outage_and_may_have_been_taken():
    message = recorded("err_stopped")
    assert refusals.is_outage(message)
    assert refusals.may_have_happened(1, message)


async def test_the_launchers_own_refusal_is_no_refusal_of_the_scheduler():
    for text in ("simdeck-launch: argument 1 of sbatch is not valid", "sudo: a password is required"):
        refused = await problem(answering(sbatch=Done(1, err=text)).submit("alice", "s1", script()))
        assert refused.code == "cluster-launcher-failed"


async def test_a_launcher_that_ran_out_of_time_leaves_the_submission_unknown():
    refused = await problem(
        answering(sbatch=Done(124, err="simdeck-launch: sbatch did not end within 20 seconds")).submit(
            "alice", "s1", script()
        )
    )
    assert refused.code == "cluster-submit-unknown"


async def test_a_job_the_controller_does_not_know_is_none_and_an_outage_is_not():
    assert await answering(scontrol=Done(1, err=recorded("err_no_job"))).job("99999") is None
    assert (await problem(answering().job("99999"))).code == "cluster-unavailable"


async def test_without_accounting_the_controller_tells_the_end():
    asked = answering(scontrol=Done(0, recorded("job_failed")), sacct=Done(1, err=recorded("err_no_accounting")))
    end = await asked.history("12")
    assert (end.source, end.exit_code, asked.accounting) == ("scontrol", 3, False)


async def test_with_accounting_its_word_counts_because_it_knows_the_memory():
    asked = answering(
        scontrol=Done(0, recorded("job_failed")), sacct=Done(0, recorded("sacct_failing", "22.05-accounting"))
    )
    end = await asked.history("32")
    assert (end.source, end.peak_memory_mb, asked.accounting) == ("sacct", 161, True)


async def test_what_accounting_has_not_been_told_yet_comes_from_the_controller():
    line = recorded("sacct_failing", "22.05-accounting").splitlines()[0].split("|")
    line[9], line[10] = "", ""
    asked = answering(scontrol=Done(0, recorded("job_failed")), sacct=Done(0, "|".join(line) + "\n"))
    end = await asked.history(line[0])
    assert (end.source, end.memory_limit_mb is None, end.walltime_minutes is None) == ("sacct", False, False)


async def test_accounting_that_is_behind_is_not_believed():
    asked = answering(
        scontrol=Done(0, recorded("job_failed")), sacct=Done(0, recorded("sacct_running", "22.05-accounting"))
    )
    assert (await asked.history("35")).source == "scontrol"


async def test_a_job_that_goes_on_has_no_history():
    assert await answering(scontrol=Done(0, recorded("job_running"))).history("15") is None


async def test_an_outage_of_accounting_does_not_switch_it_off():
    asked = answering(
        scontrol=Done(0, recorded("job_failed")),
        sacct=Done(1, err="sacct: error: Problem talking to the database: Connection refused"),
    )
    assert (await asked.history("12")).source == "scontrol"
    assert asked.accounting is None


async def test_where_no_accounts_are_kept_there_are_none():
    asked = answering(sacctmgr=Done(1, err=recorded("err_no_sacctmgr")))
    assert await asked.associations() is None
    assert asked.accounting is False


async def test_cancelling_what_is_over_is_well():
    await answering(scancel=Done(1, err="scancel: error: Kill job error on job id 9: Invalid job id specified")).cancel(
        "alice", "9"
    )


async def test_cancelling_while_the_scheduler_is_away_is_told():
    assert (await problem(answering().cancel("alice", "9"))).code == "cluster-unavailable"


async def test_what_a_server_left_is_read_back():
    asked, slurm = cluster()
    await asked.write("alice", "s1", {"server.json": {"a": 1}, "job.sh": "x"})
    slurm.files["alice", "s1"]["end.json"] = (
        '{"job": "7", "stage": "server", "code": 137, "peak_memory_mb": 400, "warned": true}'
    )
    slurm.files["alice", "s1"]["job.log"] = "hello\n"
    left = await asked.read("alice", "s1")
    assert (left.log, left.end.code, left.end.peak_memory_mb, left.end.warned) == ("hello\n", 137, 400, True)
    await asked.clean("alice", "s1")
    assert (await asked.read("alice", "s1")).end is None


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "x",
        {},
        {"job": "7"},
        {"job": "7", "stage": "s", "code": "x"},
        {"job": 1, "stage": "s", "code": 1e400},
        {"job": "1", "stage": "s", "code": None},
    ],
)
def test_a_record_that_makes_no_sense_is_none(raw):
    assert end_record(raw) is None


def test_the_jobs_own_record_stands_in_where_slurm_remembers_nothing():
    record = end_record(
        {"job": "7", "stage": "server", "code": 3, "ended": 1800000000, "peak_memory_mb": 10, "memory_limit_mb": 100}
    )
    end = from_record(record, "7")
    assert (end.source, end.exit_code, end.state, end.peak_memory_mb) == ("record", 3, JobState.FAILED, 10)
    assert from_record(record, "8") is None


def node(host, address):
    return Node("cn1", address, host, frozenset(), (), 1, 0, 1, 0)


async def test_a_nodes_address_stands_in_where_its_name_does_not_resolve():
    assert await node_address("auto", node("no-such-host.invalid", "10.0.0.7")) == "10.0.0.7"
    assert await node_address("auto", node("localhost", "10.0.0.7")) == "localhost"
    assert await node_address("address", node("localhost", "10.0.0.7")) == "10.0.0.7"
    assert await node_address("name", node("no-such-host.invalid", "10.0.0.7")) == "no-such-host.invalid"


async def test_calls_are_counted_by_command_and_outcome():
    asked, slurm = cluster()
    await asked.queue()
    slurm.fault("squeue", "error")
    await problem(asked.queue())
    assert asked.calls.total == {("squeue", "ok"): 1, ("squeue", "failed"): 1}
    assert asked.calls.of("squeue") == 2


async def test_each_squeue_has_a_mark_of_its_own():
    marks = []

    class Listening(SimulatedSlurm):
        async def run(self, argv, **kwargs):
            marks.append(argv[-1][:20])
            return await super().run(argv, **kwargs)

    asked = Cluster(ClusterSettings(name="hpc"), Listening())
    await asked.queue()
    await asked.queue()
    assert marks[0] != marks[1]
