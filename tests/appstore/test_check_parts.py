"""Each question of `simdeck app check` by itself: pages in a browser, known vulnerabilities, other Pythons."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from appstore_shop import UV
from simdeck_appstore.developer.checks import pages, pythons, vulnerabilities
from simdeck_appstore.developer.checks.vulnerabilities import Advisory, NotAskedError
from synthetic import SIX, write_app

CHROMIUM = shutil.which("chromium")
GOOD = "<!doctype html><html lang='en'><title>Good</title><main><h1>Good</h1></main></html>"
PAGES = {
    "/api/status": GOOD,
    "/good": GOOD,
    "/noisy": GOOD.replace("</main>", "<script>console.error('the basis set is missing')</script></main>"),
    "/throws": GOOD.replace("</main>", "<script>undefinedThing()</script></main>"),
    "/unfit": GOOD.replace("</main>", "<img src='data:,'><p style='color:#aaa;background:#fff'>faint</p></main>"),
    "/broken": GOOD.replace(
        "</main>", "<section id='sd-failure'><p>It stopped</p><pre>cell 1\nKeyError: 'He'</pre></section></main>"
    ),
    "/never": "<!doctype html><html lang='en'><title>Never</title><main></main></html>",
}


@dataclass
class FakeDeck:
    """A server of fixed pages in the place of Jupyter's."""

    root: str
    token: str = "token"
    instance: str = "check-of-nothing"
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def deck() -> Iterator[Any]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = PAGES.get(self.path.partition("?")[0])
            self.send_response(200 if text else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write((text or "<p>This app has no page to open here.</p>").encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield FakeDeck(f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_each_fault_of_a_page_is_found_and_named(deck: Any) -> None:
    names = ["good", "noisy", "throws", "unfit", "broken", "never", "gone"]
    found = {one.address: one for one in pages.open_all(deck, names, Path(CHROMIUM or ""), 3)}
    good = found["good"]
    assert (good.failure, good.console, good.unfit) == ("", [], [])
    assert good.seconds > 0
    assert found["noisy"].console == ["the basis set is missing"]
    assert "undefinedThing" in found["throws"].console[0]
    assert {fault.partition(":")[0] for fault in found["unfit"].unfit} == {"image-alt", "color-contrast"}
    assert found["broken"].failure == "KeyError: 'He'"
    assert "could not be used within 3 s" in found["never"].failure
    assert found["gone"].failure == "This app has no page to open here."


# --- vulnerabilities --------------------------------------------------------------------------------------------------


def advisory(**affected: Any) -> dict[str, Any]:
    package = {"name": affected.pop("name", "six"), "ecosystem": "PyPI"}
    return {"id": "PYSEC-1", "summary": "Bad.", "affected": [{"package": package, **affected}]}


def ranged(*events: dict[str, str]) -> dict[str, Any]:
    return advisory(ranges=[{"type": "ECOSYSTEM", "events": list(events)}])


@pytest.mark.parametrize(
    ("said", "hit"),
    [
        (advisory(versions=["1.17.0"]), True),
        (advisory(versions=["1.16.0"]), False),
        (ranged({"introduced": "0"}, {"fixed": "1.18"}), True),
        (ranged({"introduced": "0"}, {"fixed": "1.17.0"}), False),
        (ranged({"introduced": "1.18"}), False),
        (ranged({"introduced": "0"}, {"last_affected": "1.17.0"}), True),
        (ranged({"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.5"}), True),
        (advisory(name="seven", versions=["1.17.0"]), False),
    ],
)
def test_an_advisory_counts_for_the_locked_version(tmp_path: Path, said: dict[str, Any], hit: bool) -> None:
    (tmp_path / "one.json").write_text(json.dumps(said))
    found = vulnerabilities.in_files(vulnerabilities.pinned(SIX), tmp_path / "one.json")
    assert found == ([Advisory("six", "1.17.0", "PYSEC-1", "Bad.")] if hit else [])


def test_the_archive_that_osv_offers_is_read_as_it_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as bundle:
        bundle.writestr("PYSEC-1.json", json.dumps(advisory(versions=["1.17.0"])))
        bundle.writestr("PYSEC-2.json", json.dumps(advisory(versions=["0.1"])))
    assert [one.id for one in vulnerabilities.in_files({"six": "1.17.0"}, tmp_path)] == ["PYSEC-1"]


def test_a_list_that_cannot_be_read_is_said_and_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(b"no zip")
    with pytest.raises(NotAskedError, match=r"all\.zip cannot be read"):
        vulnerabilities.in_files({"six": "1.17.0"}, tmp_path)


def test_osv_is_asked_once_for_all_packages() -> None:
    asked: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return httpx.Response(200, json={"results": [{}, {"vulns": [{"id": "GHSA-1"}]}]})

    client = httpx.Client(transport=httpx.MockTransport(answer))
    found = vulnerabilities.at_osv({"six": "1.17.0", "ase": "3.0"}, client)
    assert found == [Advisory("six", "1.17.0", "GHSA-1")]
    assert [query["package"]["name"] for query in asked[0]["queries"]] == ["ase", "six"]


def test_osv_that_does_not_answer_is_said() -> None:
    client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(503)))
    with pytest.raises(NotAskedError, match="does not answer"):
        vulnerabilities.at_osv({"six": "1.17.0"}, client)


# --- other Pythons ----------------------------------------------------------------------------------------------------


def test_for_a_python_that_is_not_here_the_lock_is_resolved_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pythons, "find", lambda uv: {})
    project = write_app(tmp_path / "demo")
    wheel = write_wheel(project, tmp_path)
    tried = pythons.try_each(UV, ">=3.12", project / "requirements.lock", [wheel], "simdeck_demo", "", "3.13")
    assert [(one.version, one.outcome) for one in tried] == [("3.12", "resolved"), ("3.14", "resolved")]
    assert pythons.report("3.13", tried) == (
        "passed",
        "it installs with Python 3.13; resolved only, because not on this machine: 3.12, 3.14",
    )


def test_a_lock_that_lacks_something_for_a_python_that_is_not_here_is_found(tmp_path: Path) -> None:
    needy = write_app(tmp_path / "demo", dependencies=("six", "iniconfig; python_version >= '3.12'"))
    wheel, lock = write_wheel(needy, tmp_path), needy / "requirements.lock"
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    assert pythons.resolve(UV, "3.11", tmp_path / "old", lock, [wheel]) == ""
    assert pythons.resolve(UV, "3.12", tmp_path / "new", lock, [wheel]) == "the lock lacks iniconfig"


def test_that_the_newest_python_cannot_be_resolved_is_a_warning_and_an_older_one_a_failure() -> None:
    new, old = pythons.Tried("3.14", "resolved", "no wheels"), pythons.Tried("3.13", "resolved", "no wheels")
    state, words = pythons.report("3.11", [pythons.Tried("3.12", "installed"), new])
    assert (state, words) == (
        "warning",
        "it installs with Python 3.11, 3.12; its packages are not ready for 3.14: no wheels",
    )
    assert pythons.report("3.11", [old, new]) == ("failed", "with Python 3.13 it does not resolve: no wheels")


def test_a_package_that_does_not_import_with_another_python_is_found(tmp_path: Path) -> None:
    project = write_app(tmp_path / "demo", source="import nothing_of_this_name\n")
    here = pythons.find(UV)
    minor, python = next(iter(here.items()))
    wheel = write_wheel(project, tmp_path)
    reason = pythons._install(UV, python, tmp_path, project / "requirements.lock", [wheel], "simdeck_demo", "")
    assert "nothing_of_this_name" in reason, minor


def test_that_the_page_runs_with_another_python_is_said_and_that_it_does_not_is_a_failure() -> None:
    good, bad = pythons.Tried("3.12", "rendered"), pythons.Tried("3.13", "rendered", "KeyError: 'He'")
    assert pythons.report("3.11", [good])[1] == "it installs with Python 3.11, 3.12, and its page runs with 3.12"
    assert pythons.report("3.11", [good, bad]) == (
        "failed",
        "with Python 3.13 it does not show its page: KeyError: 'He'",
    )


def write_wheel(project: Path, folder: Path) -> Path:
    import sys

    from simdeck_appstore.developer.release import make_release

    return make_release(project, folder / "dist", Path(sys.executable)).wheel
