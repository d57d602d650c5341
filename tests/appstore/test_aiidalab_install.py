"""Installing AiiDAlab apps: their environment, their tree, their kernel, and the script that waits for a policy."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import simdeck_appstore
from aiidalab_fixtures import write_files, write_hello, write_notebooks
from appstore_shop import UV
from simdeck_appstore.aiidalab.page_kernel import page_folder
from simdeck_appstore.build import build_registry
from simdeck_appstore.hashing import file_ref
from simdeck_appstore.installer import Installer, InstallerSettings
from simdeck_appstore.models import AiidalabEntry, Progress, VersionRecord
from simdeck_common.problems import Problem
from synthetic import NOTEBOOK, write_source, write_stand_in

GOOD = '#!/bin/sh\npython -c "import six" && echo "$AIIDALAB_APPS" > set-up.txt\n'
BAD = "#!/bin/sh\necho no code to set up >&2\nexit 3\n"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hello (a package); script and failing (a post_install); probe (a notebook in a folder, a module beside it)."""
    base = tmp_path_factory.mktemp("aiidalab-install")
    write_hello(base / "hello")
    for name, script in (("script", GOOD), ("failing", BAD)):
        write_notebooks(base / name)
        write_files(base / name, {"post_install": script})
    write_notebooks(base / "failing-before", version="0.0.9")
    probe = json.loads(json.dumps(NOTEBOOK))
    probe["cells"][0]["source"] = ["import beside, os, pathlib\n", "print(beside.WORD, os.environ['AIIDALAB_APPS'])"]
    write_notebooks(base / "probe")
    write_files(base / "probe", {"pages/probe.ipynb": json.dumps(probe), "pages/beside.py": "WORD = 'found'\n"})
    apps = {name: [f"file:../{name}"] for name in ("hello", "script", "probe")}
    apps["failing"] = ["file:../failing-before", "file:../failing"]
    source = write_source(base / "source", apps)
    report = build_registry(source, base / "registry", simdeck=write_stand_in(base / "simdeck"))
    assert report.problems == []
    return base / "registry"


@pytest.fixture
def apps(tmp_path: Path) -> Path:
    return tmp_path / "apps"


def installer(registry: Path, apps: Path, *, post_install: bool = False) -> Installer:
    return Installer(apps, InstallerSettings(registries=[registry], uv=UV, post_install=post_install))


def record(apps: Path, app: str) -> VersionRecord:
    return VersionRecord.model_validate_json((apps / app / "current/app.json").read_bytes())


def test_the_app_has_its_own_environment_with_its_package_and_what_it_asks_for(registry: Path, apps: Path) -> None:
    installed = installer(registry, apps).install("hello")
    assert (installed.title, installed.current, installed.entry.kind) == ("Hello World", "1.2.3", "aiidalab")
    code = (
        "import six, ipykernel, ipywidgets, aiidalab_hello; from importlib.metadata import entry_points;"
        "print(six.__version__, [point.name for point in entry_points(group='aiida.workflows')])"
    )
    python = apps / "hello/current/env/bin/python"
    done = subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "1.17.0 ['hello.world']"


def test_the_tree_lies_in_the_version_as_its_author_wrote_it(registry: Path, apps: Path) -> None:
    installer(registry, apps).install("hello")
    entry = record(apps, "hello").entry
    assert isinstance(entry, AiidalabEntry)
    tree = apps / "hello/current" / entry.tree
    assert tree.name == "hello"
    assert all((tree / name).is_file() for name in [entry.start or "", *entry.pages])


def test_nobody_may_write_into_the_tree_and_yet_it_can_be_removed(registry: Path, apps: Path) -> None:
    manager = installer(registry, apps)
    manager.install("hello")
    tree = apps / "hello/current/apps/hello"
    writable = [path for path in [tree, *tree.rglob("*")] if stat.S_IMODE(path.stat().st_mode) & 0o222]
    assert writable == []
    manager.remove("hello")
    assert [name for name in os.listdir(apps) if not name.startswith(".")] == []
    assert os.listdir(apps / ".trash") == []


def test_a_user_who_is_not_root_can_remove_a_read_only_tree(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("as another user than root the test before shows it")
    tree = tmp_path / "kept" / "tree"
    write_files(tree, {"folder/page.ipynb": "{}"})
    for path in (tree / "folder/page.ipynb", tree / "folder", tree):
        path.chmod(0o555)
    for path in (tmp_path / "kept", tree, tree / "folder", tree / "folder/page.ipynb"):
        os.chown(path, 65534, 65534)
    code = (
        "import os, sys, pathlib; sys.path.insert(0, sys.argv[1]); import rubbish; os.chdir(sys.argv[2]);"
        "os.setgid(65534); os.setuid(65534); rubbish.remove_tree(pathlib.Path('tree')); print(os.listdir('.'))"
    )
    argv = [sys.executable, "-I", "-c", code, simdeck_appstore.__path__[0], str(tmp_path / "kept")]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_page_runs_in_its_folder_through_the_kernel_of_the_app(registry: Path, apps: Path, tmp_path: Path) -> None:
    installer(registry, apps).install("probe")
    spec = json.loads((apps / ".jupyter/kernels/simdeck-probe/kernel.json").read_text())
    output = run_page(spec, tmp_path, page="pages/probe.ipynb")
    assert output == f"found {(apps / 'probe/versions/0.1.0/apps').resolve()}"


def run_page(spec: dict[str, object], cwd: Path, *, page: str) -> str:
    """Run the page's first cell in a kernel of ``spec`` started in ``cwd``; return what it printed."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import KernelManager

    manager = KernelManager()
    manager._kernel_spec = KernelSpec(**spec)
    entry = Path(str(spec["metadata"]["simdeck"]["tree"]))  # type: ignore[index]
    cell = "".join(json.loads((entry / page).read_text())["cells"][0]["source"])
    manager.start_kernel(cwd=str(cwd), env={**os.environ, **spec["env"], "SIMDECK_PAGE": page})  # type: ignore[dict-item]
    client = manager.client()
    printed: list[str] = []
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute_interactive(
            cell, timeout=60, output_hook=lambda message: printed.append(str(message["content"].get("text", "")))
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return next((text.strip() for text in printed if text.startswith("found")), str(printed))


@pytest.mark.parametrize(
    ("here", "page", "expected"),
    [
        ("apps/a/deep", "", "apps/a/deep"),
        ("elsewhere", "deep/x.ipynb", "apps/a/deep"),
        ("elsewhere", "", "apps/a"),
        ("elsewhere", "../../elsewhere/x.ipynb", "apps/a"),
        ("elsewhere", "gone/x.ipynb", "apps/a"),
    ],
)
def test_a_page_is_in_its_folder_and_never_outside_the_tree(
    tmp_path: Path, here: str, page: str, expected: str
) -> None:
    for name in ("apps/a/deep", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    root = tmp_path.resolve()
    assert page_folder(root / "apps/a", root / here, page) == root / expected


def test_the_script_is_not_run_unless_the_site_allows_it_and_that_is_said(registry: Path, apps: Path) -> None:
    reports: list[Progress] = []
    installer(registry, apps).install("script", report=reports.append)
    assert not (apps / "script/current/apps/script/set-up.txt").exists()
    assert record(apps, "script").post_install == "not run"
    assert any("post_install, is not run" in report.message for report in reports)


def test_the_store_says_that_an_app_brings_a_script(registry: Path, apps: Path) -> None:
    (need,) = installer(registry, apps).registries[0].app("script").releases[0].needs
    assert "post_install" in need


def test_an_allowed_script_runs_in_the_app_s_place_with_its_python(registry: Path, apps: Path) -> None:
    installer(registry, apps, post_install=True).install("script")
    assert record(apps, "script").post_install == "ran"
    place = apps / "script/versions/0.1.0/apps"
    assert (place / "script/set-up.txt").read_text().strip() == str(place)


def test_a_script_that_fails_takes_the_version_away_again(registry: Path, apps: Path) -> None:
    manager = installer(registry, apps, post_install=True)
    manager.install("failing", "0.0.9")
    with pytest.raises(Problem) as refused:
        manager.install("failing")
    assert refused.value.code == "post-install-failed"
    assert "it ended with code 3" in refused.value.detail
    assert "no code to set up" in refused.value.detail
    assert (manager.get("failing").current, manager.get("failing").versions) == ("0.0.9", ["0.0.9"])
    assert "no code to set up" in (apps / ".logs/failing.log").read_text()


def test_a_script_that_fails_leaves_no_app_where_there_was_none(registry: Path, apps: Path) -> None:
    manager = installer(registry, apps, post_install=True)
    with pytest.raises(Problem):
        manager.install("failing")
    assert manager.installed() == []
    assert os.listdir(apps / ".staging") == []
    assert not (apps / "failing").exists()


def test_a_script_that_fails_gives_the_same_version_s_earlier_content_back(registry: Path, apps: Path) -> None:
    installer(registry, apps).install("failing", "0.1.0")
    file = apps / "failing/current/app.json"
    earlier = record(apps, "failing").model_copy(update={"title": "Earlier", "tree_sha256": "0" * 64})
    file.write_text(earlier.model_dump_json())
    with pytest.raises(Problem):
        installer(registry, apps, post_install=True).install("failing")
    assert record(apps, "failing").title == "Earlier"


def test_an_install_cut_short_in_the_script_is_done_again(registry: Path, apps: Path) -> None:
    manager = installer(registry, apps, post_install=True)
    manager.install("script")
    file = apps / "script/current/app.json"
    file.write_text(record(apps, "script").model_copy(update={"post_install": "pending"}).model_dump_json())
    manager.install("script")
    assert record(apps, "script").post_install == "ran"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["hello-1/hello.ipynb", "second/x"], "not packed as an app's"),
        (["../outside"], "cannot be unpacked"),
        (["hello-1/hello.ipynb"], "is not in its tree"),
    ],
)
def test_a_strange_archive_is_refused_and_leaves_nothing(
    registry: Path, apps: Path, tmp_path: Path, names: list[str], words: str
) -> None:
    copy = Path(shutil.copytree(registry, tmp_path / "registry"))
    archive = tmp_path / "strange.tar.gz"
    with tarfile.open(archive, "w:gz") as bundle:
        for name in names:
            bundle.addfile(tarfile.TarInfo(name))
    ref = file_ref(archive)
    (copy / ref.path).parent.mkdir(parents=True)
    shutil.copyfile(archive, copy / ref.path)
    document = json.loads((copy / "api/v2/apps/hello.json").read_text())
    document["releases"][0]["tree"] = ref.model_dump()
    (copy / "api/v2/apps/hello.json").write_text(json.dumps(document))
    with pytest.raises(Problem) as refused:
        installer(copy, apps).install("hello")
    assert refused.value.code == "app-broken"
    assert words in refused.value.detail
    assert os.listdir(apps / ".staging") == []
