"""SIGKILL at named points of an install, for one person and for everybody, and while a person's links follow the site."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from appstore_shop import UV, Shop

# The process dies when the step begins, or right before the effect, that the point names.
KILLED = """\
import json, os, signal, sys
from pathlib import Path
from simdeck_appstore.installer import Installer, InstallerSettings
point, action, apps, registry, uv, describe, site = sys.argv[1:8]
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def report(progress):
    if progress.kind == "step" and f"{progress.step}: {progress.message}".startswith(point):
        die()
effects = {"swap": ("os.rename", "/versions/"), "link": ("os.symlink", "versions/"), "current": ("os.rename", "/current"),
           "history": ("os.rename", "/history.json"), "kernel": ("os.rename", "/simdeck-demo"),
           "commands": ("subprocess.Popen", "")}
seen = 0
def hook(event, arguments):
    global seen
    if point.isdigit():
        if event in ("os.rename", "os.symlink", "os.mkdir", "os.remove", "open") and (
            event != "open" or set(str(arguments[1])) & set("wax")
        ):
            seen += 1
            if seen == int(point):
                die()
        return
    wanted = effects.get(point.partition("#")[0])
    if wanted and event == wanted[0] and wanted[1] in " ".join(map(str, arguments)):
        seen += 1
        if seen == int(point.partition("#")[2] or 1):
            die()
umask = os.umask(0o022)
settings = InstallerSettings(registries=[registry], uv=Path(uv), describe_argv=json.loads(describe),
                             site_wide=action == "everybody", site_apps=Path(site) if site else None)
installer = Installer(Path(apps), settings)
sys.addaudithook(hook)
if action == "follow":
    installer.follow_site(lambda app: True)
else:
    installer.install("demo", "2.0.0", report=report)
"""
STEPS = ("download", "build: Installing the app", "verify: Starting", "swap", "current")
MORE = (
    "resolve: Demo", "build: Making", "build: Installing the locked", "verify: Checking", "commands#2", "commands#4",
    "history", "link", "ready",
)  # fmt: skip
POINTS = [(point, "person") for point in STEPS] + [(point, "everybody") for point in ("verify: Starting", "ready")]
if int(os.environ.get("SIMDECK_CHAOS_ROUNDS", "0")) >= 100:
    POINTS += [(point, "person") for point in MORE] + [(point, "everybody") for point in (*STEPS, *MORE[:-1])]


def killed(shop: Shop, point: str, action: str, apps: Path, site: Path | str = "") -> int:
    argv = [
        sys.executable, "-c", KILLED, point, action, str(apps), str(shop.registry), str(UV), json.dumps(shop.describe),
        str(site),
    ]  # fmt: skip
    return subprocess.run(argv, check=False, capture_output=True).returncode


@pytest.fixture(scope="module")
def one(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders to copy: a person's and the site's, each with 1.0.0 installed."""
    base = tmp_path_factory.mktemp("one")
    shop.installer(base / "person").install("demo", "1.0.0")
    umask = os.umask(0o022)
    shop.installer(base / "everybody", site_wide=True).install("demo", "1.0.0")
    os.umask(umask)
    return {name: base / name for name in ("person", "everybody")}


def current(shop: Shop, apps: Path) -> str | None:
    """Clean up as the next start does; return the version that then works, after looking for halves."""
    installer = shop.installer(apps)
    installer.clean()
    left = [path for name in (".staging", ".trash") for path in (apps / name).glob("*")]
    assert left == []
    (app,) = installer.installed()
    versions = sorted(path.name for path in (apps / "demo/versions").iterdir())
    assert versions == sorted(app.versions)
    assert json.loads((apps / "demo/history.json").read_text())["current"] == app.current
    for version in versions:
        python = apps / "demo/versions" / version / "env/bin/python"
        code = "import six, simdeck_demo; print(simdeck_demo.VERSION)"
        answer = subprocess.run([python, "-B", "-c", code], check=True, capture_output=True, text=True)
        assert answer.stdout.strip() == version
    return app.current


@pytest.mark.parametrize(("point", "whose"), POINTS)
def test_a_kill_leaves_the_old_version_or_the_new_one_and_no_half(
    shop: Shop, one: dict[str, Path], tmp_path: Path, point: str, whose: str
) -> None:
    apps = Path(shutil.copytree(one[whose], tmp_path / "apps", symlinks=True))
    assert killed(shop, point, whose, apps) == -signal.SIGKILL
    found = current(shop, apps)
    # What is in its place by the time of the kill is finished by the next start, everything before is thrown away.
    assert found == ("2.0.0" if point in ("link", "current", "ready") else "1.0.0")


def test_what_everybody_has_can_be_read_by_all_as_soon_as_it_is_seen(
    shop: Shop, one: dict[str, Path], tmp_path: Path
) -> None:
    apps = Path(shutil.copytree(one["everybody"], tmp_path / "apps", symlinks=True))
    assert killed(shop, "link", "everybody", apps) == -signal.SIGKILL
    assert (apps / "demo/versions/2.0.0").is_dir()
    for version in (apps / "demo/versions").iterdir():
        closed = [path for path in version.rglob("*") if not path.is_symlink() and not path.stat().st_mode & 0o004]
        assert closed == []


def test_following_the_site_killed_anywhere_is_made_up_for_by_the_next_look(
    shop: Shop, one: dict[str, Path], tmp_path: Path
) -> None:
    site = one["everybody"]
    codes = []
    for number in range(1, 40):
        apps = tmp_path / f"apps{number}"
        codes.append(killed(shop, str(number), "follow", apps, site))
        person = shop.installer(apps, site_apps=site)
        person.clean()
        person.follow_site(lambda app: True)
        (app,) = person.installed()
        assert (app.current, app.versions, app.site_versions) == ("1.0.0", ["1.0.0"], ["1.0.0"])
        assert not person.follow_site(lambda app: True)
        if codes[-1] == 0:
            break
    assert codes[-1] == 0
    assert codes.count(-signal.SIGKILL) > 5
    assert (site / "demo/versions/1.0.0/app.json").is_file()
