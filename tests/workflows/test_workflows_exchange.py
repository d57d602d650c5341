"""Provenance in and out, with a real worker: AiiDA archives, RO-Crates, citations."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import crate_judge
import pytest
from simdeck_common.layout import user_home
from simdeck_common.problems import Problem
from simdeck_workflows.models import Run, RunState
from toy_oven import Oven

pytestmark = pytest.mark.backend

WATER = "3\n\nO 0 0 0.1\nH 0 0.76 -0.48\nH 0 -0.76 -0.48\n"


@pytest.fixture(scope="module")
async def baked(oven: Oven) -> Run:
    run = await oven.end(oven.bake(structure={"name": "water.xyz", "content": WATER}, steps=2))
    assert run.state is RunState.FINISHED
    return run


@pytest.fixture(scope="module")
async def other(data: Path, toy: ModuleType, described: bytes) -> AsyncIterator[Oven]:
    """Somebody else's home, empty."""
    home = user_home(data, "bob")
    toy.install(home.apps, described=described)
    found = Oven(home, toy)
    await found.backend.start()
    yield found
    await found.backend.stop()
    found.clear()
    shutil.rmtree(home.runtime, ignore_errors=True)


@pytest.fixture
def judge() -> Path:
    found = crate_judge.python()
    if found is None:
        pytest.skip("the judges of crates cannot be installed: no network")
    return found


async def pieces(path: Path) -> AsyncIterator[bytes]:
    yield await asyncio.to_thread(path.read_bytes)


async def test_a_run_is_a_valid_workflow_run_crate_with_all_it_needs(
    oven: Oven, baked: Run, judge: Path, tmp_path: Path
) -> None:
    crate = await oven.backend.export(baked.id, "crate", "https://creativecommons.org/licenses/by/4.0/")
    found = crate_judge.judge(judge, crate, tmp_path)
    oven.backend.release(crate)
    assert found["issues"] == []
    assert f"action: #run-{baked.id}" in found["report"]
    assert "inputs/structure/water.xyz <- #input-structure" in found["report"]
    assert "-2.0 <- #output-energy" in found["report"]
    assert (tmp_path / "inputs/structure/water.xyz").read_text() == WATER
    assert (tmp_path / "workflow/toy_workflows.py").read_text().startswith('"""A small app')
    assert zipfile.is_zipfile(tmp_path / "provenance.aiida")
    graph = {one["@id"]: one for one in json.loads((tmp_path / "ro-crate-metadata.json").read_text())["@graph"]}
    assert graph["./"]["license"] == {"@id": "https://creativecommons.org/licenses/by/4.0/"}
    assert graph["#outputs/energy"]["unitText"] == "eV"
    assert any("s41597-020-00638-4" in one for one in graph)


async def test_a_failed_run_is_a_valid_crate_that_says_so(oven: Oven, judge: Path, tmp_path: Path) -> None:
    failed = await oven.end(oven.bake(error="too hot"))
    crate = await oven.backend.export(failed.id, "crate")
    assert crate_judge.judge(judge, crate, tmp_path)["issues"] == []
    oven.backend.release(crate)
    graph = {one["@id"]: one for one in json.loads((tmp_path / "ro-crate-metadata.json").read_text())["@graph"]}
    action = graph[f"#run-{failed.id}"]
    assert action["actionStatus"] == {"@id": "http://schema.org/FailedActionStatus"}
    assert "too hot" in action["error"]


async def test_an_archive_taken_in_elsewhere_is_the_same_run_there(oven: Oven, baked: Run, other: Oven) -> None:
    archive = await oven.backend.export(baked.id, "aiida")
    [taken] = await other.backend.import_archive(pieces(archive))
    [again] = await other.backend.import_archive(pieces(archive))
    oven.backend.release(archive)
    assert again.id == taken.id
    assert (taken.state, taken.workflow, taken.title) == (RunState.FINISHED, "toy.bake", "Bake: water.xyz")
    assert taken.process == baked.process
    assert taken.summary == baked.summary
    assert other.backend.outputs(taken.id)["energy"] == -2.0
    theirs = {(entry.path, entry.size) for entry in await other.backend.files(taken.id)}
    assert theirs == {(entry.path, entry.size) for entry in await oven.backend.files(baked.id)}
    assert not other.backend.active()


async def test_what_has_not_ended_elsewhere_is_never_carried_on_here(
    oven: Oven, baked: Run, other: Oven, tmp_path: Path
) -> None:
    archive = await oven.backend.export(baked.id, "aiida")
    for change in (
        "json_remove(attributes, '$.sealed')",
        "json_set(attributes, '$.checkpoints', '!!python/object/apply:os.system [touch /tmp/x]')",
    ):
        forged = tmp_path / "forged.aiida"
        _forge(archive, forged, change)
        with pytest.raises(Problem, match="not ended"):
            await other.backend.import_archive(pieces(forged))
    oven.backend.release(archive)


def _forge(archive: Path, target: Path, change: str) -> None:
    """The archive with the attributes of its processes changed, as no AiiDA would write it."""
    with zipfile.ZipFile(archive) as packed, zipfile.ZipFile(target, "w") as forged:
        for entry in packed.infolist():
            content = packed.read(entry)
            if entry.filename == "db.sqlite3":
                database = target.with_suffix(".sqlite")
                database.write_bytes(content)
                with sqlite3.connect(database) as connection:
                    query = f"UPDATE db_dbnode SET attributes = {change} WHERE node_type LIKE 'process.%'"
                    assert connection.execute(query).rowcount > 0
                content = database.read_bytes()
            forged.writestr(entry, content)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + b"\0" * 18])
async def test_what_is_no_archive_is_refused(other: Oven, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.aiida"
    path.write_bytes(content)
    with pytest.raises(Problem) as caught:
        await other.backend.import_archive(pieces(path))
    assert caught.value.code == "archive-refused"
    assert not list((other.home.workflows / "handover").iterdir())


async def test_an_archive_that_swells_is_refused_before_it_is_opened(other: Oven, tmp_path: Path) -> None:
    path = tmp_path / "bomb.aiida"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("db.sqlite3", b"\0" * (300 * 2**20))
    with pytest.raises(Problem, match="more than is taken"):
        await other.backend.import_archive(pieces(path))


async def test_a_run_that_has_not_begun_has_nothing_to_export(oven: Oven) -> None:
    rejected = await oven.end(oven.bake(steps=13))
    for kind in ("aiida", "crate"):
        with pytest.raises(Problem) as caught:
            await oven.backend.export(rejected.id, kind)
        assert caught.value.code == "run-without-process"


async def test_citations_name_the_apps_methods_its_code_and_the_engine(oven: Oven, baked: Run) -> None:
    record = oven.home.apps / "toy" / "versions" / "1.0" / "app.json"
    kept = record.read_text()
    cited: dict[str, Any] = {"text": "A. Baker, On ovens (1999)", "doi": "10.1000/oven"}
    record.write_text(json.dumps({**json.loads(kept), "citations": [cited]}))
    found = await oven.backend.citations(baked.id)
    record.write_text(kept)
    assert found[0] == {"kind": "method", **cited}
    assert ("code", "Python of the app toy 1.0") in [(one["kind"], one["text"]) for one in found]
    assert found[-1]["kind"] == "engine"
    assert found[-1]["version"].startswith("2.")


async def test_verdi_reads_the_same_profile_by_its_name(oven: Oven, baked: Run) -> None:
    verdi = oven.toy.BACKEND_PYTHON.parent / "verdi"
    done = await asyncio.to_thread(
        subprocess.run,
        [verdi, "-p", "simdeck", "process", "show", str(baked.process)],
        env={**os.environ, "AIIDA_PATH": str(oven.home.workflows / "aiida")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert baked.id in done.stdout
