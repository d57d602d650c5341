"""The bootstrap: stamps, repair after a kill, and failures in one sentence."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("environments", ROOT / "bootstrap" / "environments.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LOG", tmp_path / "bootstrap.log")
    return module


def quiet(text: str = "") -> None:
    """Show nothing."""


def test_the_committed_pip_is_the_one_its_hash_names() -> None:
    (wheel,) = (ROOT / "bootstrap").glob("pip-*.whl")
    promised = wheel.with_name(f"{wheel.name}.sha256").read_text(encoding="ascii").split()[0]
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() == promised


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("error: Failed to fetch: dns error: failed to lookup address", "no network connection"),
        ("pip: NewConnectionError: Temporary failure in name resolution", "no network connection"),
        ("npm error code ENOTFOUND", "no network connection"),
        ("npm error code SELF_SIGNED_CERT_IN_CHAIN", "certificate is not trusted"),
        ("error: invalid peer certificate: UnknownIssuer\nerror sending request", "certificate is not trusted"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("npm error ENOSPC", "The disk is full"),
        ("Hash mismatch for `six==1.17.0`", "not the one the lock names"),
        ("first\nerror: something else\n", "tool failed (exit code 2): error: something else"),
    ],
)
def test_a_failure_is_told_in_one_clear_sentence(environments: types.ModuleType, output: str, words: str) -> None:
    assert words in environments.sentence(output, "tool", 2)


def test_a_failed_program_is_told_by_its_own_last_words(environments: types.ModuleType, tmp_path: Path) -> None:
    code = "import sys; print('No space left on device', file=sys.stderr); sys.exit(1)"
    with pytest.raises(environments.Refusal, match="The disk is full"):
        environments.run([sys.executable, "-c", code], quiet, cwd=tmp_path)


def test_a_tool_is_there_whole_or_not_at_all(environments: types.ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "uv-new"
    (tmp_path / "uv-old").mkdir()

    def interrupted() -> None:
        with environments.fresh_folder(target) as folder:
            (folder / "half").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["uv-old"]
    with environments.fresh_folder(target) as folder:
        (folder / "whole").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["uv-new"]


def test_what_a_killed_start_left_of_a_tool_is_cleared(environments: types.ModuleType, tmp_path: Path) -> None:
    (tmp_path / ".uv-half").mkdir()
    with environments.fresh_folder(tmp_path / "uv-new"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["uv-new"]


@pytest.mark.parametrize("begun", [True, False])
def test_an_environment_whose_making_was_killed_is_made_from_scratch(
    environments: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    commands: list[list[str]] = []
    folder = tmp_path / "env"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(environments.python())
    lock = tmp_path / "lock.txt"
    lock.touch()
    marker = tmp_path / ".env-being-made"
    if begun:
        marker.touch()
    monkeypatch.setattr(environments, "run", lambda argv, *rest, **more: commands.append(argv[1:3]))
    environments.make_environment(folder, [lock], quiet)
    cleared = ["venv", "--quiet"] in commands
    assert cleared == begun
    assert not marker.exists()
    assert environments.read_stamp(folder) == environments.environment_stamp([lock])


def test_a_changed_lock_changes_the_stamp(environments: types.ModuleType, tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("a==1", encoding="utf-8")
    before = environments.environment_stamp([lock])
    lock.write_text("a==2", encoding="utf-8")
    assert environments.environment_stamp([lock]) != before


def test_an_older_python_is_told_which_one_is_needed() -> None:
    code = (
        "import sys; sys.version_info = (3, 9, 2); sys.argv = ['environments.py']; "
        "import os; os.environ['SIMDECK_PYTHON_TRIED'] = '1'; "
        f"exec(compile(open({str(ROOT / 'bootstrap' / 'environments.py')!r}).read(), 'environments.py', 'exec'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer, and this is 3.9" in done.stderr
