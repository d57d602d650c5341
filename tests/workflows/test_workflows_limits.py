"""Limits, priorities and the pause, with a real worker: what waits says why, and nothing is lost."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from simdeck_common.layout import user_home
from simdeck_workflows.models import Run, RunRequest, RunState
from simdeck_workflows.policy import GroupLimit, RunPolicy, make_slots, read_pause, write_pause
from toy_oven import Oven, until

pytestmark = pytest.mark.backend


@pytest.fixture(scope="module")
async def bakery(data: Path, toy: ModuleType, described: bytes) -> AsyncIterator[Oven]:
    """A backend whose user may have one calculation at a time, and whose group two; it can be paused."""
    home = user_home(data, "alice")
    toy.install(home.apps, described=described)
    policy = RunPolicy(
        calculations_per_user=1,
        groups=(GroupLimit(name="bakers", calculations=2, members=("alice", "bob")),),
        slots=data / "slots",
        pause_file=data / "paused.json",
    )
    make_slots(policy)
    found = Oven(home, toy, policy=policy, user="alice")
    await found.backend.start()
    yield found
    await found.backend.stop()
    found.clear()
    shutil.rmtree(home.runtime, ignore_errors=True)


def waits(oven: Oven, run: Run) -> str | None:
    found = oven.backend.run(run.id).waiting
    return found.code if found else None


async def bakes(oven: Oven, run: Run) -> None:
    """Wait until the run's calculation computes."""
    await oven.event(run, "progress")


async def test_a_users_second_calculation_waits_for_the_first_and_says_why(bakery: Oven) -> None:
    first = bakery.bake(steps=1000, pause=0.05)
    await bakes(bakery, first)
    second = bakery.bake(steps=1)
    await until(lambda: waits(bakery, second) == "waiting-user-limit")
    assert "as many as one user may have" in bakery.backend.run(second.id).waiting.detail  # type: ignore[union-attr]
    computed = len(bakery.computed())
    await bakery.backend.cancel(first.id)
    assert (await bakery.end(first)).state is RunState.CANCELLED
    ended = await bakery.end(second)
    assert (ended.state, ended.waiting) == (RunState.FINISHED, None)
    assert len(bakery.computed()) == computed + 1


async def test_the_important_go_first(bakery: Oven) -> None:
    first = bakery.bake(steps=1000, pause=0.05)
    await bakes(bakery, first)
    order = [bakery.bake(request={"priority": rank}, steps=1) for rank in ("low", "normal", "high")]
    for run in order:
        await until(lambda run=run: waits(bakery, run) == "waiting-user-limit")
    await bakery.backend.cancel(first.id)
    ended = [await bakery.end(run) for run in order]
    assert all(run.state is RunState.FINISHED for run in ended)
    assert sorted(order, key=lambda run: _computed_at(bakery, run)) == order[::-1]


def _computed_at(oven: Oven, run: Run) -> str:
    events = oven.backend._store.events(run.id)
    return str(next(event.time for event in events if event.type == "progress"))


async def test_a_waiting_calculation_can_be_cancelled(bakery: Oven) -> None:
    first = bakery.bake(steps=1000, pause=0.05)
    await bakes(bakery, first)
    second = bakery.bake(steps=1)
    await until(lambda: waits(bakery, second) is not None)
    await bakery.backend.cancel(second.id)
    assert (await bakery.end(second)).state is RunState.CANCELLED
    computed = len(bakery.computed())
    await bakery.backend.cancel(first.id)
    await bakery.end(first)
    assert len(bakery.computed()) == computed


async def test_limits_hold_over_the_workers_death_and_nothing_runs_twice(bakery: Oven) -> None:
    first = bakery.bake(steps=60, pause=0.1)
    await bakes(bakery, first)
    computed = len(bakery.computed())
    second = bakery.bake(steps=1)
    await until(lambda: waits(bakery, second) == "waiting-user-limit")
    old = bakery.worker_pid()
    await bakery.kill_worker()
    await until(lambda: bakery.worker_pid() not in (None, old))
    await until(lambda: bakery.worker_state() == "running")
    # The next worker has counted what runs before anything else may begin.
    probe = bakery.backend.submit(RunRequest(workflow="toy.add", inputs={"a": 1}))
    await bakery.end(probe)
    assert len(bakery.computed()) == computed
    assert (await bakery.end(first)).state is RunState.FINISHED
    assert (await bakery.end(second)).state is RunState.FINISHED
    assert len(bakery.computed()) == computed + 1


async def test_a_group_is_limited_over_all_its_members(bakery: Oven, data: Path) -> None:
    # Another member's worker holds both places.
    handles = [os.open(data / "slots" / "bakers" / str(number), os.O_RDONLY) for number in range(2)]
    try:
        for handle in handles:
            fcntl.flock(handle, fcntl.LOCK_EX)
        run = bakery.bake(steps=1)
        await until(lambda: waits(bakery, run) == "waiting-group-limit")
    finally:
        for handle in handles:
            os.close(handle)
    assert (await bakery.end(run)).state is RunState.FINISHED


async def test_a_pause_begins_nothing_new_and_loses_nothing(bakery: Oven, data: Path) -> None:
    running = bakery.bake(steps=20, pause=0.05)
    await bakes(bakery, running)
    waiting = bakery.bake(steps=1)
    await until(lambda: waits(bakery, waiting) == "waiting-user-limit")
    write_pause(data / "paused.json", "a new file system")
    try:
        fresh = bakery.backend.submit(RunRequest(workflow="toy.add", inputs={"a": 1}))
        assert (await bakery.end(running)).state is RunState.FINISHED
        await until(lambda: waits(bakery, waiting) == waits(bakery, fresh) == "waiting-pause")
        assert "a new file system" in bakery.backend.run(fresh.id).waiting.detail  # type: ignore[union-attr]
        assert bakery.backend.run(fresh.id).state is RunState.ACCEPTED
        old = bakery.worker_pid()
        await bakery.kill_worker()
        await until(lambda: bakery.worker_pid() not in (None, old))
    finally:
        (data / "paused.json").unlink()
    for run in (waiting, fresh):
        ended = await bakery.end(run)
        assert (ended.state, ended.waiting) == (RunState.FINISHED, None)


async def test_why_a_run_waits_is_an_event_and_so_is_that_it_goes_on(bakery: Oven, data: Path) -> None:
    write_pause(data / "paused.json", "")
    run = bakery.backend.submit(RunRequest(workflow="toy.add", inputs={"a": 1}))
    await until(lambda: waits(bakery, run) == "waiting-pause")
    held = bakery.backend.run(run.id)
    assert held.waiting is not None
    assert held.waiting.since is not None
    assert held.created <= held.waiting.since
    (data / "paused.json").unlink()
    await bakery.end(run)
    told = [event.data["waiting"] async for event in bakery.backend.events(run.id) if event.type == "waiting"]
    assert [one and one["code"] for one in told] == ["waiting-pause", None]


def test_a_pause_that_cannot_be_read_is_a_pause(tmp_path: Path) -> None:
    assert read_pause(tmp_path / "none") is None
    (tmp_path / "broken").write_text("{")
    assert read_pause(tmp_path / "broken") is not None


def test_slots_are_as_many_as_the_group_has(tmp_path: Path) -> None:
    def slots(count: int) -> list[Any]:
        make_slots(RunPolicy(groups=(GroupLimit(name="g", calculations=count),), slots=tmp_path))
        return sorted(path.name for path in (tmp_path / "g").iterdir())

    assert slots(3) == ["0", "1", "2"]
    assert slots(1) == ["0"]


def test_a_group_is_a_list_or_the_unix_group_of_its_name() -> None:
    import grp

    mine = grp.getgrgid(os.getgid()).gr_name
    policy = RunPolicy(groups=tuple(GroupLimit(name=name, calculations=1, members=("alice",)) for name in ("a", mine)))
    assert [group.name for group in policy.groups_of("bob")] == [mine]
    assert [group.name for group in policy.groups_of("alice")] == ["a", mine]
