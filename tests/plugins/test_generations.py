"""What apps' workflows need comes into a new generation of the workflow backend, or is refused with the reason."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from plugins_wheels import UV, make_backend, says
from simdeck_appstore import generations
from simdeck_appstore.rubbish import remove_tree
from simdeck_common.generations import FOLDER, RECORD, Chosen, all_in, choose, needs_below
from simdeck_common.problems import Problem

INSTALL = """\
import json, sys, time
from pathlib import Path
from simdeck_appstore.installer import Installer, InstallerSettings

apps, registry, python, cache, uv = map(Path, json.loads(sys.argv[1]))

def report(progress):
    if "next generation" in progress.message:
        print(progress.message, flush=True)
        time.sleep(60)

settings = InstallerSettings(registries=[registry], uv=uv, backend_python=python, cache=cache)
Installer(apps, settings).install("sour", report=report)
"""
"""An install that waits to be killed in the middle of a build."""


def chosen(apps: Path, python: Path, *more: Path) -> Chosen:
    return choose(needs_below(apps), [apps, *more], python)


def test_an_app_that_needs_a_package_brings_a_generation_that_has_it(market, tmp_path: Path) -> None:
    market.installer(tmp_path / "apps").install("sour")
    found = chosen(tmp_path / "apps", market.python)
    assert found.lacking == ()
    assert found.python != market.python
    assert (says(found.python, "vinegar"), says(found.python, "honey")) == ("1.0", "2.0")


def test_the_backends_own_packages_are_there_too_and_not_once_more(market, tmp_path: Path) -> None:
    market.installer(tmp_path / "apps").install("sour")
    python = chosen(tmp_path / "apps", market.python).python
    assert says(python, "anchor") == "1.0"
    assert list(python.parents[1].glob("lib/python*/site-packages/anchor*")) == []


def test_a_generation_says_what_is_in_it_and_for_whom(market, tmp_path: Path) -> None:
    market.installer(tmp_path / "apps").install("sour")
    record = json.loads(next((tmp_path / "apps" / FOLDER).glob(f"*/{RECORD}")).read_text())
    assert record["packages"] == {"honey": "2.0", "vinegar": "1.0"}
    assert record["apps"] == [{"app": "sour", "title": "Sour", "version": "1.0.0", "requirements": ["vinegar"]}]


def test_an_app_without_needs_brings_none(market, tmp_path: Path) -> None:
    market.installer(tmp_path / "apps").install("plain")
    assert chosen(tmp_path / "apps", market.python) == Chosen(market.python)
    assert all_in(tmp_path / "apps") == []


def test_the_next_app_is_fitted_to_those_before_it_and_the_old_generation_stays(market, tmp_path: Path) -> None:
    installer = market.installer(tmp_path / "apps")
    installer.install("bitter")
    old = chosen(tmp_path / "apps", market.python).python
    installer.install("sweet")
    new = chosen(tmp_path / "apps", market.python).python
    assert new != old
    assert [says(python, "honey") for python in (old, new)] == ["1.0", "1.0"]


def test_what_is_there_already_stays_as_it_is_where_that_is_possible(market, wheels: Path, tmp_path: Path) -> None:
    installer = market.installer(tmp_path / "apps")
    installer.install("bitter")
    installer.install("sweet")
    installer.remove("bitter")
    assert says(chosen(tmp_path / "apps", market.python).python, "honey") == "1.0"


def test_two_apps_that_contradict_are_told_with_their_requirements(market, tmp_path: Path) -> None:
    installer = market.installer(tmp_path / "apps")
    installer.install("bitter")
    with pytest.raises(Problem) as refusal:
        installer.install("sour")
    problem = refusal.value
    assert problem.code == "backend-contradiction"
    assert "The workflows of Sour need vinegar, but the app Bitter needs honey<2." in problem.detail
    assert "all versions of vinegar depend on honey>=2" in problem.detail
    assert [app.id for app in installer.installed()] == ["bitter"]


def test_an_app_that_contradicts_the_backend_is_told_which_of_its_packages(market, tmp_path: Path) -> None:
    installer = market.installer(tmp_path / "apps")
    with pytest.raises(Problem) as refusal:
        installer.install("salty")
    said = "The workflows of Salty need anchor<1, but the workflow backend of this site needs anchor==1.0."
    assert said in refusal.value.detail
    assert installer.installed() == []


def test_a_package_that_nobody_has_is_named(market, tmp_path: Path) -> None:
    with pytest.raises(Problem) as refusal:
        market.installer(tmp_path / "apps").install("lost")
    assert refusal.value.code == "backend-unresolved"
    assert "no-such-package-anywhere" in refusal.value.detail


def test_a_refusal_leaves_no_half_generation(market, tmp_path: Path) -> None:
    with pytest.raises(Problem):
        market.installer(tmp_path / "apps").install("salty")
    assert [path.name for path in (tmp_path / "apps" / FOLDER).iterdir()] == [".lock"]


def test_a_cancelled_build_leaves_none_either(market, tmp_path: Path) -> None:
    cancelled = threading.Event()

    def report(progress) -> None:
        if "next generation" in progress.message:
            cancelled.set()

    with pytest.raises(Problem, match="cancelled"):
        market.installer(tmp_path / "apps").install("sour", report=report, cancelled=cancelled)
    assert [path.name for path in (tmp_path / "apps" / FOLDER).iterdir()] == [".lock"]
    assert market.installer(tmp_path / "apps").installed() == []


def test_a_generation_that_was_replaced_goes_after_a_while_unless_a_worker_uses_it(market, tmp_path: Path) -> None:
    installer = market.installer(tmp_path / "apps")
    installer.install("bitter")
    installer.install("sweet")
    new, old = all_in(tmp_path / "apps")
    later = time.time() + generations.KEPT_SECONDS + 60
    installer.generations.clean()
    assert all_in(tmp_path / "apps") == [new, old]
    with (old.folder / RECORD).open() as used:
        fcntl.flock(used, fcntl.LOCK_SH)
        installer.generations.clean(later)
        assert all_in(tmp_path / "apps") == [new, old]
    installer.generations.clean(later)
    assert all_in(tmp_path / "apps") == [new]
    assert not old.folder.exists()


def test_when_no_app_needs_one_any_more_the_last_goes_too(market, tmp_path: Path) -> None:
    installer = market.installer(tmp_path / "apps")
    installer.install("bitter")
    installer.remove("bitter")
    assert chosen(tmp_path / "apps", market.python) == Chosen(market.python)
    installer.generations.clean(time.time() + generations.KEPT_SECONDS + 60)
    assert all_in(tmp_path / "apps") == []


def test_what_a_killed_build_left_is_removed_by_the_next_start(market, tmp_path: Path) -> None:
    half = tmp_path / "apps" / FOLDER / ".being-made-x"
    (half / "tree" / "bin").mkdir(parents=True)
    (half / "tree" / RECORD).write_text("{}")
    installer = market.installer(tmp_path / "apps")
    installer.clean()
    assert not half.exists()


def test_a_build_that_is_killed_is_made_again_by_the_next_install(market, tmp_path: Path) -> None:
    script = tmp_path / "install.py"
    script.write_text(INSTALL)
    given = json.dumps([str(tmp_path / "apps"), str(market.registry), str(market.python), str(market.cache), str(UV)])
    process = subprocess.Popen([sys.executable, script, given], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "next generation" in process.stdout.readline()
    process.kill()
    process.communicate()
    assert all_in(tmp_path / "apps") == []
    market.installer(tmp_path / "apps").install("sour")
    assert says(chosen(tmp_path / "apps", market.python).python, "honey") == "2.0"
    assert sorted(path.name[:7] for path in (tmp_path / "apps" / FOLDER).iterdir()) == [".lock", "backend"]


def test_after_an_update_of_the_backend_the_next_generation_is_made_and_the_old_one_serves_until_then(
    market, tmp_path: Path
) -> None:
    apps = tmp_path / "apps"
    market.installer(apps).install("bitter")
    old = chosen(apps, market.python)
    renewed = make_backend(tmp_path / "backend", "anchor", "vinegar")
    assert chosen(apps, renewed) == old
    installer = market.installer(apps, backend_python=renewed)
    with pytest.raises(Problem, match=r"Bitter need honey<2, but the workflow backend of this site needs honey==2.0"):
        installer.renew_backend()
    other = make_backend(tmp_path / "other", "anchor", "honey==1.0")
    assert market.installer(apps, backend_python=other).renew_backend()
    assert not market.installer(apps, backend_python=other).renew_backend()
    assert chosen(apps, other).python != old.python


def test_going_back_to_a_version_brings_what_that_version_needs(market, tmp_path: Path) -> None:
    installer = market.installer(tmp_path / "apps")
    for version in ("1.0.0", "2.0.0"):
        installer.install("twice", version)
    remove_tree(all_in(tmp_path / "apps")[1].folder)
    installer.rollback("twice")
    found = chosen(tmp_path / "apps", market.python)
    assert (found.lacking, says(found.python, "honey")) == ((), "1.0")


def test_a_version_whose_needs_no_longer_fit_is_not_gone_back_to(market, tmp_path: Path) -> None:
    installer = market.installer(tmp_path / "apps")
    for app, version in (("twice", "1.0.0"), ("twice", "2.0.0"), ("sour", None)):
        installer.install(app, version)
    with pytest.raises(Problem, match="the app Sour needs vinegar"):
        installer.rollback("twice")
    assert installer.get("twice").current == "2.0.0"


def test_what_everybody_has_serves_a_person_without_a_copy_of_theirs(market, tmp_path: Path) -> None:
    site = tmp_path / "site"
    market.installer(site, site_wide=True).install("sour")
    person = market.installer(tmp_path / "apps", site_apps=site)
    assert person.follow_site(lambda app: True)
    found = chosen(tmp_path / "apps", market.python, site)
    assert (found.lacking, found.python.is_relative_to(site)) == ((), True)
    assert all_in(tmp_path / "apps") == []
    assert found.python.parents[1].stat().st_mode & 0o077 == 0o055


def test_an_app_for_everybody_that_contradicts_a_persons_own_is_the_one_that_lacks(market, tmp_path: Path) -> None:
    site = tmp_path / "site"
    person = market.installer(tmp_path / "apps", site_apps=site)
    person.install("bitter")
    market.installer(site, site_wide=True).install("sour")
    person.follow_site(lambda app: True)
    found = chosen(tmp_path / "apps", market.python, site)
    assert [need.app for need in found.lacking] == ["sour"]
    assert says(found.python, "honey") == "1.0"
