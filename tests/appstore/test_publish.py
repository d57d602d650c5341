"""`simdeck app publish` end to end: into a signed folder and into a git repository, then installed from the result."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from appstore_shop import UV, Shop
from simdeck_appstore.build import build_registry
from simdeck_appstore.developer import apps_yaml
from simdeck_appstore.developer.check import Check, CheckRecord, CheckSettings
from simdeck_appstore.developer.new import create
from simdeck_appstore.developer.publish import is_git, propose, push
from simdeck_appstore.developer.registry_check import check_registry
from simdeck_appstore.developer.release import MadeRelease, make_release
from simdeck_appstore.installer import Installer, InstallerSettings
from simdeck_appstore.models import AiidalabEntry
from simdeck_appstore.registry import Registry
from simdeck_appstore.registry_new import create_registry
from simdeck_common.problems import Problem
from synthetic import write_app, write_source

PYTHON = Path(sys.executable)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A registry's source folder, signed with keys of its own."""
    create_registry(tmp_path / "site", "Apps of a test")
    return tmp_path / "site" / "source"


def release_of(tmp_path: Path, version: str = "1.0.0", **changes: Any) -> MadeRelease:
    project = write_app(tmp_path / f"demo-{version}", version=version, **changes)
    return make_release(project, project / "dist", PYTHON)


def checked(shop: Shop, release: MadeRelease) -> CheckRecord:
    settings = CheckSettings(uv=UV, describe_argv=shop.describe, simdeck=shop.stand_in)
    return Check(release.wheel.parents[1], settings, release.wheel).run()


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Maintainer", "-c", "user.email=m@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A registry that is a git repository, with one app in it and a comment to keep."""
    folder = write_source(tmp_path / "repository", {})
    other = make_release(write_app(tmp_path / "other", "other"), tmp_path / "other" / "dist", PYTHON)
    (folder / "releases").mkdir()
    (folder / "releases" / other.wheel.name).write_bytes(other.wheel.read_bytes())
    text = f"# Reviewed by two people.\nother:\n  releases:\n    - file:releases/{other.wheel.name}  # first\n"
    (folder / "apps.yaml").write_text(text)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Begin")
    return folder


# --- the release ------------------------------------------------------------------------------------------------------


def test_a_release_is_one_wheel_that_a_registry_can_read_alone(tmp_path: Path, shop: Shop) -> None:
    release = release_of(tmp_path)
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / release.wheel.name).write_bytes(release.wheel.read_bytes())
    source = write_source(tmp_path / "source", {"demo": [f"file:../alone/{release.wheel.name}"]})
    report = build_registry(source, tmp_path / "built", simdeck=shop.stand_in)
    assert report.problems == []
    assert Registry(tmp_path / "built").app("demo").logo is not None


def test_the_same_project_gives_the_same_wheel_and_its_hashes_are_written_beside_it(tmp_path: Path) -> None:
    release = release_of(tmp_path)
    before = release.wheel.read_bytes()
    again = make_release(release.wheel.parents[1], release.wheel.parent, PYTHON)
    assert again.wheel.read_bytes() == before
    said = json.loads((release.wheel.parent / "demo-1.0.0.json").read_text())
    assert said["file"]["sha256"] == release.wheel_sha256


def test_paths_may_be_relative(tmp_path: Path, site: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    write_app(tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    release = make_release(Path("demo"), Path("demo/dist"), PYTHON)
    assert push(release, Path("site/source"), None, simdeck=shop.stand_in).problems == []


def test_the_wheels_own_list_of_files_is_complete(tmp_path: Path) -> None:
    with zipfile.ZipFile(release_of(tmp_path).wheel) as wheel:
        record = next(name for name in wheel.namelist() if name.endswith("RECORD"))
        listed = [line.split(",")[0] for line in wheel.read(record).decode().splitlines()]
        assert sorted(listed) == sorted(wheel.namelist())


# --- a registry's folder ----------------------------------------------------------------------------------------------


def test_a_published_app_is_installed_from_the_signed_registry(site: Path, tmp_path: Path, shop: Shop) -> None:
    release = release_of(tmp_path)
    report = push(release, site, checked(shop, release), simdeck=shop.stand_in)
    assert [entry.id for entry in report.index.apps] == ["demo"]
    registry = Registry(site.parent / "built", root=site.parent / "keys" / "root.json", trust=tmp_path / "trust")
    found = registry.app("demo").releases[0]
    assert found.check is not None
    assert found.check.passed
    assert found.check.simdeck == version("simdeck")
    assert {"install", "licences"} <= {item.name for item in found.check.items}
    installer = Installer(
        tmp_path / "apps", InstallerSettings(registries=[site.parent / "built"], uv=UV, describe_argv=shop.describe)
    )
    assert installer.install("demo").current == "1.0.0"


def test_a_second_version_is_added_and_the_first_is_taken_over_unbuilt(site: Path, tmp_path: Path, shop: Shop) -> None:
    push(release_of(tmp_path), site, None, simdeck=shop.stand_in)
    report = push(release_of(tmp_path, "2.0.0"), site, None, simdeck=shop.stand_in)
    assert (report.built, report.reused) == (["demo 2.0.0"], ["demo 1.0.0"])
    assert Registry(site.parent / "built").app("demo").latest == "2.0.0"


def test_a_version_is_published_once(site: Path, tmp_path: Path, shop: Shop) -> None:
    push(release_of(tmp_path), site, None, simdeck=shop.stand_in)
    with pytest.raises(Problem) as caught:
        push(release_of(tmp_path, source="import six  # changed\n"), site, None, simdeck=shop.stand_in)
    assert caught.value.code == "version-published"


def test_what_the_registry_refuses_changes_nothing(site: Path, tmp_path: Path, shop: Shop) -> None:
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    release = release_of(tmp_path, manifest={"categories": ["astrology"]})
    with pytest.raises(Problem) as caught:
        push(release, site, None, simdeck=shop.stand_in)
    assert "has no category astrology" in caught.value.detail
    after = {path: path.read_bytes() for path in site.rglob("*") if path.is_file() and path.name != ".publish.lock"}
    assert after == before


def test_a_record_of_another_wheel_is_not_shown(site: Path, tmp_path: Path, shop: Shop) -> None:
    release = release_of(tmp_path)
    record = CheckRecord(app="demo", version="1.0.0", wheel_sha256="0" * 64, when="2026-01-01T00:00:00Z")
    push(release, site, record, simdeck=shop.stand_in)
    assert Registry(site.parent / "built").app("demo").releases[0].check is None


def test_a_folder_without_lists_is_no_registry(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        push(release_of(tmp_path), tmp_path, None, simdeck=None)
    assert caught.value.code == "not-a-registry"


def test_an_aiidalab_app_is_published_as_it_is_and_installed(site: Path, tmp_path: Path, shop: Shop) -> None:
    project = create(tmp_path / "aiidalab-cells", "cells", "aiidalab")
    (project / "setup.cfg").write_text((project / "setup.cfg").read_text().replace("    ase\n", ""))
    release = make_release(project, project / "dist", PYTHON)
    assert make_release(project, project / "dist", PYTHON).wheel_sha256 == release.wheel_sha256
    assert (release.app, release.version, release.wheel.name) == ("cells", "0.1.0", "cells-0.1.0.tar.gz")
    push(release, site, None, simdeck=shop.stand_in)
    installer = Installer(
        tmp_path / "apps", InstallerSettings(registries=[site.parent / "built"], uv=UV, describe_argv=shop.describe)
    )
    entry = installer.install("cells").entry
    assert isinstance(entry, AiidalabEntry)
    assert entry.pages == ["app.ipynb"]


def test_an_aiidalab_app_without_a_version_is_told_so(tmp_path: Path) -> None:
    project = create(tmp_path / "cells", "cells", "aiidalab")
    (project / "setup.cfg").write_text((project / "setup.cfg").read_text().replace("version = 0.1.0\n", ""))
    with pytest.raises(Problem) as caught:
        make_release(project, project / "dist", PYTHON)
    assert "says no version" in caught.value.detail


def test_a_registry_checks_what_has_no_record_and_the_next_build_shows_it(
    site: Path, tmp_path: Path, shop: Shop
) -> None:
    push(release_of(tmp_path), site, None, simdeck=shop.stand_in)
    built = site.parent / "built"
    settings = CheckSettings(uv=UV, describe_argv=shop.describe, simdeck=shop.stand_in)
    assert [one.record.passed for one in check_registry(site, built, settings) if one.record] == [True]
    build_registry(site, built, simdeck=shop.stand_in, keys=site.parent / "keys")
    check = Registry(built).app("demo").releases[0].check
    assert check is not None
    assert check.passed
    assert list(check_registry(site, built, settings)) == []


# --- a git repository -------------------------------------------------------------------------------------------------


def test_the_patch_is_taken_over_by_the_maintainer_and_installed(repository: Path, tmp_path: Path, shop: Shop) -> None:
    release = release_of(tmp_path)
    proposal = propose(release, str(repository), checked(shop, release), tmp_path / "out")
    assert git(repository, "status", "--porcelain") == ""
    git(repository, "am", "--quiet", str(proposal.patch))
    assert "# Reviewed by two people." in (repository / "apps.yaml").read_text()
    report = build_registry(repository, tmp_path / "built", simdeck=shop.stand_in)
    assert (report.problems, sorted(entry.id for entry in report.index.apps)) == ([], ["demo", "other"])
    check = Registry(tmp_path / "built").app("demo").releases[0].check
    assert check is not None
    installer = Installer(
        tmp_path / "apps", InstallerSettings(registries=[tmp_path / "built"], uv=UV, describe_argv=shop.describe)
    )
    assert installer.install("demo").current == "1.0.0"


def test_the_branch_to_propose_is_pushed_when_asked_for(repository: Path, tmp_path: Path) -> None:
    propose(release_of(tmp_path), str(repository), None, tmp_path / "out", branch=True)
    shown = git(repository, "log", "-1", "--format=%s", "publish/demo-1.0.0")
    assert shown.strip() == "Add Demo 1.0.0"


def test_a_repository_that_is_no_registry_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")
    (tmp_path / "empty" / "README.md").write_text("hello")
    git(tmp_path / "empty", "add", ".")
    git(tmp_path / "empty", "commit", "--quiet", "-m", "Begin")
    with pytest.raises(Problem) as caught:
        propose(release_of(tmp_path), str(tmp_path / "empty"), None, tmp_path / "out")
    assert caught.value.code == "not-a-registry"


@pytest.mark.parametrize(
    "address", ["https://example.org/registry.git", "ssh://git@example.org/r", "git@example.org:r.git"]
)
def test_addresses_of_repositories_are_known(address: str) -> None:
    assert is_git(address)


# --- apps.yaml --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "demo:\n  releases:\n    - NEW\n"),
        ("# head\n", "# head\ndemo:\n  releases:\n    - NEW\n"),
        ("a:\n  releases: [x]\n", "a:\n  releases: [x]\ndemo:\n  releases:\n    - NEW\n"),
        (
            "demo:\n  releases:\n  - old # why\nb:\n  releases: []\n",
            "demo:\n  releases:\n  - NEW\n  - old # why\nb:\n  releases: []\n",
        ),
        (
            "demo:\n  releases:\n    # newest first\n    - url: old\n      version: '1'\n",
            "demo:\n  releases:\n    # newest first\n    - NEW\n    - url: old\n      version: '1'\n",
        ),
        ("demo: {releases: [old]}\n", "demo:\n  releases:\n  - NEW\n  - old\n"),
        ("demo:\n  releases: [old]\n", "demo:\n  releases:\n  - NEW\n  - old\n"),
    ],
)
def test_a_release_is_added_as_a_person_would(text: str, expected: str) -> None:
    assert apps_yaml.with_release(text, "demo", "NEW") == expected


@pytest.mark.parametrize("text", ["- a list\n", "a: [1\n"])
def test_a_list_that_cannot_be_read_is_not_written_to(text: str) -> None:
    with pytest.raises(Problem) as caught:
        apps_yaml.with_release(text, "demo", "NEW")
    assert caught.value.code == "registry-invalid"


# --- the commands -----------------------------------------------------------------------------------------------------


def simdeck(*words: str) -> str:
    done = subprocess.run(
        [str(PYTHON.with_name("simdeck")), *words], capture_output=True, text=True, check=False, timeout=360
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_an_empty_folder_to_a_registry_with_an_app_by_commands_alone(tmp_path: Path) -> None:
    """Start a registry, publish into it, build it again."""
    write_app(tmp_path / "demo")
    simdeck("registry", "init", str(tmp_path / "registry"), "--title", "Ours")
    source = str(tmp_path / "registry" / "source")
    said = simdeck("app", "publish", str(tmp_path / "demo"), "--to", source, "--no-checks")
    assert "Demo 1.0.0 is in the registry (1 apps)." in said
    assert "registry unchanged" in simdeck("registry", "build", source)
    built = tmp_path / "registry" / "built"
    registry = Registry(built, root=tmp_path / "registry" / "keys" / "root.json", trust=tmp_path / "trust")
    assert registry.app("demo").latest == "1.0.0"
    assert "Ours" in (built / "index.html").read_text()
