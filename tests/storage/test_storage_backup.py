"""Backup and restore, tested by restoring: what two users had is there again, with the same results."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simdeck_common.problems import Problem
from simdeck_hub.backups import Manifest, back_up, check
from simdeck_hub.places import DataFolder
from simdeck_hub.restores import restore
from simdeck_hub.secrets_file import Secrets
from simdeck_hub.site_file import Site
from simdeck_workflows.models import RunState
from toy_oven import Oven

pytestmark = pytest.mark.backend

SIMDECK = Path(sys.executable).parent / "simdeck"


async def simdeck(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the `simdeck` command for a data folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SIMDECK_", "JUPYTERHUB_"))}
    argv = [str(SIMDECK), *words]
    env = kept | {"SIMDECK_DATA": str(data)}
    return await asyncio.to_thread(subprocess.run, argv, env=env, capture_output=True, text=True, check=False)


class Known:
    """What one user had before."""

    def __init__(self, oven: Oven, run: str, outputs: dict[str, Any], files: dict[str, str], graph: Any) -> None:
        self.oven, self.run, self.outputs, self.files, self.graph = oven, run, outputs, files, graph


async def contents(oven: Oven, run: str) -> dict[str, str]:
    """The run's files with the hashes of their content."""
    found = {}
    for entry in await oven.backend.files(run):
        pieces = [piece async for piece in await oven.backend.open_file(run, entry.path)]
        found[entry.path] = hashlib.sha256(b"".join(pieces)).hexdigest()
    return found


@pytest.fixture(scope="module")
async def before(place: Path, open_oven: Callable[..., Any]) -> tuple[Path, dict[str, Known]]:
    """A data folder with the runs of two users, and what they had."""
    data = DataFolder(place / "data")
    data.make()
    Secrets.load_or_make(data.private)
    known = {}
    for number, name in enumerate(("alice", "bob")):
        oven = await open_oven(data.root, name)
        run = await oven.end(oven.bake(steps=2 + number))
        assert run.state is RunState.FINISHED
        graph = await oven.backend.graph(run.id)
        known[name] = Known(oven, run.id, oven.backend.outputs(run.id), await contents(oven, run.id), graph)
        assert known[name].files
    return data.root, known


@pytest.fixture(scope="module")
async def backup(place: Path, before: tuple[Path, dict[str, Known]]) -> tuple[Path, str]:
    """A backup that was made while a third run went on; that run."""
    data, known = before
    going = known["alice"].oven.bake(steps=1000)
    await known["alice"].oven.event(going, "progress")
    done = await simdeck(data, "backup", str(place / "backup"))
    assert done.returncode == 0, done.stderr
    await known["alice"].oven.backend.cancel(going.id)
    await known["alice"].oven.end(going)
    return place / "backup", going.id


@pytest.fixture(scope="module")
async def restored(place: Path, backup: tuple[Path, str]) -> Path:
    data = place / "restored"
    done = await simdeck(data, "restore", str(backup[0]))
    assert done.returncode == 0, done.stderr
    return data


async def test_a_backup_made_during_a_run_refers_to_no_missing_object(backup: tuple[Path, str]) -> None:
    manifest = json.loads((backup[0] / "manifest.json").read_text())
    assert [(name, part["missing"]) for name, part in sorted(manifest["users"].items())] == [("alice", 0), ("bob", 0)]
    assert manifest["users"]["alice"]["counts"]["runs"] == 2
    assert manifest["users"]["alice"]["counts"]["nodes"] > 5


async def test_a_backup_is_for_its_owner_alone(backup: tuple[Path, str]) -> None:
    found = [path for path in [backup[0], *backup[0].rglob("*")] if path.stat().st_mode & 0o077]
    assert found == []


async def test_runs_of_two_users_are_the_same_after_a_restore(
    before: tuple[Path, dict[str, Known]], restored: Path, open_oven: Callable[..., Any]
) -> None:
    for name, had in before[1].items():
        oven = await open_oven(restored, name)
        assert oven.backend.outputs(had.run) == had.outputs
        assert await contents(oven, had.run) == had.files
        assert await oven.backend.graph(had.run) == had.graph
        assert (await oven.end(oven.bake(steps=1))).state is RunState.FINISHED


async def test_a_run_that_went_on_during_the_backup_ends_after_the_restore(
    backup: tuple[Path, str], restored: Path, open_oven: Callable[..., Any]
) -> None:
    oven = await open_oven(restored, "alice")
    run = oven.backend.run(backup[1])
    if not run.state.ended:
        await oven.backend.cancel(run.id)
    assert (await oven.end(run)).state.ended


async def test_the_keys_come_back(before: tuple[Path, dict[str, Known]], restored: Path) -> None:
    assert Secrets.load(restored / "private") == Secrets.load(before[0] / "private")


def bring_back(data: Path, backup: Path) -> list[str]:
    """Restore, as the command does; the lines it tells."""
    told: list[str] = []
    restore(DataFolder(data), Site(), backup, told.append, lambda _person: "")
    return told


async def test_a_restore_writes_nothing_over(restored: Path, backup: tuple[Path, str]) -> None:
    (restored / ".restored.json").unlink()
    with pytest.raises(Problem) as refused:
        bring_back(restored, backup[0])
    assert refused.value.code == "restore-in-the-way"


async def test_a_whole_backup_is_not_written_into_again(
    before: tuple[Path, dict[str, Known]], backup: tuple[Path, str]
) -> None:
    with pytest.raises(Problem) as refused:
        back_up(DataFolder(before[0]), Site(), backup[0], print)
    assert refused.value.code == "backup-exists"


async def test_a_backup_stopped_half_way_is_refused_and_then_finished(
    before: tuple[Path, dict[str, Known]], backup: tuple[Path, str], place: Path
) -> None:
    half = place / "half"
    shutil.copytree(backup[0], half)
    manifest = Manifest.read(half)
    del manifest.users["bob"]
    manifest.ended = None
    manifest.write(half)
    (half / "users" / "bob.tar").write_bytes(b"half of it")
    with pytest.raises(Problem) as refused:
        bring_back(place / "elsewhere", half)
    assert refused.value.code == "backup-unfinished"
    finished = back_up(DataFolder(before[0]), Site(), half, print)
    assert finished.users["alice"] == manifest.users["alice"]
    assert finished.users["bob"].counts["runs"] == 1
    assert check(half, print).ended is not None


async def test_a_restore_killed_between_the_users_goes_on(place: Path, backup: tuple[Path, str]) -> None:
    data = place / "again"
    bring_back(data, backup[0])
    # What a kill leaves: alice is in place, bob was being read.
    bob = data / "users" / "bob"
    (bob / ".restored.json").unlink()
    (bob / ".restoring").mkdir()
    (bob / "workflows").rename(bob / ".restoring" / "workflows")
    shutil.rmtree(bob / "agent", ignore_errors=True)
    told = bring_back(data, backup[0])
    assert told == ["site: was restored before", "alice: was restored before", "bob: restored"]
    assert (bob / "workflows" / "runs.sqlite").exists()


async def test_what_was_restored_and_is_lost_again_is_restored_again(place: Path, backup: tuple[Path, str]) -> None:
    data = place / "twice"
    bring_back(data, backup[0])
    shutil.rmtree(data / "users" / "bob" / "workflows")
    assert bring_back(data, backup[0])[-1] == "bob: restored"
    assert (data / "users" / "bob" / "workflows" / "runs.sqlite").exists()


async def test_one_users_fault_does_not_cost_the_others_their_backup(
    before: tuple[Path, dict[str, Known]], place: Path
) -> None:
    broken = before[0] / "users" / "abel" / "workflows" / "runs.sqlite"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"SQLite format 3\0" + b"no database" * 100)
    try:
        with pytest.raises(Problem) as refused:
            back_up(DataFolder(before[0]), Site(), place / "faulty", print)
        assert refused.value.code == "backup-failed"
        assert "abel" in refused.value.detail
        assert sorted(Manifest.read(place / "faulty").users) == ["alice", "bob"]
    finally:
        shutil.rmtree(before[0] / "users" / "abel")
    assert back_up(DataFolder(before[0]), Site(), place / "faulty", print).ended is not None


async def test_a_changed_file_in_a_backup_is_found(place: Path, backup: tuple[Path, str]) -> None:
    forged = place / "forged"
    shutil.copytree(backup[0], forged)
    tar = forged / "users" / "bob.tar"
    content = bytearray(tar.read_bytes())
    with tarfile.open(tar) as found:
        content[found.getmember("workflows/runs.sqlite").offset_data + 5000] ^= 1
    tar.write_bytes(content)
    with pytest.raises(Problem) as refused:
        bring_back(place / "nowhere", forged)
    assert refused.value.code == "backup-unreadable"
    # And where somebody has mended the manifest, the file's own hash tells.
    manifest = Manifest.read(forged)
    mended = manifest.users["bob"].model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    manifest.users["bob"] = mended
    manifest.write(forged)
    with pytest.raises(Problem) as refused:
        bring_back(place / "nowhere", forged)
    assert "workflows/runs.sqlite is not what was copied" in refused.value.detail
    assert not (place / "nowhere" / "users" / "bob" / "workflows").exists()
