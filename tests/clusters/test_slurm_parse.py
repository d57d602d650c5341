"""What Slurm prints, read; recorded from real clusters."""

import pytest
from clusters.recorded import MARK, recorded
from hypothesis import given, settings
from hypothesis import strategies as st
from simdeck_clusters.models import JobState, Snapshot
from simdeck_clusters.slurm import argv, facts, parse
from simdeck_clusters.slurm.parse import Garbled


def queue():
    return {job.name.split("\n")[0]: job for job in parse.queue(recorded("squeue"), MARK)}


def test_a_running_job_is_read_with_node_end_and_what_it_holds():
    job = queue()["simdeck-abcd1234-alice"]
    assert (job.id, job.user, job.state, job.batch_host, job.nodes) == ("15", "fxuser", JobState.RUNNING, "fx1", "fx1")
    assert (job.cores, job.memory_mb, job.gres, job.walltime_minutes) == (2, 1024, "gpu:tesla:1", 60)
    assert job.comment == "simdeck:abcd1234"
    assert job.ends - job.started == 3600


def test_a_waiting_job_is_read_with_its_reason_and_expected_start():
    job = queue()["waits"]
    assert (job.state, job.reason, job.batch_host, job.nodes) == (JobState.PENDING, "Resources", "", "")
    assert job.started > job.submitted


def test_what_slurm_does_not_say_is_nothing():
    job = queue()["after"]
    assert (job.reason, job.started, job.ends, job.account) == ("Dependency", None, None, "")


def test_a_pending_array_counts_its_tasks():
    assert queue()["arr"].tasks == 6


def test_names_and_comments_of_several_lines_stay_one_job():
    job = next(job for job in parse.queue(recorded("squeue"), MARK) if job.name.startswith("evil"))
    assert job.name == "evil\n<0000000000000000>9|x"
    assert job.comment == "two\nlines | here"


def test_position_counts_those_ahead_in_the_same_partition():
    snapshot = Snapshot("fx", 1.0, tuple(parse.queue(recorded("squeue"), MARK)))
    by_name = {job.name: job.id for job in snapshot.jobs}
    assert snapshot.position(by_name["waits"]) == 1
    assert snapshot.position(by_name["behind"]) == 2


def test_jobs_that_are_held_or_over_a_limit_have_no_position():
    snapshot = Snapshot("fx", 1.0, tuple(parse.queue(recorded("squeue"), MARK)))
    by_name = {job.name: job.id for job in snapshot.jobs}
    assert [snapshot.position(by_name[name]) for name in ("arr", "later", "after", "long")] == [None] * 4


def test_an_empty_queue_is_no_jobs():
    assert parse.queue("", MARK) == []


@pytest.mark.parametrize(
    "output",
    [
        "slurm_load_jobs error: something\n",
        recorded("squeue")[:500],
        recorded("squeue").replace(f"|{MARK}|fxuser", "", 1),
        recorded("squeue") + "Segmentation fault\n",
        "\x00\x01",
        recorded("squeue").replace(MARK, "f" * 16),
    ],
)
def test_output_that_is_not_whole_is_garbled_and_never_an_empty_queue(output):
    with pytest.raises(Garbled):
        parse.queue(output, MARK)


@settings(max_examples=200, deadline=None)
@given(name=st.text(max_size=80), comment=st.text(max_size=40))
def test_no_job_name_makes_up_another_record(name, comment):
    sep = f"|{MARK}|"
    values = [
        "7",
        "mallory",
        "RUNNING",
        "normal",
        "None",
        "",
        "",
        "cn1",
        "cn1",
        "1",
        "1",
        "2",
        "1:00",
        "5",
        "1",
        "1M",
        "",
        "",
        "1",
        name,
        comment,
    ]
    text = f"<{MARK}>{sep.join(values)}</{MARK}>\n"
    jobs = parse.queue(text, MARK)
    assert [(job.id, job.user, job.name) for job in jobs] == [("7", "mallory", name)]


def test_jobs_of_one_name_include_those_that_ended():
    (job,) = parse.queue(recorded("squeue_by_name"), MARK)
    assert (job.name, job.state) == ("simdeck-abcd1234-alice", JobState.CANCELLED)


@pytest.mark.parametrize(
    ("name", "state", "code", "signal"),
    [
        ("job_completed", JobState.COMPLETED, 0, None),
        ("job_failed", JobState.FAILED, 3, None),
        ("job_signalled", JobState.FAILED, 0, 9),
        ("job_timeout", JobState.TIMEOUT, 0, 15),
        ("job_cancelled", JobState.CANCELLED, 0, 15),
    ],
)
def test_the_controller_tells_how_a_job_ended(name, state, code, signal):
    _, end = facts.job(recorded(name))
    assert (end.state, end.exit_code, end.signal, end.source) == (state, code, signal, "scontrol")
    assert end.ended >= end.started


@pytest.mark.parametrize("name", ["job_pending", "job_running"])
def test_a_job_that_goes_on_has_no_end(name):
    job, end = facts.job(recorded(name))
    assert end is None
    assert not job.state.ended


def test_the_controllers_word_on_a_running_job_agrees_with_the_queue():
    shown, queued = facts.job(recorded("job_running"))[0], queue()["simdeck-abcd1234-alice"]
    for name in (
        "id",
        "user",
        "state",
        "batch_host",
        "cores",
        "memory_mb",
        "walltime_minutes",
        "gres",
        "comment",
        "name",
    ):
        assert getattr(shown, name) == getattr(queued, name)


def test_a_job_cannot_talk_about_its_state_in_its_name():
    text = recorded("job_running").replace(
        "JobName=simdeck-abcd1234-alice", "JobName=x JobState=COMPLETED UserId=root(0)"
    )
    job, end = facts.job(text + "   Comment=a JobState=FAILED\n")
    assert (job.state, job.user, end) == (JobState.RUNNING, "fxuser", None)


def test_nodes_are_read_with_address_size_and_use():
    nodes = facts.nodes(recorded("nodes"))
    assert set(nodes) == {"fx1", "fx2"}
    first = nodes["fx1"]
    assert (first.address, first.host, first.cores, first.memory_mb) == ("10.78.0.11", "fx1", 4, 8000)
    assert first.cores_used >= 3
    assert [(gpu.type, gpu.total, gpu.used) for gpu in first.gpus] == [("tesla", 2, 1)]
    assert first.partitions == ("normal", "debug", "gpu")
    assert first.usable


def test_a_drained_node_gives_nothing_and_says_why():
    node = facts.nodes(recorded("node_drained"))["fx2"]
    assert (node.usable, node.cores_free) == (False, 0)
    assert node.reason.startswith("disk, failing")


@pytest.mark.parametrize(
    ("state", "usable"),
    [("IDLE", True), ("MIXED", True), ("IDLE*", False), ("DOWN*", False), ("IDLE~", True), ("ALLOCATED+DRAIN", False), ("IDLE+POWERED_DOWN", True), ("MIXED-", True), ("IDLE+MAINTENANCE", True), ("RESERVED", True), ("IDLE$", False), ("UNKNOWN", False)],
)  # fmt: skip
def test_the_marks_on_a_nodes_state_are_understood(state, usable):
    assert facts.nodes(f"NodeName=a CPUTot=4 RealMemory=10 State={state} Partitions=p\n")["a"].usable is usable


@pytest.mark.parametrize(
    ("gres", "used", "expected"),
    [
        ("gpu:a100:4(S:0-1)", "gpu:a100:3(IDX:0-2)", [("a100", 4, 3)]),
        ("gpu:2", "gpu:1", [("", 2, 1)]),
        ("gpu:a100:2,gpu:v100:1,nvme:1", "gpu:a100:0(IDX:N/A),gpu:v100:1(IDX:2)", [("a100", 2, 0), ("v100", 1, 1)]),
        ("(null)", "gpu:0", []),
        ("gpu:a100_3g.20gb:2", "gpu:a100_3g.20gb:2(IDX:0-1)", [("a100_3g.20gb", 2, 2)]),
    ],
)
def test_gpus_are_read_by_type(gres, used, expected):
    node = facts.nodes(f"NodeName=a CPUTot=4 RealMemory=10 State=IDLE Gres={gres} GresUsed={used} Partitions=p\n")["a"]
    assert [(gpu.type, gpu.total, gpu.used) for gpu in node.gpus] == expected


def test_partitions_are_read_with_their_limits():
    partitions = facts.partitions(recorded("partitions"))
    assert [name for name, one in partitions.items() if one.default] == ["normal"]
    assert partitions["normal"].max_walltime_minutes == 1440
    assert partitions["normal"].default_walltime_minutes == 60
    assert partitions["debug"].max_walltime_minutes == 30
    assert partitions["gpu"].max_walltime_minutes is None
    assert partitions["normal"].allow_accounts is None


def test_reservations_are_read_with_users_and_flags():
    found = facts.reservations(recorded("reservations"))
    assert (found["course"].users, found["course"].active) == ({"fxuser"}, True)
    assert (found["upkeep"].maintenance, found["upkeep"].active) == (True, False)


def test_no_reservations_is_none():
    assert facts.reservations("No reservations in the system\n") == {}


def test_the_estimate_before_submitting_is_read():
    estimate = parse.estimate(recorded("test_only"))
    assert (estimate.nodes, estimate.cores, estimate.partition) == ("fx1", 4, "normal")
    assert estimate.start > 1.7e9


@pytest.mark.parametrize("output", ["", "sbatch: error: nothing", "allocation failure: x"])
def test_an_estimate_that_is_none_is_garbled(output):
    with pytest.raises(Garbled):
        parse.estimate(output)


@pytest.mark.parametrize(
    ("output", "job"), [("12\n", "12"), ("12;fixture\n", "12"), ("sbatch: warning: x\n12\n", "12")]
)
def test_the_job_id_is_read(output, job):
    assert parse.submitted(output) == job


@pytest.mark.parametrize("output", ["", "Submitted batch job 12", "0", "12 13", "-1"])
def test_what_is_no_job_id_is_garbled(output):
    with pytest.raises(Garbled):
        parse.submitted(output)


@pytest.mark.parametrize(
    ("text", "version"), [(recorded("version"), "22.05.8"), ("slurm 25.05.0-0rc1\n", "25.05.0"), ("?", "")]
)
def test_the_version_is_read(text, version):
    assert parse.version(text) == version


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("30:00", 30),
        ("1:00:00", 60),
        ("1-00:00:00", 1440),
        ("30", 30),
        ("UNLIMITED", None),
        ("INVALID", None),
        ("0:30", 1),
        ("1-12", 2160),
    ],
)
def test_limits_of_time_are_read(text, minutes):
    assert parse.minutes(text) == minutes


@pytest.mark.parametrize(
    ("text", "mib"), [("4G", 4096), ("100M", 100), ("512K", 1), ("2Gn", 2048), ("1.5G", 1536), ("0", 0), ("N/A", None)]
)
def test_memory_is_read(text, mib):
    assert parse.mebibytes(text) == mib


def test_times_are_read_from_seconds_and_from_local_time():
    assert parse.time("1795263319") == 1795263319.0
    assert parse.time("2026-11-21T12:00:00") is not None
    assert [parse.time(text) for text in ("N/A", "Unknown", "None", "0", "soon")] == [None] * 5


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cn1", ["cn1"]), ("cn[1-3,07],gpu1", ["cn1", "cn2", "cn3", "cn07", "gpu1"]), ("cn[09-11]", ["cn09", "cn10", "cn11"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]), ("(null)", []), ("", []),
    ],
)  # fmt: skip
def test_lists_of_nodes_are_spelt_out(text, names):
    assert parse.nodelist(text) == names


@pytest.mark.parametrize("text", ["cn[1-", "cn1]", "cn[a-b]", "cn[1-999999999]"])
def test_a_broken_list_of_nodes_is_garbled(text):
    with pytest.raises(Garbled):
        parse.nodelist(text)


@pytest.mark.parametrize(
    "call",
    [
        lambda: argv.show_job("1; rm -rf /"), lambda: argv.show_job("--help"), lambda: argv.launch_cancel("", "hpc"),
        lambda: argv.queue_by_name("--all", MARK), lambda: argv.queue("X"), lambda: argv.launch_signal("1", "KILL", "hpc"),
        lambda: argv.launch_submit("../x", "hpc"), lambda: argv.history_by_name("a", "-u", 0),
    ],
)  # fmt: skip
def test_no_value_becomes_an_option_or_another_word(call):
    with pytest.raises(ValueError, match="not a"):
        call()


def accounted(name):
    return facts.history(recorded(f"sacct_{name}", "22.05-accounting"))


def test_accounting_tells_the_peak_memory_of_a_jobs_steps():
    (end,) = accounted("failing")
    assert (end.state, end.exit_code, end.source) == (JobState.FAILED, 3, "sacct")
    assert (end.peak_memory_mb, end.memory_limit_mb) == (161, 300)


def test_accounting_tells_who_cancelled():
    assert [end.cancelled_by for end in accounted("cancelled")] == ["0"]
    assert [end.cancelled_by for end in accounted("requeued")] == ["1001"]


def test_accounting_tells_a_job_that_goes_on_and_one_whose_time_was_up():
    assert not accounted("running")[0].state.ended
    (end,) = accounted("timed")
    assert (end.state, end.walltime_minutes) == (JobState.TIMEOUT, 1)


def test_accounting_that_knows_nothing_is_no_jobs():
    assert accounted("none") == []


def test_jobs_of_one_name_come_oldest_first():
    assert [end.id for end in accounted("by_name")] == ["15", "33"]


def test_each_run_of_a_job_that_started_again_is_counted():
    line = recorded("sacct_failing", "22.05-accounting")
    assert [end.restarts for end in facts.history(line + line)] == [0, 1]


def test_what_accounting_does_not_print_is_garbled():
    with pytest.raises(Garbled):
        facts.history("sacct: error: something\n")


def associations():
    names = ("associations", "users", "usage")
    return facts.associations(*(recorded(name, "22.05-accounting") for name in names))


def test_accounts_are_read_with_qos_and_default():
    mine = {one.account: one for one in associations() if one.user == "fxuser"}
    assert set(mine) == {"chem", "phys"}
    assert (mine["chem"].default, mine["phys"].default) == (True, False)
    assert mine["chem"].qos == ("normal", "small", "tight")


def test_what_is_left_of_an_account_counts_its_parents_limit():
    left = {one.account: one.core_hours_left for one in associations() if one.user == "fxuser"}
    assert left["chem"] == pytest.approx(59999 / 60)
    assert left["phys"] == left["chem"]


def test_an_account_without_a_limit_has_no_balance():
    assert next(one for one in associations() if one.user == "root").core_hours_left is None


def test_accounts_without_usage_are_accounts_with_the_limit_alone():
    alone = facts.associations("|chem||normal||||cpu=600\nalice|chem||normal|normal|||\n")
    assert [(one.user, one.core_hours_left, one.default) for one in alone] == [("alice", 10.0, False)]
