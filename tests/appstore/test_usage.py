"""Disk use of apps: every file once, shared files told apart, what is for everybody counts for nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from simdeck_appstore.usage import Usage, measure


def version(apps: Path, name: str, number: str, size: int = 8192) -> Path:
    home = apps / name / "versions" / number
    home.mkdir(parents=True)
    (home / "app.json").write_text("{}")
    (home / "data").write_bytes(os.urandom(size))
    return home


@pytest.fixture
def apps(tmp_path: Path) -> Path:
    return tmp_path / "apps"


def test_apps_are_listed_by_size_with_their_versions(apps: Path) -> None:
    version(apps, "small", "1.0")
    version(apps, "large", "1.0", 400_000)
    version(apps, "large", "2.0")
    large, small = Usage().of(apps)
    assert (large.app, [one.version for one in large.versions], small.app) == ("large", ["2.0", "1.0"], "small")
    assert large.size > 400_000 > small.size > 8192


def test_a_file_with_two_names_counts_once(apps: Path) -> None:
    home = version(apps, "wave", "1.0", 100_000)
    before = measure(home)
    os.link(home / "data", home / "again")
    assert measure(home) == before


def test_what_a_cache_shares_is_no_own_use(apps: Path, tmp_path: Path) -> None:
    home = version(apps, "wave", "1.0", 100_000)
    os.link(home / "data", tmp_path / "cache")
    size, own = measure(home)
    assert size - own >= 100_000


def test_links_are_not_followed(apps: Path, tmp_path: Path) -> None:
    home = version(apps, "wave", "1.0")
    (tmp_path / "elsewhere").write_bytes(os.urandom(300_000))
    (home / "link").symlink_to(tmp_path / "elsewhere")
    assert measure(home)[0] < 100_000


def test_what_is_for_everybody_counts_for_nobody(apps: Path, tmp_path: Path) -> None:
    theirs = version(tmp_path / "site", "wave", "1.0", 300_000)
    version(apps, "wave", "2.0")
    (apps / "wave/versions/1.0").symlink_to(theirs)
    (wave,) = Usage().of(apps)
    assert wave.size < 100_000
    assert [(one.version, one.site) for one in wave.versions] == [("2.0", False), ("1.0", True)]


def test_an_installed_version_is_measured_once(apps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version(apps, "wave", "1.0")
    usage = Usage()
    first = usage.of(apps)
    monkeypatch.setattr("simdeck_appstore.usage.measure", lambda tree: (0, 0))
    assert usage.of(apps) == first
