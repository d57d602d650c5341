"""Described programs through the backend: real jobs, what they leave, and how they fail, are killed and are reused."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import zipfile
from pathlib import Path
from typing import Any

import pytest
from simdeck_common.problems import Problem
from simdeck_workflows.models import Run, RunRequest, RunState
from toy_oven import WATER, Oven, until

pytestmark = pytest.mark.backend

WORD = """a "b" 'c' $(id) `id` \\ ü & ; *"""
TABLE = {"name": "my table.txt", "content": "1 10\n2 20\n3 60\n"}


def submit(bench: Oven, name: str, /, *, reuse: bool = False, **inputs: Any) -> Run:
    return bench.backend.submit(RunRequest(workflow=f"described.{name}", inputs=inputs, reuse=reuse))


async def test_a_program_gives_its_numbers_files_and_columns(bench: Oven) -> None:
    run = await bench.end(submit(bench, "mean", table=TABLE, column=2, title="it's $HOME", scale=0.5))
    assert (run.state, run.problem) == (RunState.FINISHED, None)
    assert run.summary == {"mean": {"title": "Mean", "value": 15.0, "unit": "m"}}
    outputs = bench.backend.outputs(run.id)
    assert (outputs["count"], outputs["values"]) == (3, [5, 10, 30])
    content = b"".join([part async for part in await bench.backend.open_file(run.id, outputs["scaled"]["path"])])
    assert content == b"1 5\n2 10\n3 30\n"
    assert "it's $HOME" in await bench.backend.log(run.id)


async def test_an_exit_status_is_told_in_the_apps_words(bench: Oven) -> None:
    run = await bench.end(submit(bench, "mean", table=TABLE, column=12))
    assert run.state is RunState.FAILED
    assert run.problem is not None
    assert "The table has no such column; choose a smaller number." in run.problem["detail"]
    assert "column 12 is not there" in await bench.backend.log(run.id)


async def test_every_word_reaches_the_program_as_it_is(bench: Oven) -> None:
    many = [{"name": name, "content": name} for name in ("b.txt", "../a b.txt", "-rf")]
    many[1]["name"] = "a b.txt"
    run = await bench.end(submit(bench, "echo", word=WORD, flag=True, many=many, shape=WATER))
    assert (run.state, run.problem) == (RunState.FINISHED, None)
    outputs = bench.backend.outputs(run.id)
    names = ["many/001-b.txt", "many/002-a_b.txt", "many/003-rf"]
    assert outputs["words"] == [WORD, "--flag", "on", *names, "--", WORD]
    assert outputs["heard"] == f"{WORD} {{word}} {json.dumps(WORD, ensure_ascii=False)}"
    assert [file["path"] for file in outputs["parts"]["files"]] == [f"outputs/parts/part-{n}.txt" for n in (0, 1)]
    assert outputs["length"] == len(outputs["words"]) + 100 * len(WORD)
    first = b"".join([part async for part in await bench.backend.open_file(run.id, outputs["first"]["path"])])
    assert first.split()[0] == b"3"


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bwrap is not on this machine")
async def test_every_word_reaches_a_program_in_a_container_of_the_site(bench: Oven) -> None:
    run = await bench.end(submit(bench, "boxed", word=WORD))
    assert (run.state, run.problem) == (RunState.FINISHED, None)
    assert bench.backend.outputs(run.id) == {"said": f"{WORD}|-1.00|"}


async def test_what_may_be_left_out_is_left_out(bench: Oven) -> None:
    run = await bench.end(submit(bench, "echo", word="x"))
    assert bench.backend.outputs(run.id)["words"] == ["x", "--", "x"]


async def test_a_text_that_would_be_an_option_rejects_the_run(bench: Oven) -> None:
    with pytest.raises(Problem) as caught:
        await bench.backend.validate("described.echo", {"word": "--version"})
    assert caught.value.field == "word"
    assert "must not begin with a dash" in caught.value.detail


async def test_an_identical_run_is_taken_from_the_one_before(bench: Oven) -> None:
    first = await bench.end(submit(bench, "mean", table=TABLE, title="once"))
    again = await bench.end(submit(bench, "mean", reuse=True, table=TABLE, title="once"))
    assert (first.reused, again.reused) == (0, 1)
    assert again.summary == first.summary


async def test_programs_before_it_prepare_the_folder_and_one_that_fails_ends_the_job(bench: Oven) -> None:
    run = await bench.end(submit(bench, "beside", ok="yes"))
    assert (run.state, run.problem) == (RunState.FINISHED, None)
    assert bench.backend.outputs(run.id) == {"said": "it works: it's yes"}
    failed = await bench.end(submit(bench, "beside", ok="no"))
    assert failed.problem is not None
    assert "test ended with the exit status 1." in failed.problem["detail"]


async def test_a_cancelled_run_leaves_no_program_behind(bench: Oven, tmp_path: Path) -> None:
    run = submit(bench, "wait", ledger=str(tmp_path / "ledger"))
    await until(lambda: (tmp_path / "ledger").exists())
    await bench.backend.cancel(run.id)
    assert (await bench.end(run)).state is RunState.CANCELLED
    await until(lambda: not bench.living_jobs())


async def test_a_job_that_was_taken_away_is_started_again(bench: Oven, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    run = submit(bench, "wait", ledger=str(ledger), seconds=2)
    await until(lambda: ledger.exists() and ledger.read_text())
    for pid in bench.living_jobs():
        os.killpg(pid, signal.SIGKILL)
    assert (await bench.end(run)).state is RunState.FINISHED
    assert len(ledger.read_text().split()) == 2


async def test_the_crate_of_a_run_holds_the_description_of_the_program(bench: Oven, tmp_path: Path) -> None:
    run = await bench.end(submit(bench, "mean", table=TABLE))
    path = await bench.backend.export(run.id, "crate")
    with zipfile.ZipFile(io.BytesIO(await asyncio.to_thread(Path(path).read_bytes))) as crate:
        source = crate.read("workflow/__init__.py").decode()
    bench.backend.release(path)
    assert "mean.awk" in source
