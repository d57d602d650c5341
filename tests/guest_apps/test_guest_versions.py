"""Guest versions on disk: there and openable, on no list, and gone again; keeping one makes it the person's own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from appstore_shop import Shop
from simdeck_appstore.installer import Installer
from simdeck_appstore.policy import AppPolicy
from simdeck_appstore.site_wide import follow_site
from simdeck_appstore.versions import AppFolder
from simdeck_common import guests
from simdeck_common.problems import Problem


@pytest.fixture(scope="module")
def prepared(small_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of apps with a guest version and nothing else."""
    apps = tmp_path_factory.mktemp("prepared") / "apps"
    small_shop.installer(apps).install_guest("demo", "1.0.0")
    return apps


@pytest.fixture
def installer(prepared: Path, small_shop: Shop, tmp_path: Path) -> Installer:
    """An installer over a copy of it."""
    return small_shop.installer(Path(shutil.copytree(prepared, tmp_path / "apps", symlinks=True)))


def refusal(call: object, *arguments: object, **more: object) -> str:
    with pytest.raises(Problem) as caught:
        call(*arguments, **more)  # type: ignore[operator]
    return caught.value.code


def test_a_guest_version_can_be_opened_and_is_on_no_list(installer: Installer) -> None:
    assert installer.installed() == []
    assert refusal(installer.get, "demo") == "app-not-installed"
    assert [(one.app, one.version, one.title) for one in installer.guests()] == [("demo", "1.0.0", "Demo")]
    assert (installer.apps / "demo/current/env/bin/python").exists()


def test_keeping_a_guest_version_builds_nothing_anew(installer: Installer) -> None:
    before = (installer.apps / "demo/versions/1.0.0").stat().st_ino
    kept = installer.install("demo", "1.0.0")
    assert (kept.current, kept.versions) == ("1.0.0", ["1.0.0"])
    assert installer.guests() == []
    assert (installer.apps / "demo/versions/1.0.0").stat().st_ino == before
    assert not installer.remove_guest("demo", "1.0.0")


def test_an_own_version_comes_before_the_guest_and_does_not_go_back_to_it(installer: Installer) -> None:
    own = installer.install("demo", "2.0.0", beside=True)
    assert (own.current, own.versions, own.previous) == ("2.0.0", ["2.0.0"], None)
    assert refusal(installer.rollback, "demo") == "no-previous-version"


def test_a_guest_lies_beside_the_version_in_use_and_stays_when_that_is_removed(
    small_shop: Shop, installer: Installer
) -> None:
    installer.install("demo", "2.0.0")
    installer.remove("demo")
    assert installer.installed() == []
    assert [one.version for one in installer.guests()] == ["1.0.0"]
    assert AppFolder(installer.apps, "demo").current() == "1.0.0"


def test_a_guest_version_is_removed_with_all_that_it_brought(installer: Installer) -> None:
    assert installer.remove_guest("demo", "1.0.0")
    assert installer.guests() == []
    assert not (installer.apps / "demo").exists()
    assert not (installer.apps / ".jupyter/kernels/simdeck-demo").is_symlink()


def test_a_guest_version_with_a_page_open_is_not_removed(installer: Installer) -> None:
    home = installer.apps / "demo/versions/1.0.0"
    held = guests.hold(home)
    assert held is not None
    assert not installer.remove_guest("demo", "1.0.0")
    os.close(held)
    assert installer.remove_guest("demo", "1.0.0")


def test_own_versions_are_not_held(installer: Installer) -> None:
    installer.install("demo", "1.0.0")
    assert guests.hold(installer.apps / "demo/versions/1.0.0") is None


def test_a_guest_that_the_site_does_not_offer_is_refused_and_leaves_nothing(small_shop: Shop, tmp_path: Path) -> None:
    for policy, code in (
        ({"deny": ["demo"]}, "app-not-found"),
        ({"rules": [{"app": "demo", "retired": ["1.0.0"]}]}, "version-not-offered"),
        ({"plugins": "admin"}, "app-needs-admin"),
    ):
        installer = small_shop.installer(tmp_path / "apps", policy=AppPolicy.model_validate(policy))
        assert refusal(installer.install_guest, "demo", "1.0.0") == code
        assert not (installer.apps / "demo").exists()


def test_a_guest_that_cannot_be_built_leaves_nothing(small_shop: Shop, tmp_path: Path) -> None:
    installer = small_shop.installer(tmp_path / "apps")
    assert refusal(installer.install_guest, "crash", small_shop_version(small_shop, "crash")) == "app-broken"
    assert not (installer.apps / "crash").exists()
    assert installer.guests() == []


def small_shop_version(shop: Shop, app: str) -> str:
    return shop.installer(Path("/nowhere")).registries[0].app(app).latest


def test_a_note_of_a_kill_before_the_version_came_means_nothing(installer: Installer, small_shop: Shop) -> None:
    # The note is written first; what never arrived is no guest, and an own install of that version is one's own.
    AppFolder(installer.apps, "demo").mark_guest("2.0.0")
    installer.clean()
    assert [one.version for one in installer.guests()] == ["1.0.0"]
    assert installer.install("demo", "2.0.0").versions == ["2.0.0"]


def test_what_is_installed_for_everybody_comes_before_a_guest(
    installer: Installer, small_shop: Shop, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    small_shop.installer(site, site_wide=True).install("demo", "2.0.0")
    assert follow_site(installer.apps, site, lambda app: True)
    assert installer.get("demo").current == "2.0.0"
    assert installer.get("demo").versions == ["2.0.0"]
