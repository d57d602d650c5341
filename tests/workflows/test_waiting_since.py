"""Since when a run waits: from the beginning of a reason, whatever words are said of it meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from simdeck_workflows.models import Run, Waiting
from simdeck_workflows.store import Store, new_run


@pytest.fixture
def held(tmp_path: Path) -> tuple[Store, Run]:
    store = Store(tmp_path / "runs.sqlite")
    return store, store.accept(new_run("toy.add", "toy", "1", "A sum"), {})


def waiting(code: str, detail: str) -> Waiting:
    return Waiting(code=code, title="It waits", detail=detail)


def test_other_words_for_the_same_reason_do_not_begin_it_anew(held: tuple[Store, Run]) -> None:
    store, run = held
    assert store.set_waiting(run.id, waiting("waiting-queue", "place 7"))
    first = store.get(run.id).waiting
    assert store.set_waiting(run.id, waiting("waiting-queue", "place 3"))
    then = store.get(run.id).waiting
    assert first is not None
    assert then is not None
    assert (then.detail, then.since) == ("place 3", first.since)
    assert first.since is not None


def test_the_same_words_again_are_no_news(held: tuple[Store, Run]) -> None:
    store, run = held
    assert store.set_waiting(run.id, waiting("waiting-queue", "place 7"))
    assert not store.set_waiting(run.id, waiting("waiting-queue", "place 7"))
    assert store.set_waiting(run.id, None)
    assert not store.set_waiting(run.id, None)


def test_another_reason_has_a_beginning_of_its_own(held: tuple[Store, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    store, run = held
    for code, moment in (
        ("waiting-queue", "2026-11-21T10:00:00.000+00:00"),
        ("waiting-pause", "2026-11-21T11:00:00.000+00:00"),
    ):
        monkeypatch.setattr("simdeck_workflows.store.now", lambda moment=moment: moment)
        store.set_waiting(run.id, waiting(code, "words"))
    found = store.get(run.id).waiting
    assert found is not None
    assert found.model_dump(mode="json")["since"] == "2026-11-21T11:00:00.000Z"
