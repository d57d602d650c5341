"""Switching an app's versions on disk, without any environment: only folders that count as installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simdeck_appstore.installer import Installer, InstallerSettings
from simdeck_appstore.kernelspec import write_kernel
from simdeck_appstore.models import CommandEntry, VersionRecord
from simdeck_appstore.versions import AppFolder
from simdeck_common.problems import Problem


def record(version: str) -> str:
    return VersionRecord(
        id="demo", title="Demo", summary="", version=version, package="demo", entry=CommandEntry(command=["x"]),
        kernel="simdeck-demo", wheel_sha256="", lock_sha256="", installed="2026-01-01T00:00:00+00:00",
    ).model_dump_json()  # fmt: skip


def kernel_python(folder: AppFolder) -> str:
    spec = json.loads((folder.apps / ".jupyter/kernels/simdeck-demo/kernel.json").read_text())
    assert spec["display_name"] == "Demo"
    return str(spec["argv"][0])


@pytest.fixture
def folder(tmp_path: Path) -> AppFolder:
    return AppFolder(tmp_path / "apps", "demo")


def put(folder: AppFolder, *versions: str) -> None:
    """Install ``versions`` one after another."""
    for version in versions:
        tree = folder.apps / ".staging" / version
        tree.mkdir(parents=True)
        (tree / "app.json").write_text(record(version))
        folder.adopt(tree, version)


def state(folder: AppFolder) -> tuple[str | None, str | None]:
    return folder.current(), folder.previous()


def test_each_version_becomes_current_in_turn(folder: AppFolder) -> None:
    put(folder, "1.0", "1.10", "1.9")
    assert folder.versions() == ["1.10", "1.9", "1.0"]
    assert state(folder) == ("1.9", "1.10")


def test_roll_back_goes_back_step_by_step(folder: AppFolder) -> None:
    put(folder, "1", "2", "3")
    assert [folder.rollback(), folder.rollback()] == ["2", "1"]
    with pytest.raises(Problem) as caught:
        folder.rollback()
    assert caught.value.code == "no-previous-version"
    assert folder.versions() == ["3", "2", "1"]


def test_switching_to_the_current_version_changes_nothing(folder: AppFolder) -> None:
    put(folder, "1", "2")
    folder.switch("2")
    assert state(folder) == ("2", "1")


def test_switching_back_and_forth_keeps_each_version_once(folder: AppFolder) -> None:
    put(folder, "1", "2")
    for version in ("1", "2", "1"):
        folder.switch(version)
    assert json.loads(folder.history_file.read_text()) == {"current": "1", "earlier": ["2"]}


def test_removing_the_current_version_goes_back(folder: AppFolder) -> None:
    put(folder, "1", "2", "3")
    folder.remove_version("3")
    assert state(folder) == ("2", "1")
    assert folder.versions() == ["2", "1"]


def test_removing_an_earlier_version_takes_it_out_of_the_history(folder: AppFolder) -> None:
    put(folder, "1", "2", "3")
    folder.remove_version("2")
    assert state(folder) == ("3", "1")


def test_removing_the_current_version_without_history_takes_the_newest_other(folder: AppFolder) -> None:
    put(folder, "1", "2")
    folder.rollback()
    folder.remove_version("1")
    assert state(folder) == ("2", None)


def test_removing_the_last_version_removes_the_app(folder: AppFolder) -> None:
    put(folder, "1")
    folder.remove_version("1")
    assert not folder.root.exists()
    assert list((folder.apps / ".trash").iterdir()) == []


def test_an_intent_whose_version_never_came_is_undone(folder: AppFolder) -> None:
    put(folder, "1")
    folder.history_file.write_text('{"current": "2", "earlier": ["1"]}')
    folder.recover()
    assert state(folder) == ("1", None)


def test_a_switch_that_was_cut_short_is_finished(folder: AppFolder) -> None:
    put(folder, "1", "2")
    folder.link.unlink()
    folder.link.symlink_to("versions/1")
    folder.recover()
    assert state(folder) == ("2", "1")


def test_a_lost_link_is_made_again(folder: AppFolder) -> None:
    put(folder, "1", "2")
    folder.link.unlink()
    folder.recover()
    assert state(folder) == ("2", "1")


def test_a_damaged_history_follows_the_link(folder: AppFolder) -> None:
    put(folder, "1", "2")
    folder.history_file.write_text("{")
    folder.recover()
    assert folder.current() == "2"


def test_an_app_folder_without_versions_goes(folder: AppFolder) -> None:
    folder.versions_root.mkdir(parents=True)
    folder.history_file.write_text('{"current": "1", "earlier": []}')
    folder.recover()
    assert not folder.root.exists()


def test_a_version_without_its_record_does_not_count(folder: AppFolder) -> None:
    put(folder, "1")
    folder.home("2").mkdir()
    assert folder.versions() == ["1"]


@pytest.mark.parametrize("name", ["../demo", ".staging", "", "1demo", "a/b", "a b"])
def test_a_name_that_is_no_app_id_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem) as caught:
        AppFolder(tmp_path, name)
    assert caught.value.code == "app-not-found"


def test_the_kernel_follows_the_current_version(folder: AppFolder) -> None:
    for version in ("1", "2"):
        tree = folder.apps / ".staging" / version
        tree.mkdir(parents=True)
        (tree / "app.json").write_text(record(version))
        write_kernel(VersionRecord.model_validate_json(record(version)), tree, folder.home(version))
        folder.adopt(tree, version)
        assert kernel_python(folder) == str(folder.home(version) / "env/bin/python")
    folder.rollback()
    assert kernel_python(folder) == str(folder.home("1") / "env/bin/python")
    folder.remove()
    assert list((folder.apps / ".jupyter/kernels").iterdir()) == []


def test_after_the_data_folder_moved_clean_mends_the_kernels(folder: AppFolder, tmp_path: Path) -> None:
    tree = folder.apps / ".staging/1"
    tree.mkdir(parents=True)
    (tree / "app.json").write_text(record("1"))
    write_kernel(VersionRecord.model_validate_json(record("1")), tree, folder.home("1"))
    folder.adopt(tree, "1")
    moved = folder.apps.rename(tmp_path / "elsewhere")
    Installer(moved, InstallerSettings(registries=[], uv=Path("uv"))).clean()
    there = AppFolder(moved, "demo")
    assert kernel_python(there) == str(there.home("1") / "env/bin/python")


def test_a_second_change_at_the_same_time_is_refused(folder: AppFolder) -> None:
    folder.apps.mkdir()
    with folder.lock(), pytest.raises(Problem) as caught, AppFolder(folder.apps, "demo").lock():
        pass
    assert caught.value.code == "app-busy"
