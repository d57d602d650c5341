"""The registry's own web site: what stands on it, that it stays small work, and that no author can make it do anything."""

from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from simdeck_appstore.build import BuildReport, build_registry
from simdeck_appstore.documents import registry_index
from simdeck_appstore.models import Category, Citation
from simdeck_appstore.records_of_checks import place_of
from simdeck_appstore.registry import Registry
from simdeck_appstore.registry_settings import RegistrySettings
from simdeck_appstore.site import text
from simdeck_appstore.site.write import SiteWriter
from synthetic import write_app, write_many, write_source, write_stand_in

CHROMIUM = shutil.which("chromium")
SHOTS = Path(__file__).parents[1] / "artifacts" / "developer"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


def build(source: Path, base: Path) -> BuildReport:
    stand_in = base / "simdeck"
    if not stand_in.exists():
        write_stand_in(stand_in)
    return build_registry(source, base / "built", simdeck=stand_in)


def changed_pages(built: Path, before: dict[Path, int]) -> set[str]:
    """Return the pages that are other files than before, by path."""
    return {
        path.relative_to(built).as_posix()
        for path in built.rglob("*.html")
        if before.get(path.relative_to(built)) != path.stat().st_ino
    }


def files(built: Path) -> dict[Path, int]:
    return {path.relative_to(built): path.stat().st_ino for path in built.rglob("*.html")}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built registry of forty apps, one of them broken, one checked."""
    base = tmp_path_factory.mktemp("many")
    source = write_many(base, 40)
    (source / "registry.toml").write_text('title = "Apps of a test"\nsummary = "Forty of them."\n')
    write_app(base / "broken", "broken", manifest={"title": None})
    write_app(
        base / "checked",
        "checked",
        manifest={"title": "Möbius strips", "needs": ["A GPU."], "codes": ["Quantum ESPRESSO"]},
    )
    (base / "checked" / "CHANGELOG.md").write_text("# Changes\n\n## 1.0.0 (2026-02-03)\n\n- It *begins*.\n")
    with (source / "apps.yaml").open("a") as apps:
        apps.write("broken: {releases: ['file:../broken']}\nchecked: {releases: ['file:../checked']}\n")
    build(source, base)
    release = Registry(base / "built").app("checked").releases[0]
    assert release.wheel is not None
    record = {
        "version": "1.0.0",
        "wheel_sha256": release.wheel.sha256,
        "lock_sha256": release.lock.sha256,
        "python": "3.11.7",
        "when": "2026-02-03T04:05:06Z",
        "findings": [{"name": "page", "state": "passed", "message": "its page can be used after 0.9 s"}],
    }
    place = place_of(source, "checked", "1.0.0")
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(record))
    report = build(source, base)
    assert [problem.app for problem in report.problems] == ["broken"]
    return base


def test_every_app_and_category_has_a_page_and_what_was_left_out_is_named(many: Path) -> None:
    built = many / "built"
    index = Registry(built).index()
    assert all((built / "apps" / entry.id / "index.html").is_file() for entry in index.apps)
    assert all((built / "categories" / name / "index.html").is_file() for name in index.categories)
    assert "summary" not in (built / "report" / "index.html").read_text().partition("<main")[0]
    assert "title is missing" in (built / "report" / "index.html").read_text()


def test_an_app_page_says_versions_changes_checks_files_and_citations(many: Path) -> None:
    page = (many / "built" / "apps" / "checked" / "index.html").read_text()
    release = Registry(many / "built").app("checked").releases[0]
    for wanted in ("Möbius strips", "It <em>begins</em>.", "2026-02-03", "Quantum ESPRESSO", "A GPU.", "Checked"):
        assert wanted in page
    assert "its page can be used after 0.9 s" in page
    assert release.lock.sha256 in page
    other = next(path for path in (many / "built" / "apps").iterdir() if path.name != "checked")
    assert "@misc{" in (other / "index.html").read_text()


def test_every_link_and_picture_of_the_site_is_there(many: Path) -> None:
    built = many / "built"
    missing = set()
    for page in built.rglob("*.html"):
        for found in re.findall(r'(?:href|src)="([^"#]+)"', page.read_text()):
            if not found.startswith(("https://", "data:")) and not (page.parent / found).exists():
                missing.add(f"{page.relative_to(built)} → {found}")
    assert missing == set()


def test_a_new_release_renders_its_own_page_and_the_lists_alone(many: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(many, tmp_path / "copy"))
    build(base / "registry", base)
    before = files(base / "built")
    project = base / "checked"
    write_app(project, "checked", "1.1.0", manifest={"title": "Möbius strips", "categories": ["teaching"]})
    build(base / "registry", base)
    assert changed_pages(base / "built", before) == {
        "apps/checked/index.html",
        "index.html",
        "categories/teaching/index.html",
    }


def test_nothing_is_rendered_when_nothing_changed(many: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(many, tmp_path / "copy"))
    build(base / "registry", base)
    assert build(base / "registry", base).changed is False


def test_a_damaged_note_of_the_last_build_costs_a_rendering_and_nothing_else(many: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(many, tmp_path / "copy"))
    (base / "built" / ".site.json").write_text("{half")
    build(base / "registry", base)
    assert (base / "built" / "index.html").read_bytes() == (many / "built" / "index.html").read_bytes()


def test_settings_that_cannot_be_read_cost_the_title_and_not_the_build(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", {})
    (source / "registry.toml").write_text("titel = 1\n")
    report = build(source, tmp_path)
    assert "registry.toml" in report.warnings[0]
    assert "No apps yet" in (tmp_path / "built" / "index.html").read_text()


def test_the_manifests_schema_is_published(many: Path) -> None:
    schema = json.loads((many / "built" / "schema" / "tool.simdeck.json").read_text())
    assert "smoke" in schema["properties"]


@pytest.fixture
def evil(many: Path, tmp_path: Path) -> Path:
    """The site of a registry with an app that says everything an author may not, as if nothing had refused it."""
    app = Registry(many / "built").app("checked")
    readme = (
        f"# {EVIL}\n\n{EVIL}\n\n[a](javascript:alert(1)) [b](data:text/html,x) ![c](https://elsewhere.example/t.png)\n"
    )
    release = app.releases[0].model_copy(update={"needs": [EVIL], "codes": [EVIL], "changelog": EVIL, "released": EVIL})
    said = dict.fromkeys(("title", "summary", "authors", "license"), EVIL)
    cited = [Citation(text=EVIL, url='https://example.org/"onmouseover="alert(1)')]
    words = {"keywords": [EVIL], "methods": [EVIL], "citations": cited, "description": readme, "releases": [release]}
    app = app.model_copy(update={**said, **words})
    SiteWriter(tmp_path / "site", None, RegistrySettings(title=EVIL[:80])).write(
        registry_index([app], {"teaching": Category(title=EVIL)}, None, []), [app]
    )
    return tmp_path / "site"


def test_what_an_author_writes_is_text_everywhere(evil: Path) -> None:
    for page in evil.rglob("*.html"):
        body = page.read_text()
        assert "<script>alert" not in body
        assert "<img src=x" not in body
        assert not re.search(r"<[^>]*\sonmouseover=", body)
        assert not re.search(r'(?:href|src)="(?:javascript|data:text)', body)
        assert not re.search(r"<img[^>]*elsewhere", body)


def test_bibtex_keeps_its_braces_whatever_the_text_holds() -> None:
    made = text.bibtex("a-1", Citation(text="50% of {all} \\ x_1, 2019", doi="10.1000/1"))
    assert r"note = {50\% of \{all\} \textbackslash{} x\_1, 2019}" in made
    assert "year = {2019}" in made


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(many: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(many / "built"))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        yield page
        browser.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
class TestInABrowser:
    def test_search_finds_by_every_word_without_accents_and_keeps_the_address(self, site: str, page: Page) -> None:
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto(site)
        expect(page.get_by_role("status")).to_have_text("41 apps")
        page.keyboard.press("/")
        page.keyboard.type("mobius espr")
        expect(page.get_by_role("status")).to_have_text("1 app for “mobius espr”")
        expect(page.locator(".card:visible h2")).to_have_text(["Möbius strips"])
        assert page.url.endswith("?q=mobius+espr")
        page.get_by_label("Search apps").fill("nothing of the kind")
        expect(page.get_by_role("heading", name="No app matches")).to_be_visible()
        assert faults == []

    def test_a_link_with_a_search_shows_its_results(self, site: str, page: Page) -> None:
        page.goto(f"{site}?q=mobius")
        expect(page.locator(".card:visible")).to_have_count(1)

    def test_a_category_lists_its_own_and_leads_to_an_app(self, site: str, page: Page) -> None:
        page.goto(site)
        page.get_by_role("link", name=re.compile("^Teaching")).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Teaching")
        page.get_by_role("link", name="Möbius strips").click()
        expect(page.get_by_text("its page can be used after 0.9 s")).to_be_visible()

    def test_the_way_into_ones_own_store_is_remembered(self, site: str, page: Page) -> None:
        page.goto(f"{site}apps/checked/")
        page.get_by_label("Address of your Simdeck").fill("https://hub.example.org/jupyter")
        link = page.get_by_role("link", name="Show it in my store")
        expect(link).to_have_attribute("href", "https://hub.example.org/jupyter/services/deck/store/checked")
        page.reload()
        expect(page.get_by_label("Address of your Simdeck")).to_have_value("https://hub.example.org/jupyter")
        page.get_by_label("Address of your Simdeck").fill("javascript:alert(1)")
        expect(link).to_have_attribute("aria-disabled", "true")

    @pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
    def test_pages_fit_their_screen_and_axe_finds_nothing(self, site: str, page: Page, width: int, scheme: str) -> None:
        from simdeck_appstore.developer.checks.pages import AXE

        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for name in ("", "apps/checked/", "categories/solids/", "report/"):
            page.goto(site + name)
            page.evaluate(AXE.read_text())
            found = page.evaluate("axe.run().then(result => result.violations.map(one => one.id))")
            assert (name, found) == (name, [])
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.screenshot(path=SHOTS / f"site-{name.replace('/', '-')}{width}-{scheme}.png", full_page=name != "")
