"""Real installs with uv from a real registry: what ends up on disk, what is refused, what a failure leaves."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from appstore_shop import UV, Shop, ends
from simdeck_appstore.build import build_registry
from simdeck_appstore.installer import Installer
from simdeck_appstore.models import STEPS, Progress
from simdeck_common.problems import Problem
from synthetic import write_app, write_source


@pytest.fixture
def apps(tmp_path: Path) -> Path:
    return tmp_path / "apps"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def nothing_left(apps: Path) -> bool:
    return names(apps / ".staging") == [] and names(apps / ".trash") == []


def refused(installer: Installer, app: str, version: str | None = None) -> Problem:
    with pytest.raises(Problem) as caught:
        installer.install(app, version)
    return caught.value


def value_of(apps: Path, app: str = "demo") -> str:
    """Return what the app's own Python says its version is."""
    python = apps / app / "current/env/bin/python"
    code = f"import six, simdeck_{app} as app; print(app.VERSION)"
    return subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_an_app_is_installed_into_its_own_environment(shop: Shop, apps: Path) -> None:
    app = shop.installer(apps).install("demo", "1.0.0")
    assert (app.id, app.title, app.current, app.versions, app.previous) == ("demo", "Demo", "1.0.0", ["1.0.0"], None)
    assert app.workflows == ["demo.work"]
    assert value_of(apps) == "1.0.0"
    assert nothing_left(apps)


def test_the_steps_are_reported_in_order(shop: Shop, apps: Path) -> None:
    reports: list[Progress] = []
    shop.installer(apps).install("demo", report=reports.append)
    steps = [report.step for report in reports if report.kind == "step"]
    assert list(dict.fromkeys(steps)) == list(STEPS)
    assert sorted(steps, key=STEPS.index) == steps
    assert any(report.kind == "log" and "six==1.17.0" in report.message for report in reports)


def test_a_version_holds_what_opening_it_needs(shop: Shop, apps: Path) -> None:
    shop.installer(apps).install("demo")
    home = apps / "demo/current"
    record = json.loads((home / "app.json").read_text())
    assert (home / record["python"]).is_file()
    assert (home / record["logo_file"]).read_bytes().startswith(b"<svg")
    assert json.loads((home / "workflows.json").read_text()) == {"workflows": [{"name": "demo.work"}]}
    assert (home / "workflows/simdeck_demo/__init__.py").is_file()
    assert not (home / "workflows/six.py").exists()
    assert "six==1.17.0" in (home / "install.log").read_text()
    assert home.resolve().stat().st_mode & 0o077 == 0


def test_no_log_names_a_package_index_or_a_staging_folder(shop: Shop, apps: Path) -> None:
    shop.installer(apps).install("demo")
    log = (apps / "demo/current/install.log").read_text()
    assert "://" not in log
    assert ".staging" not in log


def test_an_update_keeps_the_previous_version_and_roll_back_returns_to_it(shop: Shop, apps: Path) -> None:
    installer = shop.installer(apps)
    installer.install("demo", "1.0.0")
    updated = installer.install("demo")
    assert (updated.current, updated.previous, value_of(apps)) == ("2.0.0", "1.0.0", "2.0.0")
    back = installer.rollback("demo")
    assert (back.current, back.versions, value_of(apps)) == ("1.0.0", ["2.0.0", "1.0.0"], "1.0.0")


def test_an_installed_version_is_switched_to_without_building(shop: Shop, apps: Path) -> None:
    installer = shop.installer(apps)
    installer.install("demo", "1.0.0")
    installer.install("demo", "2.0.0")
    reports: list[Progress] = []
    app = installer.install("demo", "1.0.0", report=reports.append)
    assert (app.current, app.previous) == ("1.0.0", "2.0.0")
    assert "build" not in [report.step for report in reports]


def test_a_rebuilt_app_of_the_same_version_is_installed_anew(tmp_path: Path, shop: Shop, apps: Path) -> None:
    write_app(tmp_path / "demo", source="NEW = False\n")
    source = write_source(tmp_path / "source", {"demo": ["file:../demo"]})
    build_registry(source, tmp_path / "out", simdeck=shop.stand_in)
    installer = shop.installer(apps, registries=[tmp_path / "out"])
    installer.install("demo")
    write_app(tmp_path / "demo", source="NEW = True\n")
    build_registry(source, tmp_path / "out", simdeck=shop.stand_in)
    app = installer.install("demo")
    assert (app.versions, app.previous) == (["1.0.0"], None)
    assert "NEW = True" in next((apps / "demo/current/env").rglob("simdeck_demo/__init__.py")).read_text()
    assert nothing_left(apps)


def test_remove_takes_one_version_or_all(shop: Shop, apps: Path) -> None:
    installer = shop.installer(apps)
    installer.install("demo", "1.0.0")
    installer.install("demo", "2.0.0")
    installer.remove("demo", "2.0.0")
    assert installer.get("demo").versions == ["1.0.0"]
    with pytest.raises(Problem) as caught:
        installer.remove("demo", "2.0.0")
    assert caught.value.code == "version-not-found"
    installer.remove("demo")
    assert installer.installed() == []
    assert not (apps / "demo").exists()
    assert nothing_left(apps)
    with pytest.raises(Problem) as caught:
        installer.remove("demo")
    assert caught.value.code == "app-not-installed"


def test_installed_apps_need_no_registry(shop: Shop, apps: Path, tmp_path: Path) -> None:
    shop.installer(apps).install("demo", "1.0.0")
    shop.installer(apps).install("demo", "2.0.0")
    alone = shop.installer(apps, registries=[tmp_path / "none"])
    assert [app.id for app in alone.installed()] == ["demo"]
    assert alone.install("demo", "1.0.0").current == "1.0.0"
    assert refused(alone, "crash").code == "registry-unreachable"


def test_the_first_registry_that_has_the_app_serves_it(shop: Shop, apps: Path, tmp_path: Path) -> None:
    write_app(tmp_path / "own", "own")
    build_registry(write_source(tmp_path / "source", {"own": ["file:../own"]}), tmp_path / "out", simdeck=shop.stand_in)
    installer = shop.installer(apps, registries=[tmp_path / "out", shop.registry])
    assert installer.install("own").current == "1.0.0"
    assert installer.install("demo").current == "2.0.0"
    assert refused(installer, "nobody").code == "app-not-found"
    assert refused(installer, "demo", "9.9").code == "version-not-found"


@pytest.mark.parametrize(
    ("app", "code", "says"),
    [
        ("crash", "app-broken", "RuntimeError: no licence"),
        ("blind", "app-broken", "lacks ipykernel"),
        ("lacking", "app-broken", "does not hold all that its packages need"),
        ("forged", "install-hash", "six==1.17.0 does not match the checksum"),
        ("ghost", "install-unresolved", "cannot be installed here"),
        ("future", "app-needs-python", "needs Python >=3.99"),
        ("newest", "app-needs-simdeck", "needs Simdeck 99.0 or newer; the registry offers 0.1.0"),
    ],
)
def test_an_app_that_cannot_work_is_refused_and_leaves_nothing(
    shop: Shop, apps: Path, app: str, code: str, says: str
) -> None:
    installer = shop.installer(apps)
    problem = refused(installer, app)
    assert problem.code == code
    assert says in problem.detail
    assert installer.installed() == []
    assert not (apps / app).exists()
    assert nothing_left(apps)
    assert f"failed: {code}" in (apps / f".logs/{app}.log").read_text()


def test_a_failed_update_leaves_the_installed_version(shop: Shop, apps: Path, registry_copy: Path) -> None:
    installer = shop.installer(apps, registries=[registry_copy])
    installer.install("demo", "1.0.0")
    wheel = installer.registries[0].app("demo").releases[0].wheel
    (registry_copy / wheel.path).write_bytes(b"forged")
    assert refused(installer, "demo", "2.0.0").code == "file-changed"
    assert (installer.get("demo").current, value_of(apps)) == ("1.0.0", "1.0.0")
    assert nothing_left(apps)


def test_a_file_that_left_the_registry_is_named(shop: Shop, apps: Path, registry_copy: Path) -> None:
    installer = shop.installer(apps, registries=[registry_copy])
    wheel = installer.registries[0].app("demo").releases[0].wheel
    (registry_copy / wheel.path).unlink()
    assert wheel.name in refused(installer, "demo").detail


@pytest.mark.parametrize(
    "environment", [{"UV_OFFLINE": "1"}, {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}]
)
def test_without_a_network_the_person_is_told_so(
    shop: Shop, apps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name in ("UV_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    problem = refused(shop.installer(apps, cache=tmp_path / "cache"), "demo")
    assert problem.code == "install-offline"
    assert "The log's last lines:" in problem.detail
    assert "127.0.0.1:9" not in problem.detail


def test_workflows_that_are_promised_but_missing_are_refused(shop: Shop, apps: Path) -> None:
    silent = [sys.executable, "-c", "print('{\"workflows\": []}')"]
    problem = refused(shop.installer(apps, describe_argv=silent), "demo")
    assert problem.code == "app-broken"
    assert "its workflow demo.work is not there" in problem.detail


@pytest.mark.parametrize("code", ["raise SystemExit('no backend')", "print('not JSON')"])
def test_workflows_that_cannot_be_read_are_refused(shop: Shop, apps: Path, code: str) -> None:
    problem = refused(shop.installer(apps, describe_argv=[sys.executable, "-c", code]), "demo")
    assert problem.code == "app-broken"
    assert "its workflows cannot be read" in problem.detail


def fake_uv(tmp_path: Path, body: str) -> Path:
    """Write a program that stands in for uv's ``pip`` and otherwise is uv."""
    path = tmp_path / "uv"
    path.write_text(
        f"#!{sys.executable}\nimport os, sys\nif sys.argv[1] != 'pip': os.execv({str(UV)!r}, sys.argv)\n{body}\n"
    )
    path.chmod(0o755)
    return path


def test_a_full_disk_is_named(shop: Shop, apps: Path, tmp_path: Path) -> None:
    uv = fake_uv(tmp_path, "sys.exit('error: failed to write: No space left on device (os error 28)')")
    assert refused(shop.installer(apps, uv=uv), "demo").code == "install-disk-full"
    assert nothing_left(apps)


def test_a_disk_that_fills_up_at_the_last_step_leaves_the_old_version(
    shop: Shop, apps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer = shop.installer(apps)
    installer.install("demo", "1.0.0")

    def full(new: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr("simdeck_appstore.versions.swap", full)
    assert refused(installer, "demo", "2.0.0").code == "install-disk-full"
    assert installer.get("demo").current == "1.0.0"
    assert json.loads((apps / "demo/history.json").read_text()) == {"current": "1.0.0", "earlier": []}
    assert nothing_left(apps)


def test_any_other_failure_shows_the_logs_last_lines(shop: Shop, apps: Path, tmp_path: Path) -> None:
    problem = refused(shop.installer(apps, uv=fake_uv(tmp_path, "sys.exit('error: the moon is full')")), "demo")
    assert problem.code == "install-failed"
    assert "in the step “build”" in problem.detail
    assert "the moon is full" in problem.detail


def test_commands_of_an_install_see_mirrors_but_no_tokens(
    shop: Shop, apps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_TEST_MIRROR", "yes")
    monkeypatch.setenv("PIP_TEST_MIRROR", "yes")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    told = tmp_path / "environment.json"
    uv = fake_uv(tmp_path, f"import json; json.dump(dict(os.environ), open({str(told)!r}, 'w')); sys.exit(1)")
    refused(shop.installer(apps, uv=uv), "demo")
    environment = json.loads(told.read_text())
    assert (environment["UV_TEST_MIRROR"], environment["PIP_TEST_MIRROR"]) == ("yes", "yes")
    assert "JUPYTERHUB_API_TOKEN" not in environment
    assert "secret" not in environment.values()


def in_thread(installer: Installer, **arguments: Any) -> tuple[threading.Thread, list[object]]:
    """Install ``demo`` in a thread; the list gets the app or the problem."""
    result: list[object] = []

    def work() -> None:
        try:
            result.append(installer.install("demo", **arguments))
        except Problem as problem:
            result.append(problem)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, result


def test_a_second_install_of_the_same_app_is_refused_while_one_runs(shop: Shop, apps: Path) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def report(progress: Progress) -> None:
        if progress.step == "build":
            reached.set()
            assert go_on.wait(60)

    thread, result = in_thread(shop.installer(apps), report=report)
    assert reached.wait(60)
    try:
        other = shop.installer(apps)
        assert refused(other, "demo").code == "app-busy"
        other.clean()
        assert len(names(apps / ".staging")) == 1
    finally:
        go_on.set()
        thread.join()
    assert not isinstance(result[0], Problem)


def gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until_gone(pid: int) -> None:
    """Wait (at most a minute) until the process is no more, without polling."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert gone(pid) or ends(handle)
    os.close(handle)


SLOW = """\
import subprocess
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print('pids', os.getpid(), child.pid, flush=True)
child.wait()
"""


def test_cancel_ends_uv_and_what_it_started(shop: Shop, apps: Path, tmp_path: Path) -> None:
    cancelled, pids = threading.Event(), list[int]()

    def report(progress: Progress) -> None:
        if progress.message.startswith("pids "):
            pids.extend(int(word) for word in progress.message.split()[1:])
            cancelled.set()

    installer = shop.installer(apps, uv=fake_uv(tmp_path, SLOW))
    with pytest.raises(Problem) as caught:
        installer.install("demo", report=report, cancelled=cancelled)
    assert caught.value.code == "install-cancelled"
    assert len(pids) == 2
    for pid in pids:
        wait_until_gone(pid)
    assert nothing_left(apps)
    assert not (apps / "demo").exists()
    assert shop.installer(apps).install("demo").current == "2.0.0"


@pytest.mark.parametrize("step", ["resolve", "download", "build", "verify"])
def test_cancel_works_in_every_step(shop: Shop, apps: Path, step: str) -> None:
    cancelled = threading.Event()

    def report(progress: Progress) -> None:
        if progress.step == step:
            cancelled.set()

    with pytest.raises(Problem) as caught:
        shop.installer(apps).install("demo", report=report, cancelled=cancelled)
    assert caught.value.code == "install-cancelled"
    assert nothing_left(apps)
    assert not (apps / "demo").exists()


def test_clean_removes_what_was_left_and_keeps_what_works(shop: Shop, apps: Path) -> None:
    installer = shop.installer(apps)
    installer.install("demo")
    (apps / ".staging/demo.0123/tree/env").mkdir(parents=True)
    (apps / ".trash").mkdir(exist_ok=True)
    shutil.copytree(apps / "demo", apps / ".trash/other.4567", symlinks=True)
    (apps / ".jupyter/kernels").mkdir(parents=True)
    (apps / ".jupyter/kernels/simdeck-other").symlink_to("../../other/current/kernel")
    installer.clean()
    assert nothing_left(apps)
    assert names(apps / ".jupyter/kernels") == []
    assert value_of(apps) == "2.0.0"


def test_clean_of_a_user_without_apps_does_nothing(shop: Shop, apps: Path) -> None:
    shop.installer(apps).clean()
    assert not apps.exists()
