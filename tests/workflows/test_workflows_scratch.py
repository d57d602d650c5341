"""Working directories are counted, and given back only where nothing needs them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from simdeck_workflows.models import RunState
from toy_oven import Oven

pytestmark = pytest.mark.backend


def folders(oven: Oven) -> set[Path]:
    return {marker.parent for marker in (oven.home.workflows / "scratch").glob("*/*/*/.simdeck-job")}


async def test_only_directories_of_ended_runs_go_and_results_stay(oven: Oven) -> None:
    ended = await oven.end(oven.bake(steps=2))
    old = folders(oven)
    running = oven.bake(steps=400, pause=0.05)
    await oven.event(running, "progress")
    found = await oven.backend.scratch()
    assert (found.folders, found.ended_folders, found.stray_folders) == (2, 1, 0)
    assert 0 < found.ended_size < found.size
    files = await oven.backend.files(ended.id)
    gone = await oven.backend.clean_scratch(0)
    assert (gone.folders, gone.size) == (1, found.ended_size)
    assert not any(folder.exists() for folder in old)
    assert len(folders(oven)) == 1
    assert await oven.backend.files(ended.id) == files
    assert oven.backend.run(running.id).state is RunState.RUNNING
    await oven.backend.cancel(running.id)
    await oven.end(running)


async def test_what_ended_lately_stays_where_only_the_old_shall_go(oven: Oven) -> None:
    await oven.end(oven.bake(steps=1))
    before = folders(oven)
    assert (await oven.backend.clean_scratch(1.0)).folders == 0
    assert folders(oven) == before


async def test_a_copy_does_not_hold_nor_lose_the_originals_directory(oven: Oven) -> None:
    await oven.end(oven.bake(steps=3))
    again = await oven.end(oven.bake(request={"reuse": True}, steps=3))
    assert again.reused == 1
    await oven.backend.clean_scratch(0)
    assert folders(oven) == set()
    assert len(await oven.backend.files(again.id)) > 1


async def test_a_directory_of_nobody_goes_after_a_day_and_a_link_is_not_followed(oven: Oven, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    root = oven.home.workflows / "scratch"
    for name in ("fresh", "old"):
        stray = root / "aa" / "bb" / name
        stray.mkdir(parents=True)
        (stray / "link").symlink_to(tmp_path)
    os.utime(root / "aa" / "bb" / "old", (0, 0))
    assert (await oven.backend.scratch()).stray_folders == 1
    assert (await oven.backend.clean_scratch(0)).folders >= 1
    assert not (root / "aa" / "bb" / "old").exists()
    assert (root / "aa" / "bb" / "fresh").exists()
    assert (tmp_path / "precious").read_text() == "kept"
