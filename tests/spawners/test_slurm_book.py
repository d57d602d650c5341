"""The book of servers, the look at the queue, and what is kept secret."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from simdeck_clusters.models import Job, JobState, Snapshot
from simdeck_spawners.book import KEPT, Book, Entry, Stage
from simdeck_spawners.judge import judge, strays
from simdeck_spawners.options import from_form
from simdeck_spawners.seal import Seal

INSTANCE = "0123456789abcdef"


def book(folder: Path) -> Book:
    return Book(folder / "servers.sqlite", INSTANCE, clock=lambda: 100.0)


def test_what_was_written_down_is_there_after_a_restart(tmp_path: Path) -> None:
    first = book(tmp_path)
    entry = first.intend("alice", "side", "sim", {"cores": 2}, b"sealed")
    first.update(entry.id, stage=Stage.SUBMITTED, job_id="7", submitted=101.0)
    first.close()
    again = book(tmp_path).live("alice", "side")
    assert again is not None
    assert (again.job_id, again.stage, again.options, again.token) == ("7", Stage.SUBMITTED, {"cores": 2}, b"sealed")


def test_each_start_has_a_job_name_of_its_own_with_the_instances_mark(tmp_path: Path) -> None:
    made = book(tmp_path)
    names = {made.intend("alice", "", "sim", {}, b"").job_name for _ in range(50)}
    assert len(names) == 50
    assert all(name.startswith("simdeck-01234567-") for name in names)


def test_the_book_is_closed_to_others(tmp_path: Path) -> None:
    book(tmp_path)
    assert stat.S_IMODE((tmp_path / "servers.sqlite").stat().st_mode) == 0o600


def test_the_last_few_ends_of_a_server_are_kept_and_older_ones_forgotten(tmp_path: Path) -> None:
    made = book(tmp_path)
    entries = [made.intend("alice", "", "sim", {}, b"") for _ in range(KEPT + 2)]
    for entry in entries:
        made.update(entry.id, stage=Stage.ENDED, failure={"code": entry.id})
    assert made.get(entries[0].id) is None
    latest = made.latest("alice", "")
    assert latest is not None
    assert latest.failure == {"code": entries[-1].id}
    assert made.unfinished() == []


def test_one_that_is_ending_is_not_the_servers_live_start(tmp_path: Path) -> None:
    made = book(tmp_path)
    entry = made.intend("alice", "", "sim", {}, b"")
    made.update(entry.id, stage=Stage.ENDING)
    assert made.live("alice", "") is None
    assert [one.id for one in made.unfinished()] == [entry.id]


def test_a_token_is_readable_with_its_key_alone(tmp_path: Path) -> None:
    sealed = Seal(tmp_path / "a.key").close("secret-token")
    assert b"secret-token" not in sealed
    assert Seal(tmp_path / "a.key").open(sealed) == "secret-token"
    assert Seal(tmp_path / "b.key").open(sealed) == ""
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600


# --- a look at the queue --------------------------------------------------------------------------------------------

ENTRY = Entry(
    id="e", user="alice", server="", cluster="sim", job_name="simdeck-01234567-0123456789ab", options={},
    stage=Stage.SUBMITTED, token=b"", created=100.0, since=100.0, job_id="7", tried=101.0, submitted=102.0,
)  # fmt: skip
JOB = Job(id="7", name=ENTRY.job_name, user="alice", state=JobState.RUNNING, started=110.0, nodes="cn1")
RUNS = replace(ENTRY, stage=Stage.RUNNING, announced=115.0, port=4, host="cn1", node="cn1", started=110.0)


def look(*jobs: Job, taken: float = 200.0, unknown: float | None = None) -> Snapshot:
    return Snapshot("sim", taken, jobs, unknown_since=unknown)


def test_a_queue_that_was_not_read_means_nothing() -> None:
    verdict = judge(RUNS, look(unknown=150.0))
    assert (verdict.absent, verdict.changes, verdict.cancel) == (False, {}, ())


def test_a_look_older_than_the_submission_says_nothing_about_it() -> None:
    assert not judge(ENTRY, look(taken=101.5)).absent
    assert judge(ENTRY, look(taken=103.0)).absent


def test_a_job_whose_id_was_never_noted_is_known_by_its_name() -> None:
    lost = replace(ENTRY, stage=Stage.INTENDED, job_id="", submitted=None)
    assert judge(lost, look(JOB)).changes["job_id"] == "7"
    assert judge(lost, look(JOB)).changes["stage"] is Stage.SUBMITTED


def test_of_two_jobs_of_one_name_the_unknown_one_is_ended() -> None:
    other = replace(JOB, id="9")
    verdict = judge(ENTRY, look(other, JOB))
    assert (verdict.job, verdict.cancel) == (JOB, (other,))


@pytest.mark.parametrize(
    "job",
    [
        replace(JOB, state=JobState.PENDING, started=None),
        replace(JOB, started=190.0),
        replace(JOB, batch_host="cn2"),
        replace(JOB, state=JobState.CONFIGURING, started=None),
    ],
)
def test_a_job_started_again_must_announce_itself_again(job: Job) -> None:
    verdict = judge(RUNS, look(job))
    assert verdict.restarted
    assert (verdict.changes["stage"], verdict.changes["port"], verdict.changes["was_running"]) == (
        Stage.SUBMITTED,
        0,
        True,
    )


def test_an_announcement_newer_than_the_look_or_of_this_run_stands() -> None:
    waits = replace(JOB, state=JobState.PENDING, started=None)
    assert not judge(RUNS, look(waits, taken=114.0)).restarted
    assert not judge(RUNS, look(JOB)).restarted
    assert not judge(replace(RUNS, announced=191.0), look(replace(JOB, started=190.0))).restarted


def test_a_job_that_shall_end_is_cancelled_once() -> None:
    ending = replace(RUNS, stage=Stage.ENDING)
    assert judge(ending, look(JOB)).cancel == (JOB,)
    assert judge(replace(ending, cancelled=150.0), look(JOB)).cancel == ()
    assert judge(ending, look(replace(JOB, state=JobState.COMPLETING))).cancel == ()


def test_strays_carry_our_name_and_our_mark() -> None:
    mark = f"simdeck:{INSTANCE}"
    stray = Job(id="1", name="simdeck-01234567-ffffffffffff", user="a", state=JobState.PENDING, comment=mark)
    others = [
        replace(stray, id="2", name=ENTRY.job_name),
        replace(stray, id="3", name="simdeck-01234567-canary"),
        replace(stray, id="4", name="simdeck-76543210-ffffffffffff"),
        replace(stray, id="5", comment="simdeck:7654321076543210"),
        replace(stray, id="6", state=JobState.COMPLETING),
    ]
    assert strays(look(stray, *others), INSTANCE, [ENTRY.job_name]) == [stray]
    assert strays(look(stray, unknown=1.0), INSTANCE, []) == []


def test_form_and_url_values_come_out_of_their_lists() -> None:
    form = {"cores": ["4"], "app": ["molecule"], "_xsrf": ["x"], "many": ["a", "b"], "upload_file": [{}]}
    assert from_form(form) == {"cores": "4", "app": "molecule", "many": ["a", "b"]}
