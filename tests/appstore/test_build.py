"""Building a registry: what it writes, what it takes over, and that one broken app stops nothing."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import httpx
import jsonschema
import pytest
from appstore_shop import Shop
from simdeck_appstore.build import build_registry, main
from simdeck_appstore.models import RegistryApp, RegistryIndex
from simdeck_appstore.sources import ReleaseSpec, fetch
from simdeck_common.problems import Problem
from synthetic import CATEGORIES, write_app, write_many, write_source, write_stand_in

URI = {"type": "string"}
METADATA = {
    "type": "object",
    "required": ["title", "description"],
    "additionalProperties": False,
    "properties": {
        "title": {"type": "string"},
        "description": {"type": "string"},
        "version": {"type": "string"},
        "authors": {"type": "string"},
        "external_url": URI,
        "documentation_url": URI,
        "logo": URI,
        "state": {"enum": ["registered", "development", "stable"]},
        "categories": {"type": "array", "items": {"type": "string"}},
        "citations": {
            "type": "array",
            "items": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}, "link": URI}},
        },
    },
}
V1_APP = {
    "type": "object",
    "required": ["name", "metadata", "releases"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "metadata": METADATA,
        "releases": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["url", "metadata", "environment"],
                "additionalProperties": False,
                "properties": {
                    "url": URI,
                    "metadata": METADATA,
                    "environment": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {"python_requirements": {"type": "array", "items": {"type": "string"}}},
                    },
                },
            },
        },
    },
}
V1_INDEX = {
    "type": "object",
    "required": ["apps", "categories"],
    "additionalProperties": False,
    "properties": {
        "apps": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["name", "categories"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"},
                    "categories": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
        "categories": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["title", "description"],
                "additionalProperties": False,
                "properties": {"title": {"type": "string"}, "description": {"type": "string"}},
            },
        },
    },
}


def read(path: Path) -> object:
    return json.loads(path.read_text("utf-8"))


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    return write_stand_in(tmp_path / "simdeck")


def tree(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_first_api_has_the_documented_shape(shop: Shop) -> None:
    jsonschema.validate(read(shop.registry / "api/v1/apps_index.json"), V1_INDEX)
    documents = sorted((shop.registry / "api/v1/apps").glob("*.json"))
    assert "demo.json" in [path.name for path in documents]
    for path in documents:
        jsonschema.validate(read(path), V1_APP)


def test_the_first_api_lists_every_release(shop: Shop) -> None:
    document = read(shop.registry / "api/v1/apps/demo.json")
    assert isinstance(document, dict)
    assert list(document["releases"]) == ["2.0.0", "1.0.0"]
    assert document["metadata"]["version"] == "2.0.0"
    assert document["releases"]["1.0.0"]["environment"] == {"python_requirements": ["six"]}


def test_addresses_are_absolute_when_the_registry_knows_its_own(shop: Shop, tmp_path: Path, stand_in: Path) -> None:
    build_registry(shop.source, tmp_path / "out", simdeck=stand_in, base_url="https://apps.example/")
    document = read(tmp_path / "out/api/v1/apps/demo.json")
    assert isinstance(document, dict)
    assert document["metadata"]["logo"].startswith("https://apps.example/files/")
    assert document["releases"]["2.0.0"]["url"].startswith("https://apps.example/files/")


def test_every_file_of_the_second_api_is_there_with_its_hash(shop: Shop) -> None:
    index = RegistryIndex.model_validate_json((shop.registry / "api/v2/index.json").read_text())
    assert index.simdeck is not None
    app = RegistryApp.model_validate_json((shop.registry / "api/v2/apps/demo.json").read_text())
    assert app.logo is not None
    for ref in [index.simdeck.wheel, app.logo, *(ref for item in app.releases for ref in (item.wheel, item.lock))]:
        data = (shop.registry / ref.path).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (ref.sha256, ref.size)


def test_the_second_api_tells_what_the_manifest_says(tmp_path: Path, stand_in: Path) -> None:
    citations = [{"text": "A. Author (2020)", "doi": "10.1000/1"}]
    manifest = {"needs": ["A licence."], "citations": citations, "resources": {"cores": 2, "memory": "3 GiB"}}
    project = {
        "urls": {"Documentation": "https://docs.example/"},
        "authors": [{"name": "A. Author"}],
        "keywords": ["ir"],
    }
    write_app(tmp_path / "demo", manifest=manifest, project=project)
    source = write_source(tmp_path / "source", {"demo": ["file:../demo"]})
    build_registry(source, tmp_path / "out", simdeck=stand_in)
    app = RegistryApp.model_validate_json((tmp_path / "out/api/v2/apps/demo.json").read_text())
    assert (app.title, app.categories, app.authors, app.keywords) == ("Demo", ["teaching"], "A. Author", ["ir"])
    assert app.links.documentation == "https://docs.example/"
    assert app.citations[0].doi == "10.1000/1"
    release = app.releases[0]
    assert (release.needs, release.resources.memory, release.python) == (["A licence."], "3 GiB", ">=3.11")
    assert release.simdeck is not None
    assert release.simdeck.version == "0.1.0"


def test_a_second_build_takes_everything_over_and_changes_nothing(tmp_path: Path, stand_in: Path) -> None:
    source = write_many(tmp_path / "many", 5)
    first = build_registry(source, tmp_path / "out", simdeck=stand_in)
    before = tree(tmp_path / "out")
    second = build_registry(source, tmp_path / "out", simdeck=stand_in)
    assert (len(first.built), len(first.reused)) == (5, 0)
    assert (len(second.built), len(second.reused), second.changed) == (0, 5, False)
    assert tree(tmp_path / "out") == before


def test_only_the_app_that_changed_is_built_again(tmp_path: Path, stand_in: Path) -> None:
    source = write_many(tmp_path / "many", 3)
    first = build_registry(source, tmp_path / "out", simdeck=stand_in)
    changed = sorted((tmp_path / "many/projects").iterdir())[1]
    module = next(changed.glob("simdeck_*/__init__.py"))
    module.write_text(module.read_text() + "# changed\n")
    second = build_registry(source, tmp_path / "out", simdeck=stand_in)
    assert [name.split()[0] for name in second.built] == [changed.name]
    assert second.changed
    assert first.index.revision != second.index.revision


def test_a_lost_file_of_the_last_build_is_made_again(tmp_path: Path, stand_in: Path) -> None:
    source = write_many(tmp_path / "many", 2)
    build_registry(source, tmp_path / "out", simdeck=stand_in)
    wheel = next((tmp_path / "out/files").rglob("simdeck_app_*.whl"))
    wheel.unlink()
    report = build_registry(source, tmp_path / "out", simdeck=stand_in)
    assert len(report.built) == 1
    assert wheel.is_file()


def test_files_of_removed_apps_go(tmp_path: Path, stand_in: Path) -> None:
    write_app(tmp_path / "one", "one")
    write_app(tmp_path / "two", "two")
    source = write_source(tmp_path / "source", {"one": ["file:../one"], "two": ["file:../two"]})
    build_registry(source, tmp_path / "out", simdeck=stand_in)
    write_source(source, {"two": ["file:../two"]})
    build_registry(source, tmp_path / "out", simdeck=stand_in)
    assert [path.name for path in (tmp_path / "out/files").rglob("simdeck_app_*")] == [
        "simdeck_app_two-1.0.0-py3-none-any.whl"
    ]
    assert not (tmp_path / "out/api/v2/apps/one.json").exists()


def test_one_broken_app_does_not_stop_the_others(tmp_path: Path, stand_in: Path) -> None:
    write_app(tmp_path / "good", "good")
    write_app(tmp_path / "untitled", "untitled", manifest={"title": None})
    write_app(tmp_path / "stray", "stray", manifest={"categories": ["astrology"]})
    hook = write_app(tmp_path / "hook", "hook")
    with (hook / "pyproject.toml").open("a") as stream:
        stream.write('\n[tool.hatch.build.hooks.custom]\npath = "hook.py"\n')
    (hook / "hook.py").write_text("import os\nos._exit(7)\n")
    write_app(tmp_path / "later", "later")
    releases = {name: [f"file:../{name}"] for name in ("untitled", "hook", "good", "stray", "later")}
    releases |= {
        "gone": ["file:../gone"],
        "git": ["git+ssh://code.example/app@main:"],
        "ftp": ["ftp://x.example/a.whl"],
    }
    releases |= {"bare": ["https://x.example/a.whl"], "bad id": ["file:../good"]}
    report = build_registry(write_source(tmp_path / "source", releases), tmp_path / "out", simdeck=stand_in)
    assert sorted(entry.id for entry in report.index.apps) == ["good", "later"]
    left_out = {item.app: item.problem for item in report.problems}
    assert {app: problem["code"] for app, problem in left_out.items()} == {
        "untitled": "manifest-invalid",
        "hook": "source-invalid",
        "stray": "registry-invalid",
        "gone": "source-invalid",
        "git": "source-unsupported",
        "ftp": "source-unsupported",
        "bare": "source-invalid",
        "bad id": "registry-invalid",
    }
    assert "git is read over https and from files, not git+ssh" in left_out["git"]["detail"]
    assert "needs #sha256=" in left_out["bare"]["detail"]
    assert report.index.problems == report.problems


def test_a_broken_release_leaves_the_apps_other_releases(tmp_path: Path, stand_in: Path) -> None:
    write_app(tmp_path / "one", version="1.0.0")
    write_app(tmp_path / "again", version="1.0.0", source="# other\n")
    write_app(tmp_path / "two", version="2.0.0rc1")
    releases = [
        "file:../one",
        "file:../again",
        {"url": "file:../two", "version": "2.0.0rc1"},
        {"url": "file:../two", "version": "3"},
    ]
    source = write_source(tmp_path / "source", {"demo": releases})
    report = build_registry(source, tmp_path / "out", simdeck=stand_in)
    assert report.index.apps[0].versions == ["2.0.0rc1", "1.0.0"]
    assert report.index.apps[0].latest == "1.0.0"
    assert ["twice" in item.problem["detail"] for item in report.problems] == [True, False]
    assert "apps.yaml says version 3" in report.problems[1].problem["detail"]


def test_overrides_replace_what_the_first_api_says(tmp_path: Path, stand_in: Path) -> None:
    write_app(tmp_path / "demo")
    metadata = {"title": "Other", "description": "Words."}
    release = {"url": "file:../demo", "metadata": metadata, "environment": {"python_requirements": ["aiida-core~=2.0"]}}
    build_registry(write_source(tmp_path / "source", {"demo": [release]}), tmp_path / "out", simdeck=stand_in)
    document = read(tmp_path / "out/api/v1/apps/demo.json")
    assert isinstance(document, dict)
    assert document["metadata"] == metadata
    assert document["releases"]["1.0.0"]["environment"] == {"python_requirements": ["aiida-core~=2.0"]}


@pytest.mark.parametrize("text", ["apps: [", "- a list\n"])
def test_a_registry_that_is_no_yaml_mapping_is_refused(tmp_path: Path, text: str) -> None:
    write_source(tmp_path / "source", {})
    (tmp_path / "source/apps.yaml").write_text(text)
    with pytest.raises(Problem) as caught:
        build_registry(tmp_path / "source", tmp_path / "out")
    assert caught.value.code == "registry-invalid"
    assert not (tmp_path / "out").exists()


def test_the_command_prints_what_was_left_out(
    tmp_path: Path, stand_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_app(tmp_path / "demo", manifest={"title": None})
    source = write_source(tmp_path / "source", {"demo": ["file:../demo"]})
    options = ["--source", str(source), "--output", str(tmp_path / "out"), "--simdeck", str(stand_in)]
    assert main(options) == 0
    assert main([*options, "--strict"]) == 1
    assert "Left out demo: demo/pyproject.toml, line 14: title is missing" in capsys.readouterr().err


def archive(folder: Path, path: Path) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as bundle:
            for file in folder.rglob("*"):
                bundle.write(file, Path("demo-1.0.0", file.relative_to(folder)))
    else:
        with tarfile.open(path, "w:gz") as bundle:
            bundle.add(folder, "demo-1.0.0")
    return path


@pytest.mark.parametrize("name", ["demo.zip", "demo.tar.gz"])
def test_an_archive_of_a_project_is_a_release(tmp_path: Path, stand_in: Path, name: str) -> None:
    archive(write_app(tmp_path / "demo"), tmp_path / name)
    source = write_source(tmp_path / "source", {"demo": [f"file:../{name}"]})
    report = build_registry(source, tmp_path / "out", simdeck=stand_in)
    assert report.problems == []
    assert report.index.apps[0].latest == "1.0.0"


def test_a_wheel_that_carries_its_description_is_a_release(tmp_path: Path, stand_in: Path) -> None:
    folder = write_app(tmp_path / "demo", notebook=True)
    with (folder / "pyproject.toml").open("a") as stream:
        stream.write("\n[tool.hatch.build.targets.wheel.extra-metadata]\n")
        for name in ("pyproject.toml", "requirements.lock"):
            stream.write(f'"{name}" = "simdeck/{name}"\n')
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=folder, check=True
    )
    wheel = next(tmp_path.glob("*.whl"))
    source = write_source(tmp_path / "source", {"demo": [f"file:../{wheel.name}"]})
    report = build_registry(source, tmp_path / "out", simdeck=stand_in)
    assert report.problems == []
    app = RegistryApp.model_validate_json((tmp_path / "out/api/v2/apps/demo.json").read_text())
    assert app.releases[0].wheel.sha256 == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_a_bare_wheel_is_refused(tmp_path: Path, stand_in: Path) -> None:
    folder = write_app(tmp_path / "demo")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=folder, check=True
    )
    source = write_source(tmp_path / "source", {"demo": [f"file:../{next(tmp_path.glob('*.whl')).name}"]})
    report = build_registry(source, tmp_path / "out", simdeck=stand_in)
    assert "carries no pyproject.toml" in report.problems[0].problem["detail"]


def serve(data: bytes) -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, content=data)))


def test_a_download_with_the_right_hash_is_unpacked(tmp_path: Path) -> None:
    data = archive(write_app(tmp_path / "demo"), tmp_path / "demo.tar.gz").read_bytes()
    spec = ReleaseSpec(url=f"https://x.example/demo.tar.gz#sha256={hashlib.sha256(data).hexdigest()}")
    (tmp_path / "scratch").mkdir()
    assert (fetch(spec, tmp_path, tmp_path / "scratch", serve(data)) / "pyproject.toml").is_file()


def test_a_download_with_another_hash_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="does not match its sha256"):
        fetch(ReleaseSpec(url=f"https://x.example/a.zip#sha256={'0' * 64}"), tmp_path, tmp_path, serve(b"other"))


@pytest.mark.parametrize("name", ["evil.zip", "evil.tar.gz"])
def test_an_archive_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    harmless = tmp_path / "harmless"
    harmless.write_text("x")
    if name.endswith("zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as bundle:
            bundle.write(harmless, "../../outside")
    else:
        with tarfile.open(tmp_path / name, "w:gz") as bundle:
            bundle.add(harmless, "../../outside")
    (tmp_path / "a/b").mkdir(parents=True)
    with pytest.raises(Problem) as caught:
        fetch(ReleaseSpec(url=f"file:{name}"), tmp_path, tmp_path / "a/b")
    assert caught.value.code == "source-invalid"
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "a/outside").exists()


KILLED_AT = """\
import os, signal, sys
from pathlib import Path
from simdeck_appstore.build import build_registry
effects, wanted = {"os.rename", "os.mkdir", "os.link", "shutil.rmtree", "subprocess.Popen"}, int(sys.argv[4])
seen = 0
def hook(event, arguments):
    global seen
    if event in effects:
        seen += 1
        if seen == wanted:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
build_registry(Path(sys.argv[1]), Path(sys.argv[2]), simdeck=Path(sys.argv[3]), site=False)
"""


def test_a_build_killed_anywhere_leaves_a_whole_registry(tmp_path: Path, stand_in: Path) -> None:
    project = write_app(tmp_path / "demo", version="1.0.0")
    source = write_source(tmp_path / "source", {"demo": ["file:../demo"]})
    build_registry(source, tmp_path / "out", simdeck=stand_in)
    write_app(project, version="2.0.0")
    kills = 0
    for number in range(1, 200, 3):
        argv = [sys.executable, "-c", KILLED_AT, str(source), str(tmp_path / "out"), str(stand_in), str(number)]
        code = subprocess.run(argv, check=False).returncode
        index = RegistryIndex.model_validate_json((tmp_path / "out/api/v2/index.json").read_text())
        app = RegistryApp.model_validate_json((tmp_path / "out/api/v2/apps/demo.json").read_text())
        assert app.latest == index.apps[0].latest
        assert (tmp_path / "out" / app.releases[0].wheel.path).is_file()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
    assert kills > 2
    assert app.latest == "2.0.0"
    kept = {".out.lock", ".out.seen.json"}
    assert [name for name in os.listdir(tmp_path) if ".out." in name and name not in kept] == []


def test_the_checkouts_own_wheel_holds_every_room(tmp_path: Path) -> None:
    write_source(tmp_path / "source", {})
    report = build_registry(tmp_path / "source", tmp_path / "out")
    assert report.index.simdeck is not None
    with zipfile.ZipFile(tmp_path / "out" / report.index.simdeck.wheel.path) as bundle:
        names = bundle.namelist()
    for package in ("simdeck_common", "simdeck_appstore", "simdeck_workflows", "simdeck_widgets", "simdeck_deck"):
        assert f"{package}/__init__.py" in names
    root = Path(__file__).parents[2]
    for room in ("deck/simdeck_deck", "widgets/simdeck_widgets"):
        for path in (root / room / "static/vendor").glob("*"):
            if path.is_file():
                assert f"{room.partition('/')[2]}/static/vendor/{path.name}" in names


def test_the_projects_own_registry_names_known_categories() -> None:
    import yaml

    root = Path(__file__).parents[2] / "registry"
    assert set(yaml.safe_load((root / "categories.yaml").read_text())) >= set(CATEGORIES)
    assert "molecule" in yaml.safe_load((root / "apps.yaml").read_text())
