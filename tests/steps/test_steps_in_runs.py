"""Workflow functions carried out by a real worker: mapped, tried again, taken up after a crash, cancelled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from simdeck_common.problems import Problem
from simdeck_workflows.models import Run, RunRequest, RunState
from toy_oven import Oven, until

pytestmark = pytest.mark.backend


def begin(springs: Oven, workflow: str, **inputs: Any) -> Run:
    if not workflow.startswith("metal."):
        inputs.setdefault("ledger", str(springs.ledger))
    return springs.backend.submit(RunRequest(workflow=workflow, inputs=inputs))


@pytest.fixture(autouse=True)
def _empty_ledger(springs: Oven) -> None:
    springs.ledger.unlink(missing_ok=True)


async def test_a_step_is_mapped_tried_again_and_its_results_go_into_the_next(springs: Oven, tmp_path: Path) -> None:
    run = begin(springs, "spring.stiffness", strains=[0.5, 1.0, 1.5, 2.0], flaky=str(tmp_path / "flaky"))
    ended = await springs.end(run)
    assert ended.state is RunState.FINISHED, ended.problem
    outputs = springs.backend.outputs(run.id)
    assert outputs == {"stiffness": pytest.approx(2.0), "points": 4}
    assert ended.summary is not None
    assert ended.summary["stiffness"] == {"title": "Stiffness", "value": pytest.approx(2.0), "unit": "eV"}
    # At least one was tried again; none that had succeeded was.
    done = springs.computed()
    assert set(done) == {"0.5", "1.0", "1.5", "2.0"}
    assert 4 < len(done) <= 4 + 3
    events = [event async for event in springs.backend.events(run.id)]
    mapped = [event.data for event in events if event.type == "progress" and event.data.get("of")]
    assert mapped[-1] == {"stage": "Energy", "step": 4, "of": 4}
    inner = [event.data["strain"] for event in events if event.type == "progress" and "strain" in event.data]
    assert sorted(set(inner)) == [0.5, 1.0, 1.5, 2.0]
    titles = {event.data["title"] for event in events if event.type == "step"}
    assert {"Stiffness of a spring", "Energy 1 of 4", "Energy 4 of 4", "Fit"} <= titles
    files = [entry.path for entry in await springs.backend.files(run.id)]
    assert any(path.endswith("notes.txt") for path in files)


async def test_each_call_is_a_node_and_results_lead_from_one_to_the_next(springs: Oven) -> None:
    run = await springs.end(begin(springs, "spring.stiffness", strains=[1.0, 2.0]))
    graph = await springs.backend.graph(run.id)
    labels = {node["id"]: node for node in graph["nodes"]}
    fits = [node["id"] for node in graph["nodes"] if node.get("title") == "Fit"]
    assert len(fits) == 1
    into_fit = {edge["source"] for edge in graph["edges"] if edge["target"] == fits[0]}
    made_by = {
        edge["target"]: str(labels[edge["source"]].get("title")) for edge in graph["edges"] if edge["kind"] == "create"
    }
    assert sorted(made_by[source] for source in into_fit if made_by.get(source, "").startswith("Energy")) == [
        "Energy 1 of 2",
        "Energy 2 of 2",
    ]


async def test_each_element_that_fails_is_told(springs: Oven) -> None:
    ended = await springs.end(begin(springs, "spring.broken", strains=[1.0, 2.0, 3.0], bad=[1.0, 3.0]))
    assert ended.state is RunState.FAILED
    assert ended.problem is not None
    said = str(ended.problem["detail"])
    assert "Energy failed for 2 of 3" in said
    assert "no. 1 (strain=1.0" in said
    assert "ValueError: the spring breaks at 3.0" in said
    # A mistake is not tried again: only what `retry_on` names.
    assert sorted(springs.computed()) == ["1.0", "2.0", "3.0"]


async def test_a_workflow_may_go_on_with_what_succeeded(springs: Oven) -> None:
    run = await springs.end(begin(springs, "spring.broken", strains=[1.0, 2.0], bad=[1.0], keep=True))
    assert run.state is RunState.FINISHED, run.problem
    assert springs.backend.outputs(run.id)["result"] == [-1.0, 8.0]


async def test_after_a_killed_worker_no_step_that_had_ended_is_done_again(springs: Oven) -> None:
    strains = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    run = begin(springs, "spring.stiffness", strains=strains, pause=0.3)
    await springs.event(run, "progress", stage="Energy", of=6)
    await springs.kill_worker()
    ended = await springs.end(run)
    assert ended.state is RunState.FINISHED, ended.problem
    assert sorted(springs.computed()) == [str(strain) for strain in strains]


async def test_a_cancelled_workflow_leaves_nothing_running(springs: Oven) -> None:
    run = begin(springs, "spring.stiffness", strains=[1.0, 2.0, 3.0, 4.0], pause=60.0)
    await until(lambda: len(springs.computed()) == 3)  # as many at once as the step says
    await springs.backend.cancel(run.id)
    assert (await springs.end(run)).state is RunState.CANCELLED
    assert springs.living_jobs() == []
    assert len(springs.computed()) == 3


async def test_a_workflow_that_does_not_repeat_itself_is_told_so(springs: Oven) -> None:
    ended = await springs.end(begin(springs, "spring.fickle"))
    assert ended.state is RunState.FAILED
    assert "came with other arguments" in str((ended.problem or {})["detail"])


async def test_bounds_of_the_annotations_hold_before_a_run_begins(springs: Oven) -> None:
    with pytest.raises(Problem) as refused:
        begin(springs, "spring.stiffness", strains=[])
    assert refused.value.code == "invalid-input"
    with pytest.raises(Problem) as refused:
        await springs.backend.validate("metal.eos", {"points": 3})
    assert refused.value.field == "points"


async def test_the_example_of_the_documentation_runs(springs: Oven) -> None:
    run = await springs.end(begin(springs, "metal.eos", element="Cu", points=5))
    assert run.state is RunState.FINISHED, run.problem
    outputs = springs.backend.outputs(run.id)
    # EMT's copper.
    assert outputs["lattice_constant"] == pytest.approx(3.59, abs=0.02)
    assert outputs["bulk_modulus"] == pytest.approx(134, rel=0.1)


async def test_a_crate_of_the_run_holds_the_functions_source(springs: Oven) -> None:
    run = await springs.end(begin(springs, "spring.stiffness", strains=[1.0]))
    path = await springs.backend.export(run.id, "crate")
    with zipfile.ZipFile(path) as crate:
        assert b"def stiffness(" in crate.read("workflow/steps_toy.py")
        actions = crate.read("ro-crate-metadata.json").decode()
    assert "Stiffness of a spring" in actions
    springs.backend.release(path)
