"""An install killed with SIGKILL before any of its effects leaves nothing half-made, and the next install works."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from appstore_shop import UV, Shop, ends

# The process dies right before the N-th effect: a rename, link, folder, file opened for writing, or started command.
KILLED = """\
import json, os, signal, sys, threading
from pathlib import Path
from simdeck_appstore.installer import Installer, InstallerSettings
wanted, action, apps, registry, uv, describe = int(sys.argv[1]), *sys.argv[2:6], json.loads(sys.argv[6])
effects = {"os.rename", "os.symlink", "os.mkdir", "os.remove", "shutil.rmtree", "subprocess.Popen", "open"}
installer = Installer(Path(apps), InstallerSettings(registries=[registry], uv=Path(uv), describe_argv=describe))
seen = 0
def counts(event, arguments):
    if event not in effects or wanted == 0:
        return False
    if event == "open":
        path, mode = str(arguments[0]), str(arguments[1])
        return mode != "None" and bool(set(mode) & set("wax")) and "/env/" not in path
    # One by one, the files that rmtree removes (by a folder's descriptor) tell nothing new.
    return event != "os.remove" or arguments[1] == -1
def hook(event, arguments):
    global seen
    if counts(event, arguments):
        seen += 1
        if seen == wanted:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
{
    "update": lambda: installer.install("demo", "2.0.0"),
    "rollback": lambda: installer.rollback("demo"),
    "remove": lambda: installer.remove("demo"),
    "remove-current": lambda: installer.remove("demo", "2.0.0"),
}[action]()
"""


@pytest.fixture(scope="module")
def prepared(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Apps folders to copy: with 1.0.0 installed, with 2.0.0 after it, and with nothing."""
    base = tmp_path_factory.mktemp("prepared")
    (base / "none").mkdir()
    installer = shop.installer(base / "one")
    installer.install("demo", "1.0.0")
    shutil.copytree(base / "one", base / "two", symlinks=True)
    shop.installer(base / "two").install("demo", "2.0.0")
    return {name: base / name for name in ("none", "one", "two")}


def run_killed(shop: Shop, apps: Path, action: str, number: int) -> int:
    argv = [
        sys.executable,
        "-c",
        KILLED,
        str(number),
        action,
        str(apps),
        str(shop.registry),
        str(UV),
        json.dumps(shop.describe),
    ]
    return subprocess.run(argv, check=False).returncode


def check_whole(shop: Shop, apps: Path) -> str | None:
    """After ``clean`` nothing half-made is there; return the current version, which works."""
    installer = shop.installer(apps)
    installer.clean()
    for rubbish in (".staging", ".trash"):
        assert not (apps / rubbish).is_dir() or list((apps / rubbish).iterdir()) == []
    found = installer.installed()
    if not found:
        assert not (apps / "demo").exists()
        return None
    app = found[0]
    assert sorted(path.name for path in (apps / "demo/versions").iterdir()) == sorted(app.versions)
    assert sorted(path.name for path in (apps / "demo").iterdir()) == ["current", "history.json", "versions"]
    assert json.loads((apps / "demo/history.json").read_text())["current"] == app.current
    code = "import six, simdeck_demo; print(simdeck_demo.VERSION)"
    python = apps / "demo/current/env/bin/python"
    answer = subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == app.current
    return app.current


@pytest.mark.parametrize(
    ("start", "action", "before", "after", "every"),
    [
        ("none", "update", None, "2.0.0", 5),
        ("one", "update", "1.0.0", "2.0.0", 4),
        ("two", "rollback", "2.0.0", "1.0.0", 2),
        ("two", "remove-current", "2.0.0", "1.0.0", 2),
        ("one", "remove", "1.0.0", None, 2),
    ],
)
def test_a_change_killed_anywhere_leaves_the_old_state_or_the_new(
    shop: Shop,
    prepared: dict[str, Path],
    tmp_path: Path,
    start: str,
    action: str,
    before: str | None,
    after: str | None,
    every: int,
) -> None:
    states: list[str | None] = []
    for number in range(1, 400, every):
        apps = Path(shutil.copytree(prepared[start], tmp_path / f"apps{number}", symlinks=True))
        code = run_killed(shop, apps, action, number)
        assert code in (0, -signal.SIGKILL)
        state = check_whole(shop, apps)
        assert state in (before, after)
        states.append(state)
        if code == 0:
            break
        shutil.rmtree(apps)
    assert states[-1] == after
    assert len(states) > 3
    # Once the new state has been reached, no later kill brings the old one back.
    assert states == sorted(states, key=lambda state: state == after)


@pytest.mark.parametrize("number", [4, 9, 16])
def test_after_a_killed_install_the_next_one_works_without_a_restart(
    shop: Shop, prepared: dict[str, Path], tmp_path: Path, number: int
) -> None:
    apps = Path(shutil.copytree(prepared["one"], tmp_path / "apps", symlinks=True))
    assert run_killed(shop, apps, "update", number) == -signal.SIGKILL
    app = shop.installer(apps).install("demo", "2.0.0")
    assert (app.current, app.previous) == ("2.0.0", "1.0.0")
    assert check_whole(shop, apps) == "2.0.0"


def test_a_killed_install_takes_its_running_command_with_it(shop: Shop, tmp_path: Path) -> None:
    told = tmp_path / "told"
    os.mkfifo(told)
    uv = tmp_path / "uv"
    uv.write_text(
        f"#!{sys.executable}\nimport os, time\nopen({str(told)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    uv.chmod(0o755)
    argv = [sys.executable, "-c", KILLED, "0", "update", str(tmp_path / "apps"), str(shop.registry), str(uv), "[]"]
    with subprocess.Popen(argv) as process:
        pid = int(told.read_text())
        handle = os.pidfd_open(pid)
        process.kill()
    assert ends(handle)
    os.close(handle)
    assert check_whole(shop, tmp_path / "apps") is None
