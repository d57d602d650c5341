"""The run store."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from simdeck_common.problems import Problem
from simdeck_workflows.models import RunState
from simdeck_workflows.store import NewEvent, Store, digest, new_run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store" / "runs.sqlite")


def test_an_accepted_run_is_found_by_another_process(store: Store, tmp_path: Path) -> None:
    run = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {"a": 1})
    other = Store(tmp_path / "store" / "runs.sqlite")
    assert other.get(run.id) == run
    assert other.inputs(run.id) == {"a": 1}


def test_a_second_store_in_the_process_does_not_blind_the_first(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "store" / "runs.sqlite"
    run = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {})
    Store(path).close()
    # The last to leave a database takes its log away, unless others still hold it.
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('select 1 from runs').fetchall(); c.close()"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)
    assert path.with_name("runs.sqlite-wal").exists()
    assert store.get(run.id) == run


def test_the_store_is_private(store: Store, tmp_path: Path) -> None:
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "store" / "runs.sqlite").stat().st_mode & 0o777 == 0o600


def test_the_same_key_makes_one_run(store: Store) -> None:
    first = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {}, key="k", digest=digest({"a": 1, "b": 2}))
    second = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {}, key="k", digest=digest({"b": 2, "a": 1}))
    assert second.id == first.id
    assert len(store.page().items) == 1


def test_a_key_of_another_request_is_refused(store: Store) -> None:
    store.accept(new_run("toy.add", "toy", "1.0", "Add"), {}, key="k", digest=digest({"a": 1}))
    with pytest.raises(Problem) as caught:
        store.accept(new_run("toy.add", "toy", "1.0", "Add"), {}, key="k", digest=digest({"a": 2}))
    assert caught.value.code == "idempotency-conflict"
    assert len(store.page().items) == 1


def test_pages_are_newest_first_and_complete(store: Store) -> None:
    ids = [store.accept(new_run("toy.add", "toy", "1.0", str(n)), {}).id for n in range(7)]
    seen, cursor = [], None
    while True:
        page = store.page(limit=3, cursor=cursor)
        seen += [run.id for run in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ids[::-1]


def test_pages_filter_by_state_and_workflow(store: Store) -> None:
    add = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {})
    bake = store.accept(new_run("toy.bake", "toy", "1.0", "Bake"), {})
    store.begin(bake.id, "uuid")
    assert [run.id for run in store.page(workflow="toy.add").items] == [add.id]
    assert [run.id for run in store.page(state=RunState.RUNNING).items] == [bake.id]
    assert store.page(app="other").items == []


def test_a_made_up_cursor_is_refused(store: Store) -> None:
    with pytest.raises(Problem) as caught:
        store.page(cursor="first")
    assert caught.value.code == "bad-request"


def test_an_unknown_run_is_not_found(store: Store) -> None:
    with pytest.raises(Problem) as caught:
        store.get("nobody")
    assert caught.value.code == "run-not-found"


def test_a_run_ends_once(store: Store) -> None:
    run = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {})
    assert store.end(run.id, RunState.FINISHED, summary={"sum": 1}, outputs={"sum": 1})
    assert not store.end(run.id, RunState.FAILED)
    assert store.get(run.id).state is RunState.FINISHED
    assert [event.data["state"] for event in store.events(run.id)] == ["accepted", "finished"]


def test_an_ended_run_can_be_neither_cancelled_nor_paused(store: Store) -> None:
    run = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {})
    store.end(run.id, RunState.CANCELLED)
    for wish in (lambda: store.want_cancel(run.id), lambda: store.set_paused(run.id, True)):
        with pytest.raises(Problem) as caught:
            wish()
        assert caught.value.code == "run-ended"


def test_an_event_with_a_known_key_is_told_once(store: Store) -> None:
    run = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {})
    step = NewEvent("step", {"state": "created"}, key="p:created")
    assert store.tell(run.id, [step, NewEvent("step", {"state": "running"}, key="p:running")]) == 2
    assert store.tell(run.id, [step]) == 0
    assert [event.seq for event in store.events(run.id)] == [1, 2, 3]


def test_events_are_read_on_from_a_number(store: Store) -> None:
    run = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {})
    store.tell(run.id, [NewEvent("log", {"n": n}) for n in range(4)])
    assert [event.data["n"] for event in store.events(run.id, after=3)] == [2, 3]


def test_progress_and_its_offset_are_written_together(store: Store) -> None:
    run = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {})
    store.progress(run.id, "calc", 10, [{"step": 1}, {"step": 2}])
    assert store.offset(run.id, "calc") == 10
    assert store.get(run.id).progress == {"step": 2}
    store.progress(run.id, "calc", 20, [])
    assert store.offset(run.id, "calc") == 20
    assert [event.data for event in store.events(run.id) if event.type == "progress"] == [{"step": 1}, {"step": 2}]


def test_versions_of_unfinished_runs_are_in_use(store: Store) -> None:
    old = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {})
    store.accept(new_run("toy.add", "toy", "2.0", "Add"), {})
    assert store.versions_in_use("toy") == {"1.0", "2.0"}
    store.end(old.id, RunState.FINISHED)
    assert store.versions_in_use("toy") == {"2.0"}


def test_a_file_of_an_earlier_version_gets_the_columns_that_came_later(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE runs (n INTEGER PRIMARY KEY AUTOINCREMENT, id VARCHAR UNIQUE, workflow VARCHAR, app VARCHAR, "
            "app_version VARCHAR, title VARCHAR, state VARCHAR, created VARCHAR, started VARCHAR, ended VARCHAR, "
            "progress JSON, summary JSON, problem JSON, retry_of VARCHAR, process VARCHAR, paused BOOLEAN, "
            "wanted VARCHAR, inputs JSON, outputs JSON)"
        )
        connection.execute(
            "INSERT INTO runs (id, workflow, app, app_version, title, state, created, paused, inputs) "
            "VALUES ('r1', 'toy.add', 'toy', '1.0', 'Add', 'finished', '2026-01-01T00:00:00', 0, '{}')"
        )
    for _again in range(2):
        found = Store(path).get("r1")
        assert (found.priority, found.reuse, found.reused, found.waiting) == ("normal", False, 0, None)


def test_a_run_that_shall_be_cancelled_says_so(store: Store) -> None:
    run = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {})
    assert store.want_cancel(run.id).cancelling
    store.end(run.id, RunState.CANCELLED)
    assert not store.get(run.id).cancelling


def test_pages_of_certain_workflows_hold_no_other(store: Store) -> None:
    for name in ("toy.add", "toy.bake", "toy.add"):
        store.accept(new_run(name, "toy", "1.0", "Run"), {})
    assert [run.workflow for run in store.page(only={"toy.add"}).items] == ["toy.add", "toy.add"]
    assert store.page(only=set()).items == []
