"""An app's own checks, run by an install: what they are given, and how one that fails refuses the app."""

from __future__ import annotations

import json
import os
import threading
from contextlib import closing
from pathlib import Path

import pytest
from appstore_shop import Shop, ends
from simdeck_appstore import installation
from simdeck_appstore.build import build_registry
from simdeck_appstore.installer import Installer
from simdeck_common.problems import Problem
from synthetic import write_app, write_source


class Offer:
    """A registry with one app, ``demo``, whose check is given as source; and the apps of one user."""

    def __init__(self, shop: Shop, base: Path) -> None:
        self.shop, self.base, self.apps = shop, base, base / "apps"

    def installer(self, check: str) -> Installer:
        write_app(self.base / "demo", check=check)
        source = write_source(self.base / "source", {"demo": ["file:../demo"]})
        report = build_registry(source, self.base / "registry", simdeck=self.shop.stand_in)
        assert report.problems == []
        return self.shop.installer(self.apps, registries=[self.base / "registry"])

    def refused(self, check: str) -> Problem:
        with pytest.raises(Problem) as caught:
            self.installer(check).install("demo")
        assert not (self.apps / "demo").exists()
        assert list((self.apps / ".staging").iterdir()) == []
        return caught.value


@pytest.fixture
def offer(shop: Shop, tmp_path: Path) -> Offer:
    return Offer(shop, tmp_path)


def test_a_check_runs_in_the_apps_environment_and_an_empty_private_folder(
    offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    told = offer.base / "told.json"
    offer.installer(
        "import json, os, six, sys\n"
        "told = [sys.prefix, os.getcwd(), os.listdir(), os.stat('.').st_mode & 0o777, dict(os.environ)]\n"
        f"json.dump(told, open({str(told)!r}, 'w'))\nprint('all is well')\n"
    ).install("demo")
    prefix, folder, files, mode, environment = json.loads(told.read_text())
    assert prefix.startswith(str(offer.apps / ".staging/demo."))
    assert prefix.endswith("/tree/env")
    assert (files, mode) == ([], 0o700)
    assert not Path(folder).exists()
    assert "secret" not in environment.values()
    assert "all is well" in (offer.apps / "demo/current/install.log").read_text()


def test_a_check_that_fails_refuses_the_app_with_its_last_line(offer: Offer) -> None:
    problem = offer.refused("import sys\nprint('looking')\nsys.exit('libgomp.so.1 is missing.')\n")
    assert problem.code == "app-does-not-start"
    assert problem.detail.startswith("Demo 1.0.0 does not start on this machine: libgomp.so.1 is missing.\n")
    assert "looking" in problem.detail
    assert problem.remedy
    log = (offer.apps / ".logs/demo.log").read_text()
    assert "libgomp.so.1 is missing" in log
    assert "failed: app-does-not-start" in log


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ("raise ImportError('no engine')", "ImportError: no engine"),
        ("import sys; sys.exit(7)", "its check ended with code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "its check was ended by SIGILL"),
    ],
)
def test_however_a_check_fails_the_reason_is_given(offer: Offer, check: str, says: str) -> None:
    problem = offer.refused(check)
    assert problem.code == "app-does-not-start"
    assert f"does not start on this machine: {says}." in problem.detail


def test_a_check_that_does_not_end_refuses_the_app(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "CHECK_SECONDS", 0.5)
    problem = offer.refused("import threading; threading.Event().wait()")
    assert "its check did not end within 0.5 seconds" in problem.detail


def test_an_update_whose_check_fails_leaves_the_installed_version(offer: Offer) -> None:
    installer = offer.installer("")
    installer.install("demo")
    write_app(offer.base / "demo", version="2.0.0", check="raise SystemExit('not here')")
    build_registry(offer.base / "source", offer.base / "registry", simdeck=offer.shop.stand_in)
    with pytest.raises(Problem):
        installer.install("demo")
    assert installer.get("demo").versions == ["1.0.0"]


def test_cancel_ends_a_check_that_runs(offer: Offer) -> None:
    pipe, cancelled = offer.base / "pipe", threading.Event()
    os.mkfifo(pipe)
    installer = offer.installer(
        f"import os, threading\nopen({str(pipe)!r}, 'w').write(str(os.getpid()))\nthreading.Event().wait()\n"
    )
    pid: list[int] = []

    def cancel() -> None:
        # Opening waits until the check has opened its end.
        pid.append(int(pipe.read_text()))
        handles.append(os.pidfd_open(pid[0]))
        cancelled.set()

    handles: list[int] = []
    thread = threading.Thread(target=cancel, daemon=True)
    thread.start()
    with pytest.raises(Problem) as caught:
        installer.install("demo", cancelled=cancelled)
    thread.join(60)
    assert caught.value.code == "install-cancelled"
    with closing(os.fdopen(handles[0])) as handle:
        assert ends(handle.fileno())
    assert not (offer.apps / "demo").exists()
