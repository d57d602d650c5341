"""AiiDAlab apps in a built registry: what both APIs say, and that a broken app stops nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiidalab_fixtures import tagged, write_files, write_hello, write_modern, write_notebooks
from simdeck_appstore.build import BuildReport, build_registry
from simdeck_appstore.registry import Registry
from synthetic import write_app, write_source, write_stand_in
from test_build import V1_INDEX

CITATION = {"anyOf": [{"required": ["text"]}, {"required": ["authors", "journal", "year", "doi"]}]}


@dataclass(frozen=True)
class Built:
    base: Path
    source: Path
    registry: Path
    report: BuildReport

    def v1(self, app: str) -> Any:
        return json.loads((self.registry / f"api/v1/apps/{app}.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    base = tmp_path_factory.mktemp("aiidalab")
    tagged(write_hello(base / "hello"), "v1.0.0", "v1.1.0b1", "nightly")
    write_notebooks(base / "plain", version="0.1.0")
    write_modern(base / "modern")
    write_app(base / "ours")
    write_notebooks(base / "clash", "six==1.17.0\nsix<1.0\n")
    write_notebooks(base / "nameless", version="attr: gone.__version__")
    write_files(base / "garbled", {"setup.cfg": "nothing\n", "start.md": "", "page.ipynb": "{}"})
    lone = {"setup.cfg": "[metadata]\nname = a\nversion = 1\n", "setup.py": "raise SystemExit('no compiler here')\n"}
    write_files(base / "unbuildable", lone)
    write_hello(base / "strange", setup_cfg="[aiidalab]\ntitle = S\nversion = 1.0\ncategories = unheard\n")
    (base / "strange/setup.py").unlink()
    files = ("plain", "modern", "ours", "clash", "nameless", "garbled", "unbuildable", "strange")
    apps = {name: [f"file:../{name}"] for name in files}
    source = write_source(base / "source", {"hello": ["git+file:../hello@main:"], **apps})
    report = build_registry(source, base / "registry", simdeck=write_stand_in(base / "simdeck"))
    return Built(base, source, base / "registry", report)


def test_apps_of_both_kinds_stand_in_one_registry(built: Built) -> None:
    kinds = {
        entry.id: Registry(built.registry).app(entry.id).releases[0].entry.kind for entry in built.report.index.apps
    }
    assert kinds == {
        "hello": "aiidalab", "plain": "aiidalab", "modern": "aiidalab", "strange": "aiidalab", "ours": "command",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("clash", "you require six==1.17.0 and six<1.0"),
        ("nameless", "its version is written as attr: gone.__version__; a tag, or version in apps.yaml, must say"),
        ("garbled", "its setup.cfg cannot be read"),
        ("unbuildable", "no compiler here"),
    ],
)
def test_a_broken_app_is_reported_with_the_reason_and_left_out(built: Built, app: str, words: str) -> None:
    (problem,) = (problem for problem in built.report.problems if problem.app == app)
    assert words in problem.problem["detail"]
    assert not (built.registry / f"api/v1/apps/{app}.json").exists()


def test_the_second_api_says_the_pages_the_banner_and_the_logo(built: Built) -> None:
    app = Registry(built.registry).app("hello")
    entry = app.releases[0].entry
    assert entry.kind == "aiidalab"
    assert (entry.tree, entry.start, entry.pages) == ("apps/hello", "start.md", ["hello.ipynb", "notebooks/more.ipynb"])
    assert (app.title, app.latest, app.description) == ("Hello World", "1.0.0", "# Hello\n")
    assert app.logo is not None
    assert (built.registry / app.logo.path).read_bytes() == (built.base / "hello/img/logo.svg").read_bytes()


def test_the_lock_holds_what_the_app_asks_for_and_a_kernel(built: Built) -> None:
    lock = (built.registry / Registry(built.registry).app("hello").releases[0].lock.path).read_text()
    assert "six==1.17.0" in lock
    assert "ipykernel==" in lock
    assert "tomli==" not in lock


def test_the_tag_is_the_version_and_none_is_published_as_attr(built: Built) -> None:
    releases = built.v1("hello")["releases"]
    assert sorted(releases) == ["v1.0.0", "v1.1.0b1"]
    assert releases["v1.0.0"]["metadata"]["version"] == "v1.0.0"
    assert [release.version for release in Registry(built.registry).app("hello").releases] == ["1.1.0b1", "1.0.0"]


def test_the_first_api_has_the_addresses_and_requirements_that_aiidalab_expects(built: Built) -> None:
    release = built.v1("hello")["releases"]["v1.0.0"]
    assert release["url"].startswith(f"git+file://{built.base}/hello@")
    assert release["environment"] == {"python_requirements": ["six==1.17.0", 'tomli>=2; python_version < "3.8"']}
    assert built.v1("plain")["releases"]["0.1.0"]["url"].startswith(f"file://{built.registry}/files/")


def test_an_archive_has_the_https_address_of_a_registry_that_has_one(built: Built, tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", {"plain": [f"file:{built.base}/plain"]})
    build_registry(source, tmp_path / "out", base_url="https://apps.example/r", simdeck=built.base / "simdeck")
    document = json.loads((tmp_path / "out/api/v1/apps/plain.json").read_text())
    assert document["releases"]["0.1.0"]["url"].startswith("https://apps.example/r/files/")


def test_the_first_api_follows_its_schema(built: Built) -> None:
    jsonschema.validate(json.loads((built.registry / "api/v1/apps_index.json").read_text()), V1_INDEX)
    for app in ("hello", "plain", "modern", "strange"):
        for release in built.v1(app)["releases"].values():
            for citation in release["metadata"]["citations"]:
                jsonschema.validate(citation, CITATION)
            texts = [value for key, value in release["metadata"].items() if key not in ("categories", "citations")]
            assert all(isinstance(text, str) for text in texts)


def test_a_category_that_the_registry_lacks_is_warned_of_and_left_out(built: Built) -> None:
    assert Registry(built.registry).app("strange").categories == []
    assert "strange 1.0: categories.yaml has no category unheard" in built.report.warnings


def test_a_second_build_takes_all_over(built: Built) -> None:
    again = build_registry(built.source, built.registry, simdeck=built.base / "simdeck")
    assert (again.built, again.changed) == ([], False)


def test_what_apps_yaml_says_of_an_app_replaces_its_own_words(built: Built, tmp_path: Path) -> None:
    release = {
        "url": f"file:{built.base}/clash",
        "version": "3.0",
        "environment": {"python_requirements": ["six==1.17.0"]},
        "metadata": {"title": "Mended", "description": "Fits now."},
    }
    source = write_source(tmp_path / "source", {"clash": [release]})
    report = build_registry(source, tmp_path / "out", simdeck=built.base / "simdeck")
    assert report.problems == []
    app = Registry(tmp_path / "out").app("clash")
    assert (app.title, app.latest) == ("Mended", "3.0")
    assert "six==1.17.0" in (tmp_path / "out" / app.releases[0].lock.path).read_text()
