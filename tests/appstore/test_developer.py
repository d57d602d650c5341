"""For app developers: a new project runs at once, and the checks find what is wrong with one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml
from appstore_shop import UV, Shop
from simdeck_appstore.aiidalab.metadata import AppFiles, read_metadata
from simdeck_appstore.aiidalab.tree import is_aiidalab
from simdeck_appstore.developer.check import Check, CheckRecord, CheckSettings, app_id
from simdeck_appstore.developer.lock import lock_argv, make_lock
from simdeck_appstore.developer.new import create, kinds
from simdeck_appstore.manifest import load_project
from simdeck_common.problems import Problem
from synthetic import write_app

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
BACKEND = ROOT / ".simdeck" / "envs" / "backend" / "bin" / "python"
LOCK = ROOT / "apps" / "molecule" / "requirements.lock"


WEB_LOCK = Path(__file__).with_name("web_template.lock")


def with_lock(folder: Path) -> Path:
    """Give a new project a lock that holds all it needs: tests resolve nothing."""
    web = "uvicorn" in (folder / "requirements.in").read_text()
    shutil.copyfile(WEB_LOCK if web else LOCK, folder / "requirements.lock")
    return folder


@pytest.mark.parametrize("kind", ["notebook", "web"])
def test_a_new_project_is_complete_and_names_itself(tmp_path: Path, kind: str) -> None:
    project = load_project(with_lock(create(tmp_path / "wave-lab", "wave-lab", kind)))
    assert (app_id(project), project.package, project.manifest.title) == ("wave-lab", "simdeck_wave_lab", "Wave lab")


@pytest.mark.parametrize("kind", kinds())
def test_a_new_project_has_tests_and_ci_and_no_word_of_the_template_is_left(tmp_path: Path, kind: str) -> None:
    folder = create(tmp_path / "wave-lab", "wave-lab", kind)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert list((folder / "tests").glob("test_*.py"))
    jobs = yaml.safe_load((folder / ".github" / "workflows" / "check.yml").read_text())["jobs"]
    assert "python -m pytest" in [step.get("run") for step in jobs["test"]["steps"]]
    assert not [path for path in files if "PACKAGE" in str(path) or path.suffix == ".tpl"]
    text = "".join(path.read_text() for path in files)
    assert not [word for word in ("$package", "$title", "$name") if word in text]


@pytest.mark.parametrize("kind", ["notebook", "web"])
def test_a_new_project_names_the_schema_its_editor_completes_from(tmp_path: Path, kind: str) -> None:
    folder = create(tmp_path / "wave", "wave", kind)
    first, _, rest = (folder / "pyproject.toml").read_text().partition("\n")
    schema = json.loads((folder / first.removeprefix("#:schema ")).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(tomllib.loads(rest), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(rest.replace("summary =", "sumary =")), schema)


def test_a_new_aiidalab_app_is_one_and_says_its_title(tmp_path: Path) -> None:
    folder = create(tmp_path / "cells", "cells", "aiidalab", "Cells of metals")
    assert is_aiidalab(folder)
    assert read_metadata(AppFiles(folder)).title == "Cells of metals"


@pytest.mark.parametrize("kind", ["aiidalab", "notebook"])
def test_the_tests_of_a_new_project_pass(tmp_path: Path, kind: str) -> None:
    folder = create(tmp_path / "wave", "wave", kind)
    # Its page is executed by the check of pages, which is another test's.
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not page_runs"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("name", ["", "Wave", "wave_lab", "1wave", "wave--lab", "-wave", "wave;rm", "a" * 41, "class"])
def test_a_name_no_app_can_have_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem) as caught:
        create(tmp_path / "new", name)
    assert caught.value.code == "app-name"
    assert not (tmp_path / "new").exists()


def test_a_template_that_is_not_there_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        create(tmp_path / "new", "wave", "spreadsheet")
    assert caught.value.code == "app-kind"
    assert "notebook" in caught.value.remedy


def test_a_folder_with_something_in_it_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(Problem) as caught:
        create(tmp_path, "wave")
    assert caught.value.code == "folder-taken"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_lock_is_asked_for_with_hashes_and_without_an_index() -> None:
    argv = lock_argv(Path("uv"), Path("requirements.in"), Path("out"))
    assert {"--generate-hashes", "--universal", "--no-emit-index-url"} <= set(argv)


def test_a_lock_that_cannot_be_made_leaves_the_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "requirements.in").write_text("not a requirement!\n")
    (tmp_path / "requirements.lock").write_text("earlier\n")
    with pytest.raises(Problem) as caught:
        make_lock(tmp_path, UV)
    assert caught.value.code == "lock-failed"
    assert (tmp_path / "requirements.lock").read_text() == "earlier\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["requirements.in", "requirements.lock"]


def test_a_project_without_requirements_is_told_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        make_lock(tmp_path, UV)
    assert "there is no requirements.in" in caught.value.detail


def check(shop: Shop, folder: Path) -> CheckRecord:
    return Check(folder, CheckSettings(uv=UV, describe_argv=shop.describe, simdeck=shop.stand_in)).run()


def states(record: CheckRecord) -> dict[str, str]:
    return {finding.name: finding.state for finding in record.findings}


def test_a_good_app_passes_every_check_that_can_be_made_of_it(shop: Shop, tmp_path: Path) -> None:
    record = check(shop, write_app(tmp_path / "wave", "wave", project={"name": "simdeck-app-wave"}))
    assert states(record) == {
        "description": "passed",
        "build": "passed",
        "install": "passed",
        "pythons": "passed",
        "browser": "skipped",
        "licences": "passed",
        "vulnerabilities": "skipped",
    }
    assert record.passed
    assert (record.app, record.version, len(record.wheel_sha256)) == ("wave", "1.0.0", 64)
    licences = next(one for one in record.findings if one.name == "licences").data["licences"]
    assert licences["six"] == "MIT License"


def test_a_wrong_description_ends_the_checks_with_file_line_and_remedy(shop: Shop, tmp_path: Path) -> None:
    record = check(shop, write_app(tmp_path / "wave", "wave", manifest={"title": None}))
    assert states(record) == {"description": "failed"}
    assert "pyproject.toml, line" in record.findings[0].message


def test_an_app_that_cannot_be_imported_fails_at_its_install(shop: Shop, tmp_path: Path) -> None:
    record = check(shop, write_app(tmp_path / "wave", "wave", source="raise RuntimeError('no licence')\n"))
    assert states(record) == {"description": "passed", "build": "passed", "install": "failed"}
    assert "no licence" in record.findings[-1].message


def test_checking_changes_nothing_in_the_project(shop: Shop, tmp_path: Path) -> None:
    folder = write_app(tmp_path / "wave", "wave")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    check(shop, folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def real_check(folder: Path, chromium: str | None = None) -> CheckRecord:
    settings = CheckSettings(
        uv=UV,
        describe_argv=[str(BACKEND), "-m", "simdeck_workflows.engine.describe"],
        simdeck=ROOT,
        python=Path(sys.executable),
        backend_python=BACKEND,
        chromium=Path(chromium) if chromium else None,
    )
    return Check(folder, settings).run()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None or not BACKEND.exists(), reason="there is no Chromium or no backend here")
def test_the_notebook_template_passes_every_check_in_a_browser_with_its_workflow(tmp_path: Path) -> None:
    record = real_check(with_lock(create(tmp_path / "wave", "wave")), CHROMIUM)
    expected = {"description", "build", "install", "pythons", "page", "console", "accessibility", "smoke", "licences"}
    assert {finding.name for finding in record.findings if finding.state == "passed"} == expected, record.findings
    found = {finding.name: finding.data for finding in record.findings}
    assert found["install"]["workflows"] == ["wave.run"]
    assert found["page"]["memory_mib"] > 10


@pytest.mark.backend
def test_a_page_that_raises_is_found_with_its_last_line(tmp_path: Path) -> None:
    folder = with_lock(create(tmp_path / "wave", "wave"))
    notebook = folder / "simdeck_wave" / "app.ipynb"
    content = json.loads(notebook.read_text())
    content["cells"][0]["source"] = ["raise ValueError('no such basis set')"]
    notebook.write_text(json.dumps(content))
    manifest = folder / "pyproject.toml"
    manifest.write_text("".join(line for line in manifest.open() if not line.startswith("smoke =")))
    record = real_check(folder)
    assert states(record)["page"] == "failed"
    assert "ValueError: no such basis set" in next(one.message for one in record.findings if one.name == "page")
