"""The backend with a real worker, and the toy app's runs from submission to archive."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import zipfile
from typing import Any

import pytest
from simdeck_common.problems import Problem
from simdeck_workflows.backend import Backend
from simdeck_workflows.models import RunRequest, RunState
from toy_oven import WATER, Oven, until

pytestmark = pytest.mark.backend


async def test_a_run_goes_from_submission_to_results(oven: Oven) -> None:
    run = oven.bake(steps=4)
    assert run.state is RunState.ACCEPTED
    ended = await oven.end(run)
    assert (ended.state, ended.problem) == (RunState.FINISHED, None)
    assert ended.summary == {"energy": {"title": "Total energy", "value": -4.0, "unit": "eV"}}
    assert ended.started is not None
    assert ended.ended is not None
    outputs = oven.backend.outputs(run.id)
    assert outputs["energy"] == -4.0
    assert outputs["report"] == {"name": "report.txt", "size": 17, "path": "outputs/report/report.txt"}


async def test_each_line_of_progress_is_one_event(oven: Oven) -> None:
    run = oven.bake(steps=5, pause=0.02)
    ended = await oven.end(run)
    steps = [event.data["step"] async for event in oven.backend.events(run.id) if event.type == "progress"]
    assert steps == [1, 2, 3, 4, 5]
    assert ended.progress is not None
    assert ended.progress["step"] == 5


async def test_events_resume_after_a_number(oven: Oven) -> None:
    run = oven.bake()
    await oven.end(run)
    everything = [event async for event in oven.backend.events(run.id)]
    assert [event.seq for event in everything] == sorted({event.seq for event in everything})
    assert everything[-1].data["state"] == "finished"
    rest = [event async for event in oven.backend.events(run.id, after=everything[3].seq)]
    assert rest == everything[4:]


async def test_the_title_names_the_file(oven: Oven) -> None:
    xyz = "3\n\nO 0 0 0.1\nH 0 0.76 -0.48\nH 0 -0.76 -0.48\n"
    run = oven.bake(structure={"name": "water.xyz", "content": xyz})
    assert run.title == "Bake: water.xyz"
    assert (await oven.end(run)).state is RunState.FINISHED


async def test_the_same_idempotency_key_makes_one_run(oven: Oven) -> None:
    request = RunRequest(workflow="toy.add", inputs={"a": 1})
    first = oven.backend.submit(request, "once")
    assert oven.backend.submit(request, "once").id == first.id
    with pytest.raises(Problem) as caught:
        oven.backend.submit(RunRequest(workflow="toy.add", inputs={"a": 2}), "once")
    assert caught.value.code == "idempotency-conflict"
    await oven.end(first)
    assert oven.backend.outputs(first.id) == {"sum": 2}


async def test_a_failure_is_told_in_the_workflows_words(oven: Oven) -> None:
    ended = await oven.end(oven.bake(error="too hot"))
    assert ended.state is RunState.FAILED
    assert ended.problem is not None
    assert ended.problem["code"] == "calculation-failed"
    assert "The structure burnt: too hot." in ended.problem["detail"]


async def test_a_bug_in_a_workflow_is_told_apart_from_a_failure(oven: Oven) -> None:
    ended = await oven.end(oven.backend.submit(RunRequest(workflow="toy.crash")))
    assert ended.state is RunState.FAILED
    assert ended.problem is not None
    assert ended.problem["code"] == "workflow-crashed"
    assert "the oven has no door" in ended.problem["detail"]


@pytest.mark.parametrize(
    ("inputs", "field", "sentence"),
    [
        ({"steps": 13}, "steps", "The number of steps may not be 13."),
        (
            {"structure": {"symbols": ["He"] * 11, "positions": [[0, 0, 3.0 * n] for n in range(11)]}},
            "structure",
            "11 atoms are more than the 10 that fit into the oven.",
        ),
        (
            {"structure": {"name": "water.doc", "content": "?"}},
            "structure",
            "Files of the kind doc are not read here.",
        ),
        (
            {"structure": {"name": "water.xyz", "content": "three"}},
            "structure",
            "water.xyz cannot be read as XYZ",
        ),
    ],
)
async def test_what_the_spec_refuses_names_the_field(
    oven: Oven, inputs: dict[str, Any], field: str, sentence: str
) -> None:
    with pytest.raises(Problem) as caught:
        await oven.backend.validate("toy.bake", {"structure": WATER, **inputs})
    assert caught.value.field == field
    assert sentence in caught.value.detail
    rejected = await oven.end(oven.bake(**inputs))
    assert rejected.state is RunState.REJECTED
    assert rejected.problem is not None
    assert rejected.problem["field"] == field
    assert rejected.process is None


async def test_good_inputs_are_valid(oven: Oven) -> None:
    await oven.backend.validate("toy.bake", {"structure": WATER, "steps": 2})


def test_what_the_schema_refuses_is_refused_at_once(oven: Oven) -> None:
    for inputs, field in (({}, "structure"), ({"structure": WATER, "steps": 0}, "steps")):
        with pytest.raises(Problem) as caught:
            oven.backend.submit(RunRequest(workflow="toy.bake", inputs=inputs))
        assert (caught.value.code, caught.value.field) == ("invalid-input", field)
    with pytest.raises(Problem) as caught:
        oven.backend.submit(RunRequest(workflow="toy.fry"))
    assert caught.value.code == "workflow-not-found"


async def test_a_retry_is_a_new_run_of_the_same_inputs(oven: Oven) -> None:
    run = oven.bake(steps=2)
    with pytest.raises(Problem) as caught:
        oven.backend.retry(run.id)
    assert caught.value.code == "run-not-ended"
    await oven.end(run)
    again = oven.backend.retry(run.id)
    assert (again.id != run.id, again.retry_of) == (True, run.id)
    assert (await oven.end(again)).state is RunState.FINISHED
    assert oven.backend.inputs(again.id) == oven.backend.inputs(run.id)


async def test_cancelling_kills_the_calculation_and_the_whole_tree(oven: Oven) -> None:
    run = oven.bake(steps=1000, pause=0.1)
    await oven.event(run, "progress")
    assert oven.living_jobs()
    await oven.backend.cancel(run.id)
    ended = await oven.end(run)
    assert (ended.state, ended.problem) == (RunState.CANCELLED, None)
    assert not oven.living_jobs()
    last = {
        event.data["process"]: event.data["state"]
        async for event in oven.backend.events(run.id)
        if event.type == "step"
    }
    assert set(last.values()) == {"killed"}


async def test_an_accepted_run_is_cancelled_before_it_begins(oven: Oven) -> None:
    await oven.kill_worker()
    run = oven.bake()
    await oven.backend.cancel(run.id)
    ended = await oven.end(run)
    assert (ended.state, ended.process) == (RunState.CANCELLED, None)


async def test_a_paused_run_rests_across_a_dead_worker_and_goes_on_when_resumed(oven: Oven) -> None:
    run = oven.bake(steps=10, pause=0.1)
    await oven.event(run, "progress")
    assert (await oven.backend.pause(run.id)).paused
    await until(lambda: not oven.living_jobs())
    await oven.kill_worker()
    # The next worker is there, and has looked after its runs, when it has carried out another one.
    await oven.end(oven.backend.submit(RunRequest(workflow="toy.add", inputs={"a": 1})))
    resting = oven.backend.run(run.id)
    assert (resting.state, resting.paused) == (RunState.RUNNING, True)
    await oven.backend.resume(run.id)
    ended = await oven.end(run)
    assert (ended.state, ended.paused) == (RunState.FINISHED, False)
    assert oven.computed().count(oven.computed()[-1]) == 1


async def test_a_run_paused_before_it_begins_does_not_begin(oven: Oven) -> None:
    await oven.kill_worker()
    run = oven.backend.submit(RunRequest(workflow="toy.add", inputs={"a": 1}))
    await oven.backend.pause(run.id)
    await oven.end(oven.backend.submit(RunRequest(workflow="toy.add", inputs={"a": 1})))
    assert oven.backend.run(run.id).state is RunState.ACCEPTED
    await oven.backend.resume(run.id)
    assert (await oven.end(run)).state is RunState.FINISHED


async def test_a_vanished_calculation_is_put_in_again(oven: Oven) -> None:
    run = oven.bake(steps=20, pause=0.1)
    await oven.event(run, "progress")
    before = len(oven.computed())
    for pid in oven.living_jobs():
        os.killpg(pid, 9)
    ended = await oven.end(run)
    assert ended.state is RunState.FINISHED
    assert len(oven.computed()) == before + 1
    assert "it is put in again" in await oven.backend.log(run.id)


async def test_files_log_and_graph_tell_of_the_run(oven: Oven) -> None:
    run = oven.bake(steps=2)
    await oven.end(run)
    paths = [entry.path for entry in await oven.backend.files(run.id)]
    assert paths[0] == "outputs/report/report.txt"
    assert "calculations/1-BakeCalculation/job.out" in paths
    pieces = [piece async for piece in await oven.backend.open_file(run.id, "outputs/report/report.txt")]
    assert b"".join(pieces) == b"baked at -2.0 eV\n"
    with pytest.raises(Problem) as caught:
        await oven.backend.open_file(run.id, "../../etc/passwd")
    assert caught.value.code == "run-file-not-found"
    assert "the oven is off" in await oven.backend.log(run.id)
    graph = await oven.backend.graph(run.id)
    kinds = {node["label"]: node["kind"] for node in graph["nodes"]}
    assert kinds["BakeWorkChain"] == "workflow"
    assert kinds["BakeCalculation"] == "calculation"
    assert kinds["toy-1.0"] == "code"
    titles = {node["label"]: node["title"] for node in graph["nodes"] if "state" in node}
    assert run.id not in titles.values()
    assert titles["BakeWorkChain"] == "Bake"
    assert (await oven.backend.graph_svg(run.id)).startswith("<svg")
    assert not list((oven.home.workflows / "handover").iterdir())


async def test_the_archive_holds_inputs_results_files_and_provenance(oven: Oven) -> None:
    run = oven.bake(structure={"name": "water.xyz", "content": "1\n\nO 0 0 0\n"}, steps=2)
    await oven.end(run)
    path = await oven.backend.archive(run.id)
    content = path.read_bytes()
    oven.backend.release(path)
    assert not path.parent.exists()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = set(archive.namelist())
        assert {"README.txt", "outputs.json", "graph.json", "graph.svg", "inputs/inputs.json"} <= names
        assert archive.read("inputs/structure/water.xyz") == b"1\n\nO 0 0 0\n"
        assert archive.read("files/outputs/report/report.txt") == b"baked at -2.0 eV\n"
        assert json.loads(archive.read("outputs.json"))["energy"] == -2.0


async def test_another_agent_takes_over_a_living_worker(oven: Oven) -> None:
    run = oven.bake(steps=10, pause=0.1)
    await oven.event(run, "progress")
    pid = oven.worker_pid()
    other = Backend(oven.home, oven.settings)
    await other.start()
    async with asyncio.timeout(120):
        async for _event in other.events(run.id):
            pass
    assert other.run(run.id).state is RunState.FINISHED
    assert await other.log(run.id)
    assert oven.worker_pid() == pid
    await other.stop()
    assert oven.worker_pid() == pid


async def test_a_new_version_is_used_after_reload_and_old_runs_keep_theirs(oven: Oven, described: bytes) -> None:
    old = oven.bake(steps=15, pause=0.1)
    await oven.event(old, "progress")
    oven.toy.install(oven.home.apps, "2.0", described)
    await oven.backend.reload()
    new = oven.bake()
    assert (old.app_version, new.app_version) == ("1.0", "2.0")
    assert oven.backend.versions_in_use("toy") == {"1.0", "2.0"}
    for run in (old, new):
        assert (await oven.end(run)).state is RunState.FINISHED
        codes = [node["label"] for node in (await oven.backend.graph(run.id))["nodes"] if node["kind"] == "code"]
        assert codes == [f"toy-{run.app_version}"]


async def test_plain_verdi_sees_and_ends_processes(oven: Oven) -> None:
    run = oven.bake(steps=1000, pause=0.1)
    await oven.event(run, "progress")
    verdi = [str(oven.toy.BACKEND_PYTHON.parent / "verdi")]
    env = {**os.environ, "AIIDA_PATH": str(oven.home.workflows / "aiida")}
    listed = await asyncio.to_thread(
        subprocess.run, [*verdi, "process", "list", "-r", "-P", "pk", "label"], env=env, capture_output=True, text=True
    )
    row = next(line.split() for line in listed.stdout.splitlines() if line.endswith(run.id))
    killed = await asyncio.to_thread(
        subprocess.run, [*verdi, "process", "kill", row[0]], env=env, capture_output=True, text=True, timeout=180
    )
    assert killed.returncode == 0, killed.stdout + killed.stderr
    assert (await oven.end(run)).state is RunState.CANCELLED


async def test_verdi_takes_the_worker_for_its_daemon(oven: Oven) -> None:
    await oven.end(oven.backend.submit(RunRequest(workflow="toy.add", inputs={"a": 1})))
    pid = oven.worker_pid()
    env = {**os.environ, "AIIDA_PATH": str(oven.home.workflows / "aiida")}

    async def verdi(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [str(oven.toy.BACKEND_PYTHON.parent / "verdi"), *arguments]
        return await asyncio.to_thread(subprocess.run, argv, env=env, capture_output=True, text=True, timeout=180)

    status = await verdi("status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert f"Daemon is running with PID {pid}" in status.stdout + status.stderr
    await verdi("daemon", "start")
    assert (await verdi("status")).returncode == 0
    assert oven.worker_pid() == pid


async def test_a_worker_without_work_ends_and_the_next_run_starts_one(oven: Oven) -> None:
    await oven.backend.reload()
    await until(lambda: oven.worker_pid() is None)
    ended = await oven.end(oven.backend.submit(RunRequest(workflow="toy.add", inputs={"a": 4})))
    assert (ended.state, oven.backend.outputs(ended.id)) == (RunState.FINISHED, {"sum": 5})
