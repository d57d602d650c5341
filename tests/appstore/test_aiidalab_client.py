"""AiiDAlab's own client and registry builder, from its package: the first takes ours, we take what the second makes."""

from __future__ import annotations

import functools
import http.server
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
import referencing.jsonschema
import yaml
from aiidalab_fixtures import SETUP_CFG, git, tagged, write_files, write_hello, write_modern, write_notebooks
from appstore_shop import UV
from simdeck_appstore.build import build_registry
from simdeck_appstore.registry import Registry
from synthetic import CATEGORIES, write_source, write_stand_in

# Their parser ends with an error for an address with an equals sign, which ours reads.
PLAIN_CFG = SETUP_CFG.replace("/?a=b", "")
pytestmark = pytest.mark.backend


@dataclass(frozen=True)
class Client:
    """``aiidalab`` in an environment of its own; ``home`` is what it takes for the user's."""

    environment: Path
    home: Path
    registry: str = ""

    @property
    def apps(self) -> Path:
        return self.home / "apps"

    def try_run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        config = Path("~/.config/pip/pip.conf").expanduser()
        env = {
            **os.environ,
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "PYTHONUSERBASE": str(self.home / "user"),
            "PATH": f"{self.home / 'bin'}{os.pathsep}{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "AIIDALAB_REGISTRY": self.registry,
            "AIIDALAB_APPS": str(self.apps),
            **({"PIP_CONFIG_FILE": str(config)} if config.is_file() else {}),
        }
        return subprocess.run(
            [str(self.environment / "bin/aiidalab"), *arguments], env=env, cwd=self.home, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=800, check=False,
        )  # fmt: skip

    def run(self, *arguments: str) -> str:
        done = self.try_run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The client installs with `pip --user`, which only an environment that sees such packages allows.
    folder = tmp_path_factory.mktemp("aiidalab-client") / "env"
    for argv in (
        [str(UV), "venv", "--quiet", "--seed", "--system-site-packages", "--python", "3.11", str(folder)],
        [str(UV), "pip", "install", "--quiet", "--python", str(folder), "aiidalab[registry]", "pip", "setuptools<81"],
    ):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=800, check=False)
        if done.returncode:
            pytest.skip(f"aiidalab cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return folder


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built registry: hello of git tags, packed and plain of folders, modern with pyproject.toml alone."""
    base = tmp_path_factory.mktemp("aiidalab-shelf")
    tagged(write_hello(base / "hello"), "v1.0.0", "v1.1.0b1", "v2.0.0")
    write_hello(base / "packed", setup_cfg=PLAIN_CFG)
    write_notebooks(base / "plain")
    write_modern(base / "modern")
    apps = {name: [f"file:../{name}"] for name in ("packed", "plain", "modern")}
    source = write_source(base / "source", {"hello": ["git+file:../hello@main:"], **apps})
    report = build_registry(source, base / "registry", simdeck=write_stand_in(base / "simdeck"))
    assert report.problems == []
    return base / "registry"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def client(environment: Path, shelf: Path, tmp_path: Path) -> Iterator[Client]:
    """The client of a user whose registry is ours, behind a plain web server."""
    home = tmp_path / "home"
    write_files(home / "bin", {"verdi": "#!/bin/sh\nexit 0\n"})
    (home / "bin/verdi").chmod(0o755)
    (home / "apps").mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(shelf))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Client(environment, home, f"http://127.0.0.1:{server.server_port}/api/v1")
        server.shutdown()
        thread.join()


def test_the_client_finds_our_releases(client: Client) -> None:
    found = client.run("search", "*")
    assert {line.partition("==")[0] for line in found.splitlines()} >= {"hello", "packed", "plain", "modern"}
    assert "hello==v2.0.0" in found.replace(" ", "")


def test_the_client_installs_a_release_of_a_git_tag(client: Client, shelf: Path) -> None:
    client.run("install", "--yes", "hello==1.0.0")
    assert (client.apps / "hello/CHANGES.txt").read_text() == "v1.0.0"
    assert git(client.apps / "hello", "rev-parse", "HEAD") == git(
        shelf.parent / "hello", "rev-parse", "v1.0.0^{commit}"
    )
    listed = client.run("list")
    assert "hello" in listed
    assert "v1.0.0" in listed


def test_the_client_takes_the_newest_release_and_installs_its_package(client: Client) -> None:
    client.run("install", "--yes", "hello")
    installed = [path.name for path in (client.home / "user").rglob("aiidalab_hello-*.dist-info")]
    assert installed == ["aiidalab_hello-1.2.3.dist-info"]
    assert (client.apps / "hello/CHANGES.txt").read_text() == "v2.0.0"


def test_the_client_installs_an_archive_of_the_registry(client: Client) -> None:
    client.run("install", "--yes", "plain")
    assert (client.apps / "plain/page.ipynb").is_file()
    assert "0.1.0" in client.run("list")


def test_the_client_installs_an_app_that_has_pyproject_alone(client: Client) -> None:
    client.run("install", "--yes", "modern")
    assert (client.apps / "modern/pyproject.toml").is_file()


def test_our_metadata_is_what_their_parser_gives(client: Client, shelf: Path) -> None:
    theirs = json.loads(client.run("registry", "parse-app-repo", f"file:{shelf.parent}/packed"))
    ours = json.loads((shelf / "api/v1/apps/packed.json").read_text())["releases"]["1.2.3"]
    expected = {key: value for key, value in theirs["metadata"].items() if value not in (None, "")}
    # Theirs publishes `attr: …` as the version, and a citation that their schema refuses.
    assert expected.pop("version") == "attr: aiidalab_hello.__version__"
    expected["citations"].remove({"nonsense": 1})
    assert {key: value for key, value in ours["metadata"].items() if key != "version"} == expected
    cut = [line.partition("  #")[0] for line in theirs["environment"]["python_requirements"]]
    assert ours["environment"]["python_requirements"] == cut


def test_our_documents_follow_their_schemas(environment: Path, shelf: Path) -> None:
    (folder,) = environment.glob("lib/python*/site-packages/aiidalab/registry/schemas")
    schemas: dict[str, Any] = {path.name: json.loads(path.read_text()) for path in folder.glob("*.schema.json")}
    # Their documents name each other by file name alone: in draft 7 an $id beside a $ref counts for nothing.
    registry: referencing.Registry[Any] = referencing.Registry().with_resources(
        (name, referencing.jsonschema.DRAFT7.create_resource(schema)) for name, schema in schemas.items()
    )

    def check(document: Path, schema: str) -> None:
        jsonschema.Draft7Validator(schemas[schema], registry=registry).validate(json.loads(document.read_text()))

    check(shelf / "api/v1/apps_index.json", "apps_index.schema.json")
    documents = sorted((shelf / "api/v1/apps").iterdir())
    assert len(documents) == 4
    for document in documents:
        check(document, "app.schema.json")


@pytest.fixture(scope="module")
def theirs(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry that ``aiidalab registry build`` made."""
    base = tmp_path_factory.mktemp("aiidalab-theirs")
    tagged(write_hello(base / "hello", setup_cfg=PLAIN_CFG), "v1.0.0", "v2.0.0")
    override = {"url": f"file:{base}/plain", "version": "3.0", "metadata": {"title": "Ours", "description": "Said so."}}
    write_notebooks(base / "plain")
    apps = {"hello": {"releases": [f"git+file:{base}/hello@main:"]}, "plain": {"releases": [override]}}
    (base / "apps.yaml").write_text(yaml.safe_dump(apps))
    (base / "categories.yaml").write_text(yaml.safe_dump(CATEGORIES))
    options = ["--apps", str(base / "apps.yaml"), "--categories", str(base / "categories.yaml"), "--no-validate"]
    Client(environment, base).run("registry", "build", *options, "--out", str(base / "build"))
    return base / "build"


def test_a_registry_that_they_built_is_a_source_of_ours(theirs: Path, tmp_path: Path) -> None:
    report = build_registry(theirs, tmp_path / "ours", simdeck=write_stand_in(tmp_path / "simdeck"))
    assert report.problems == []
    registry = Registry(tmp_path / "ours")
    assert [release.version for release in registry.app("hello").releases] == ["2.0.0", "1.0.0"]
    assert (registry.app("plain").title, registry.app("plain").latest) == ("Ours", "3.0")
    assert set(registry.index().categories) == set(CATEGORIES)


def test_both_registries_say_the_same_of_an_app(theirs: Path, tmp_path: Path) -> None:
    build_registry(theirs, tmp_path / "ours", simdeck=write_stand_in(tmp_path / "simdeck"))
    said = [json.loads((root / "api/v1/apps/hello.json").read_text()) for root in (theirs, tmp_path / "ours")]
    urls = [
        {version: item["url"].partition("@")[2] for version, item in document["releases"].items()} for document in said
    ]
    assert urls[0] == urls[1]
    assert said[0]["metadata"]["title"] == said[1]["metadata"]["title"]


def test_what_is_amiss_in_their_documents_is_mended_in_ours(theirs: Path, tmp_path: Path) -> None:
    build_registry(theirs, tmp_path / "ours", simdeck=write_stand_in(tmp_path / "simdeck"))
    said = [json.loads((root / "api/v1/apps/hello.json").read_text()) for root in (theirs, tmp_path / "ours")]
    before, after = (document["releases"]["v1.0.0"] for document in said)
    assert (before["metadata"]["version"], after["metadata"]["version"]) == (
        "attr: aiidalab_hello.__version__",
        "v1.0.0",
    )
    assert before["environment"]["python_requirements"][0] == "six==1.17.0  # the newest that works"
    assert after["environment"]["python_requirements"][0] == "six==1.17.0"


def test_one_damaged_app_of_their_registry_stops_nothing(theirs: Path, tmp_path: Path) -> None:
    api = tmp_path / "theirs/api/v1"
    index = json.loads((theirs / "api/v1/apps_index.json").read_text())
    plain = (theirs / "api/v1/apps/plain.json").read_text()
    write_files(api, {"apps_index.json": json.dumps(index), "apps/plain.json": plain, "apps/hello.json": "{"})
    report = build_registry(tmp_path / "theirs", tmp_path / "ours", simdeck=write_stand_in(tmp_path / "simdeck"))
    assert [app.id for app in report.index.apps] == ["plain"]
    assert [problem.app for problem in report.problems] == ["hello"]
