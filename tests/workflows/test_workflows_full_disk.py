"""The run store on a disk without room: a refusal in words, nothing half written, and all well once there is room."""

from __future__ import annotations

from pathlib import Path

import pytest
from simdeck_common.problems import Problem
from simdeck_workflows.store import Store, new_run


def room_for(store: Store, pages: int) -> None:
    """Let the database grow to ``pages``; SQLite answers as on a full disk beyond (1: no further than it is)."""
    with store.reading() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_refuses_a_run_in_words_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "store" / "runs.sqlite")
    kept = store.accept(new_run("toy.add", "toy", "1.0", "Add"), {"a": 1})
    room_for(store, 1)
    refused = new_run("toy.add", "toy", "1.0", "Add")
    with pytest.raises(Problem) as problem:
        store.accept(refused, {"a": "x" * 100_000})
    assert (problem.value.code, problem.value.status) == ("disk-full", 507)
    with pytest.raises(Problem) as problem:
        store.get(refused.id)
    assert problem.value.code == "run-not-found"
    room_for(store, 100_000)
    assert store.accept(refused, {"a": "x" * 100_000}).id == refused.id
    assert store.get(kept.id) == kept
    store.close()
