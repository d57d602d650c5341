"""Apps installed for everybody: one read-only copy, found by each person among their own; personal ones beside."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from appstore_shop import Shop
from simdeck_appstore.installer import Installer
from simdeck_appstore.policy import AppPolicy
from simdeck_appstore.rubbish import remove_tree
from simdeck_appstore.versions import AppFolder
from simdeck_common.problems import Problem


def everything(app: str) -> bool:
    return True


class World:
    """A site's folder and two people's, over one shop."""

    def __init__(self, shop: Shop, base: Path) -> None:
        self.shop = shop
        self.base = base
        self.site = base / "site"
        umask = os.umask(0o022)
        self.admin = shop.installer(self.site, site_wide=True)
        self.admin.install("demo", "1.0.0")
        os.umask(umask)

    def person(self, name: str, **changes: object) -> Installer:
        return self.shop.installer(self.base / name, site_apps=self.site, **changes)


@pytest.fixture(scope="module")
def made(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(shop, tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    """A copy of the site's folder; its programs go on saying where they were made, which does no harm here."""
    copy = object.__new__(World)
    copy.shop, copy.base, copy.site = made.shop, tmp_path, tmp_path / "site"
    shutil.copytree(made.site, copy.site, symlinks=True)
    copy.admin = made.shop.installer(copy.site, site_wide=True)
    return copy


def refused(action: object, *arguments: object) -> Problem:
    with pytest.raises(Problem) as caught:
        action(*arguments)  # type: ignore[operator]
    return caught.value


def second_version(world: World) -> None:
    """Let a second version stand in the site's folder, as an install leaves it."""
    home = world.site / "demo" / "versions"
    shutil.copytree(home / "1.0.0", home / "2.0.0", symlinks=True)
    record = home / "2.0.0" / "app.json"
    text = record.read_text().replace('"version": "1.0.0"', '"version": "2.0.0"')
    record.chmod(0o644)
    record.write_text(text)
    AppFolder(world.site, "demo").switch("2.0.0")


def test_the_copy_can_be_read_by_all_and_written_by_nobody(made: World) -> None:
    home = made.site / "demo" / "versions" / "1.0.0"
    for here, folders, names in os.walk(home):
        assert os.stat(here).st_mode & 0o055 == 0o055, here
        for name in [*folders, *names]:
            path = Path(here, name)
            if not path.is_symlink():
                assert path.stat().st_mode & 0o004, path
    written = [path for path in home.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o222]
    assert written == []
    assert stat.S_IMODE(made.site.stat().st_mode) == 0o755


def test_nothing_of_the_copy_hangs_on_the_installers_cache(made: World) -> None:
    home = made.site / "demo" / "versions" / "1.0.0"
    shared = [path for path in home.rglob("*.py") if path.is_file() and path.stat().st_nlink > 1]
    assert shared == []
    assert list(home.rglob("__pycache__/six.*.pyc")) != []


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_every_person_has_it_at_once(made: World, name: str) -> None:
    person = made.person(name)
    assert person.follow_site(everything)
    (app,) = person.installed()
    assert (app.id, app.current, app.versions, app.site_versions) == ("demo", "1.0.0", ["1.0.0"], ["1.0.0"])
    python = made.base / name / "demo/current/env/bin/python"
    answer = subprocess.run([python, "-c", "import simdeck_demo; print(simdeck_demo.VERSION)"], capture_output=True)
    assert answer.stdout.strip() == b"1.0.0"
    assert (made.base / name / "demo/current/workflows.json").is_file()
    spec = made.base / name / ".jupyter/kernels/simdeck-demo"
    assert not spec.exists() or str(made.site) in (spec / "kernel.json").read_text()


def test_following_again_changes_nothing(world: World) -> None:
    person = world.person("alice")
    assert person.follow_site(everything)
    before = (world.base / "alice/demo/history.json").stat().st_mtime_ns
    assert not person.follow_site(everything)
    assert (world.base / "alice/demo/history.json").stat().st_mtime_ns == before


def test_a_new_version_for_everybody_becomes_current(world: World) -> None:
    person = world.person("alice")
    person.follow_site(everything)
    second_version(world)
    assert person.follow_site(everything)
    app = person.get("demo")
    assert (app.current, app.versions, app.previous) == ("2.0.0", ["2.0.0", "1.0.0"], "1.0.0")


def test_who_has_gone_back_stays_there(world: World) -> None:
    person = world.person("alice")
    person.follow_site(everything)
    second_version(world)
    person.follow_site(everything)
    person.rollback("demo")
    person.follow_site(everything)
    assert person.get("demo").current == "1.0.0"


def test_a_pinned_app_stays_at_its_version(world: World) -> None:
    person = world.person("alice")
    person.follow_site(everything)
    second_version(world)
    person.follow_site(everything, lambda app: app == "demo")
    app = person.get("demo")
    assert (app.current, app.versions) == ("1.0.0", ["2.0.0", "1.0.0"])
    assert not person.follow_site(everything, lambda app: app == "demo")


def test_a_personal_version_stands_beside_and_stays_current(world: World) -> None:
    person = world.person("alice")
    person.follow_site(everything)
    app = person.install("demo", "2.0.0")
    assert (app.current, app.versions, app.site_versions) == ("2.0.0", ["2.0.0", "1.0.0"], ["1.0.0"])
    assert not person.follow_site(everything)
    assert person.get("demo").current == "2.0.0"


def test_installing_what_everybody_has_makes_no_second_copy(world: World) -> None:
    person = world.person("alice")
    person.follow_site(everything)
    assert person.install("demo", "1.0.0").site_versions == ["1.0.0"]


def test_one_person_cannot_remove_what_everybody_has(world: World) -> None:
    person = world.person("alice")
    person.follow_site(everything)
    assert refused(person.remove, "demo").code == "app-site-wide"
    assert refused(person.remove, "demo", "1.0.0").code == "app-site-wide"
    assert (world.site / "demo/versions/1.0.0/app.json").is_file()


def test_removing_an_app_removes_the_persons_own_versions_alone(world: World) -> None:
    person = world.person("alice")
    person.follow_site(everything)
    person.install("demo", "2.0.0")
    person.remove("demo")
    app = person.get("demo")
    assert (app.current, app.versions) == ("1.0.0", ["1.0.0"])
    assert (world.site / "demo/versions/1.0.0/app.json").is_file()


def test_what_the_administrator_removes_is_gone_for_all(world: World) -> None:
    alice, bob = world.person("alice"), world.person("bob")
    for person in (alice, bob):
        person.follow_site(everything)
    bob.install("demo", "2.0.0")
    world.admin.remove("demo")
    assert alice.follow_site(everything)
    assert bob.follow_site(everything)
    assert alice.installed() == []
    assert bob.get("demo").versions == ["2.0.0"]
    assert not (world.base / "alice" / "demo").exists()


def test_an_app_is_taken_from_who_may_not_see_it_any_more(world: World) -> None:
    person = world.person("alice")
    person.follow_site(everything)
    assert person.follow_site(lambda app: False)
    assert person.installed() == []
    assert (world.site / "demo/versions/1.0.0/app.json").is_file()


def test_cleaning_up_touches_nothing_of_the_site(world: World) -> None:
    person = world.person("alice")
    person.follow_site(everything)
    before = {path: path.lstat().st_mtime_ns for path in (world.site / "demo").rglob("*")}
    person.clean()
    assert {path: path.lstat().st_mtime_ns for path in (world.site / "demo").rglob("*")} == before
    assert person.get("demo").current == "1.0.0"


def test_deleting_a_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    remove_tree(tmp_path / "link")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "theirs").is_dir()


def test_without_a_folder_for_all_there_is_nothing_to_follow(shop: Shop, tmp_path: Path) -> None:
    assert not shop.installer(tmp_path / "apps").follow_site(everything)
    assert not shop.installer(tmp_path / "apps", site_apps=tmp_path / "none").follow_site(everything)


def test_workflows_come_by_administrators_alone_where_the_policy_says_so(shop: Shop, tmp_path: Path) -> None:
    policy = AppPolicy.model_validate({"plugins": "admin"})
    problem = refused(shop.installer(tmp_path / "apps", policy=policy).install, "demo", "1.0.0")
    assert (problem.code, problem.status) == ("app-needs-admin", 403)
    assert "simdeck admin apps install demo" in problem.remedy
    assert shop.installer(tmp_path / "apps").installed() == []
