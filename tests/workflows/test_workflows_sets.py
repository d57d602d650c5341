"""Deleting, reusing, comparing, sweeping and retrying runs, with a real worker."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from simdeck_common.problems import Problem
from simdeck_workflows.models import Run, RunState
from simdeck_workflows.sweeps import SweepRequest
from toy_oven import WATER, Oven

pytestmark = pytest.mark.backend


def nodes_in(oven: Oven) -> int:
    [database] = (oven.home.workflows / "aiida" / ".aiida" / "repository").glob("*/database.sqlite")
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM db_dbnode").fetchone()[0])


async def baked(oven: Oven, request: dict[str, Any] | None = None, **inputs: Any) -> Run:
    ended = await oven.end(oven.bake(request=request, **inputs))
    assert ended.state is RunState.FINISHED, ended
    return ended


async def test_a_deletion_takes_what_its_preview_said_and_leaves_the_others(oven: Oven) -> None:
    # The code of this version is there before, and stays.
    kept = await baked(oven, steps=1)
    before = nodes_in(oven)
    run = await baked(oven, steps=2)
    made = nodes_in(oven) - before
    folders = len(list((oven.home.workflows / "scratch").glob("*/*/*/.simdeck-job")))
    plan = await oven.backend.deletion(run.id)
    assert plan.nodes == made
    assert plan.files > 0
    assert plan.size > 0
    assert (plan.folders, plan.scratch > 0) == (1, True)
    assert [(one.kind, one.runs) for one in plan.kept] == [("code", [])]
    assert nodes_in(oven) - before == made
    await oven.backend.delete(run.id)
    assert nodes_in(oven) == before
    assert len(list((oven.home.workflows / "scratch").glob("*/*/*/.simdeck-job"))) == folders - 1
    with pytest.raises(Problem, match="have no run"):
        oven.backend.run(run.id)
    assert (await oven.backend.files(kept.id)) != []


async def test_a_run_that_goes_on_is_not_deleted(oven: Oven) -> None:
    run = oven.bake(steps=200, pause=0.05)
    for asked in (oven.backend.deletion, oven.backend.delete):
        with pytest.raises(Problem) as caught:
            await asked(run.id)
        assert caught.value.code == "run-not-ended"
    await oven.backend.cancel(run.id)
    await oven.end(run)
    await oven.backend.delete(run.id)


async def test_identical_work_is_taken_from_before_where_that_is_wanted_and_says_so(oven: Oven) -> None:
    first = await baked(oven, steps=4)
    computed = len(oven.computed())
    again = await baked(oven, request={"reuse": True}, steps=4)
    assert len(oven.computed()) == computed
    assert (again.reused, again.summary) == (1, first.summary)
    steps = [event.data async for event in oven.backend.events(again.id) if event.type == "step"]
    assert {step.get("reused_from") for step in steps if step["kind"] == "calculation"} == {first.id}
    graph = await oven.backend.graph(again.id)
    assert [node["reused_from"] for node in graph["nodes"] if "reused_from" in node] == [first.id]


async def test_without_the_wish_it_is_computed_anew(oven: Oven) -> None:
    await baked(oven, steps=5)
    computed = len(oven.computed())
    assert (await baked(oven, steps=5)).reused == 0
    assert len(oven.computed()) == computed + 1


async def test_a_failure_is_never_taken_from_before(oven: Oven) -> None:
    inputs = {"steps": 6, "error": "too hot"}
    for _again in range(2):
        computed = len(oven.computed())
        ended = await oven.end(oven.bake(request={"reuse": True}, **inputs))
        assert ended.state is RunState.FAILED
        assert len(oven.computed()) == computed + 1


async def test_deleting_the_original_leaves_the_copy_whole(oven: Oven) -> None:
    first = await baked(oven, steps=7)
    again = await baked(oven, request={"reuse": True}, steps=7)
    await oven.backend.delete(first.id)
    assert again.reused == 1
    assert len(await oven.backend.files(again.id)) > 1
    assert (await oven.backend.deletion(again.id)).folders == 0


async def test_a_failure_names_a_cure_and_a_retry_with_it_succeeds(oven: Oven) -> None:
    failed = await oven.end(oven.bake(steps=3, error="too hot"))
    assert failed.problem is not None
    [cure] = failed.problem["cures"]
    assert cure == {"title": "A cooler oven, for longer", "inputs": {"error": None, "steps": 6}}
    retried = await oven.end(oven.backend.retry(failed.id, changes=cure["inputs"]))
    assert (retried.state, retried.retry_of) == (RunState.FINISHED, failed.id)
    assert retried.summary is not None
    assert retried.summary["energy"]["value"] == -6.0
    assert "error" not in oven.backend.inputs(retried.id)


async def test_a_cure_asks_for_no_more_than_an_input_may_be(oven: Oven) -> None:
    failed = await oven.end(oven.bake(steps=801, pause=0.0, error="too hot"))
    assert failed.problem is not None
    assert failed.problem["cures"][0]["inputs"]["steps"] == 1000


async def test_changes_of_a_retry_are_checked_like_inputs(oven: Oven) -> None:
    ended = oven.backend.list_runs(state=RunState.FINISHED).items[0]
    with pytest.raises(Problem) as caught:
        oven.backend.retry(ended.id, changes={"steps": 0})
    assert caught.value.field == "steps"


async def test_two_runs_differ_where_they_do(oven: Oven) -> None:
    left, right = await baked(oven, steps=1), await baked(oven, steps=3)
    found = oven.backend.diff(left.id, right.id)
    assert found.run == []
    assert [(one.path, one.left, one.right, one.change) for one in found.inputs] == [("steps", 1, 3, 2)]
    assert [(one.path, one.change) for one in found.outputs if one.path == "energy"] == [("energy", -2.0)]


async def test_a_sweep_fills_its_table(oven: Oven) -> None:
    inputs = {"structure": WATER, "ledger": str(oven.ledger)}
    asked = SweepRequest(workflow="toy.bake", inputs=inputs, vary={"steps": [1, 2], "pause": [0.01]})
    made = oven.backend.sweep(asked)
    assert made.runs == 2
    for row in oven.backend.records.sweep(made.id).rows:
        await oven.end(oven.backend.run(row.run))
    table = oven.backend.records.sweep(made.id)
    assert table.ended
    assert [(row.values["steps"], row.results["energy"]) for row in table.rows] == [(1, -1), (2, -2)]
    assert [run.sweep for run in oven.backend.list_runs(sweep=made.id).items] == [made.id] * 2


async def test_a_sweep_with_one_wrong_value_makes_no_run(oven: Oven) -> None:
    before = oven.backend.list_runs().items
    asked = SweepRequest(workflow="toy.bake", inputs={"structure": WATER}, vary={"steps": [1, 0]})
    with pytest.raises(Problem):
        oven.backend.sweep(asked)
    assert oven.backend.list_runs().items == before


async def test_a_cancelled_sweep_ends_all_its_runs(oven: Oven) -> None:
    inputs = {"structure": WATER, "pause": 0.05}
    made = oven.backend.sweep(SweepRequest(workflow="toy.bake", inputs=inputs, vary={"steps": [900, 901]}))
    await oven.backend.cancel_sweep(made.id)
    for row in oven.backend.records.sweep(made.id).rows:
        assert (await oven.end(oven.backend.run(row.run))).state is RunState.CANCELLED
