"""What apps' workflows need comes into a new generation of the workflow backend, or is refused with the reason."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from plugins_wheels import says
from simdeck_common.generations import FOLDER, RECORD, Chosen, all_in, choose, needs_below
from simdeck_common.problems import Problem


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
