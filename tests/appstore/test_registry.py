"""Reading a registry from a folder and from a web server, searching it, and trusting no file without its hash."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from appstore_shop import Shop
from simdeck_appstore.build import build_registry
from simdeck_appstore.models import IndexEntry
from simdeck_appstore.registry import Registry
from simdeck_appstore.search import SearchIndex
from simdeck_common.problems import Problem
from synthetic import write_app, write_source


class Server:
    """A plain web server over a folder; counts what is asked."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, int]] = []
        outer = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                outer.asked.append((self.path, int(code)))

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def web(registry_copy: Path) -> Iterator[Server]:
    server = Server(registry_copy)
    yield server
    server.stop()


@pytest.fixture(params=["folder", "web"])
def registry(request: pytest.FixtureRequest, registry_copy: Path) -> Registry:
    if request.param == "folder":
        return Registry(registry_copy)
    server: Server = request.getfixturevalue("web")
    return Registry(server.url, fresh=0)


def problem_of(action: object, *arguments: object) -> Problem:
    with pytest.raises(Problem) as caught:
        action(*arguments)  # type: ignore[operator]
    return caught.value


def test_an_app_is_read_with_its_releases(registry: Registry) -> None:
    app = registry.app("demo")
    assert [release.version for release in app.releases] == ["2.0.0", "1.0.0"]
    assert app.release() == app.releases[0]
    assert app.release("1.0.0") == app.releases[1]
    assert app.release("3.0.0") is None


@pytest.mark.parametrize("name", ["nothing", "../index", "", "demo/../demo"])
def test_an_unknown_app_is_refused(registry: Registry, name: str) -> None:
    assert problem_of(registry.app, name).code == "app-not-found"


def test_a_file_is_copied_when_its_hash_fits(registry: Registry, tmp_path: Path) -> None:
    ref = registry.app("demo").releases[0].wheel
    assert registry.fetch(ref, tmp_path / "wheel").stat().st_size == ref.size


def test_a_changed_file_is_refused_and_not_kept(registry: Registry, registry_copy: Path, tmp_path: Path) -> None:
    ref = registry.app("demo").releases[0].wheel
    (registry_copy / ref.path).write_bytes(b"other")
    assert problem_of(registry.fetch, ref, tmp_path / "wheel").code == "file-changed"
    assert not (tmp_path / "wheel").exists()
    assert problem_of(registry.content, ref.path).code == "file-changed"


@pytest.mark.parametrize(
    "path",
    ["api/v2/index.json", "files/../../etc/passwd", "files/aa/" + "a" * 64 + "/..", "files/ab/" + "a" * 64 + "/x", ""],
)
def test_only_content_addressed_files_are_given_out(registry: Registry, path: str) -> None:
    assert problem_of(registry.content, path).code == "not-found"


def test_a_file_that_is_not_there_is_not_found(registry: Registry) -> None:
    assert problem_of(registry.content, "files/aa/" + "a" * 64 + "/x.svg").code == "not-found"


def test_a_reference_whose_path_names_another_hash_is_refused(registry: Registry, tmp_path: Path) -> None:
    app = registry.app("demo")
    forged = app.releases[0].wheel.model_copy(update={"path": app.releases[0].lock.path})
    assert problem_of(registry.fetch, forged, tmp_path / "x").code == "file-changed"


def test_a_rebuilt_registry_is_seen(tmp_path: Path, shop: Shop) -> None:
    write_app(tmp_path / "demo", version="1.0.0")
    source = write_source(tmp_path / "source", {"demo": ["file:../demo"]})
    build_registry(source, tmp_path / "out", simdeck=shop.stand_in)
    registry = Registry(tmp_path / "out")
    assert registry.app("demo").latest == "1.0.0"
    write_app(tmp_path / "demo", version="1.1.0")
    build_registry(source, tmp_path / "out", simdeck=shop.stand_in)
    assert registry.app("demo").latest == "1.1.0"


def test_an_unchanged_registry_is_not_read_again(registry_copy: Path) -> None:
    registry = Registry(registry_copy)
    index = registry.index()
    app = registry.app("demo")
    assert registry.index() is index
    assert registry.app("demo") is app


def test_a_web_registry_is_asked_for_changes_only(web: Server) -> None:
    registry = Registry(web.url, fresh=0)
    index = registry.index()
    assert registry.index() is index
    assert web.asked == [("/api/v2/index.json", 200), ("/api/v2/index.json", 304)]


def test_a_fresh_web_registry_is_not_asked_at_all(web: Server) -> None:
    registry = Registry(web.url, fresh=60)
    registry.index()
    registry.search("demo")
    assert web.asked == [("/api/v2/index.json", 200)]


def test_a_web_registry_that_goes_away_is_still_shown(registry_copy: Path) -> None:
    server = Server(registry_copy)
    registry = Registry(server.url, fresh=0)
    index = registry.index()
    server.stop()
    assert registry.index() == index


def test_a_registry_that_never_answered_says_so(tmp_path: Path) -> None:
    assert problem_of(Registry(tmp_path / "none").index).code == "registry-unreachable"
    assert problem_of(Registry("http://127.0.0.1:9").index).code == "registry-unreachable"


def test_a_damaged_index_says_so(registry_copy: Path) -> None:
    (registry_copy / "api/v2/index.json").write_text("{")
    problem = problem_of(Registry(registry_copy).index)
    assert problem.code == "registry-unreachable"
    assert "damaged" in problem.detail


@pytest.mark.parametrize(
    ("key", "value"), [("version", "../../x"), ("python", "three"), ("minimum_simdeck", "soon"), ("package", None)]
)
def test_a_damaged_app_document_is_refused(registry_copy: Path, key: str, value: object) -> None:
    path = registry_copy / "api/v2/apps/demo.json"
    document = json.loads(path.read_text())
    document["releases"][0][key] = value
    path.write_text(json.dumps(document))
    assert problem_of(Registry(registry_copy).app, "demo").code == "registry-unreachable"


def entry(
    name: str, title: str, summary: str = "", *, keywords: list[str] | None = None, authors: str = ""
) -> IndexEntry:
    return IndexEntry(
        id=name,
        title=title,
        summary=summary,
        keywords=keywords or [],
        authors=authors,
        latest="1",
        versions=["1"],
        categories=["c"],
    )


APPS = [
    entry("bands", "Band structure", "Electron bands of a crystal."),
    entry("ir", "Infrared", "Spectrum of a molecule's vibrations.", keywords=["phonon"]),
    entry("phonon", "Lattice vibrations", "Vibrations of a crystal."),
    entry("molecule", "Molecule", "Geometry and infrared spectrum.", authors="Renée Müller"),
    entry("molecules", "Molecule sets", "Many at once."),
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["bands", "ir", "phonon", "molecule", "molecules"]),
        ("molecule", ["molecule", "molecules", "ir"]),
        ("infrared", ["ir", "molecule"]),
        ("INFRA", ["ir", "molecule"]),
        ("phonon", ["ir", "phonon"]),
        ("vibrations crystal", ["phonon"]),
        ("renee muller", ["molecule"]),
        ("tructur", ["bands"]),
        ("quantum", []),
        ("vibrations quantum", []),
        ("  ,;  ", ["bands", "ir", "phonon", "molecule", "molecules"]),
    ],
)
def test_search_ranks_titles_before_other_words(text: str, found: list[str]) -> None:
    assert [app.id for app in SearchIndex(APPS).find(text)] == found


def test_search_keeps_to_a_category() -> None:
    other = APPS[0].model_copy(update={"categories": ["d"]})
    assert SearchIndex([*APPS[1:], other]).find("", "d") == [other]
