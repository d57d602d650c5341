"""`simdeck app dev` as a developer meets it: the command, a browser beside it, saves, and Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from appstore_shop import UV
from playwright.sync_api import FrameLocator, Page, expect, sync_playwright
from simdeck_appstore.developer.dev import watch
from simdeck_appstore.developer.dev.sources import DevSettings, source_of
from simdeck_appstore.developer.new import create
from stack import missing, wait_for

ROOT = Path(__file__).parents[2]
SIMDECK = Path(sys.executable).with_name("simdeck")
SHOTS = ROOT / "tests" / "artifacts" / "developer"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHROMIUM = shutil.which("chromium")
REASON = missing() or ("there is no Chromium on this machine" if CHROMIUM is None else None)


@dataclass
class Dev:
    """A session that runs: its project, its process, what it printed."""

    project: Path
    process: subprocess.Popen[bytes]
    output: Path
    temporary: Path

    @property
    def address(self) -> str | None:
        found = re.search(r"http://127\.0\.0\.1:\d+/dev/\?token=\S+", self.output.read_text())
        return found[0] if found else None

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.project / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    base = tmp_path_factory.mktemp("dev")
    project = create(base / "wave", "wave")
    shutil.copyfile(ROOT / "apps" / "molecule" / "requirements.lock", project / "requirements.lock")
    # Sockets need short paths: pytest's own temporary folders may be long.
    temporary = Path(tempfile.mkdtemp(prefix="sd-"))
    environment = {**os.environ, "XDG_CACHE_HOME": str(base / "cache"), "TMPDIR": str(temporary)}
    environment.pop("XDG_RUNTIME_DIR", None)
    environment["UV_CACHE_DIR"] = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
    output = base / "dev.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [str(SIMDECK), "app", "dev", str(project)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    running = Dev(project, process, output, temporary)
    try:
        wait_for("the address was printed", lambda: running.address or process.poll() is not None, 300)
        assert running.address, output.read_text()
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)
        shutil.rmtree(temporary, ignore_errors=True)


@pytest.fixture(scope="module")
def page(dev: Dev) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(dev.address or "")
        yield page
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / "dev-last.png")
        browser.close()


def app(page: Page) -> FrameLocator:
    return page.frame_locator("#page")


@pytest.mark.browser
@pytest.mark.skipif(REASON is not None, reason=str(REASON))
class TestASession:
    def test_the_app_opens_from_its_folder_with_its_workflow(self, page: Page) -> None:
        expect(app(page).get_by_role("button", name="Submit")).to_be_visible(timeout=60_000)
        expect(page.locator("#version")).to_have_text("0.1.0+dev.1")
        assert "token" not in page.url
        page.screenshot(path=SHOTS / "dev.png")

    def test_a_run_can_be_started_and_finishes(self, page: Page) -> None:
        app(page).get_by_role("button", name="Submit").click()
        expect(app(page).get_by_text("Finished").first).to_be_visible(timeout=90_000)

    def test_saving_the_page_shows_the_new_one(self, dev: Dev, page: Page) -> None:
        notebook = dev.project / "simdeck_wave" / "app.ipynb"
        content = json.loads(notebook.read_text())
        content["cells"][0]["source"] = ["import ipywidgets\n", "ipywidgets.HTML('saved once')"]
        notebook.write_text(json.dumps(content))
        expect(app(page).get_by_text("saved once")).to_be_visible(timeout=60_000)

    def test_a_fault_in_the_description_is_shown_with_its_line_and_the_page_stays(self, dev: Dev, page: Page) -> None:
        dev.edit("pyproject.toml", 'title = "Wave"', 'titel = "Wave"')
        expect(page.get_by_role("alert")).to_contain_text("pyproject.toml, line", timeout=30_000)
        expect(app(page).get_by_text("saved once")).to_be_visible()
        dev.edit("pyproject.toml", 'titel = "Wave"', 'title = "Wave two"')
        expect(page.locator("#problem")).to_be_hidden(timeout=60_000)

    def test_saving_the_workflow_changes_what_runs(self, dev: Dev, page: Page) -> None:
        path = dev.project / "simdeck_wave" / "workflows.py"
        text = path.read_text()
        title = re.search(r'"title": "([^"]+)"', text)
        assert title
        path.write_text(text.replace(title[0], '"title": "Waves and more"', 1))
        headers = {"Authorization": f"token {(dev.address or '').partition('token=')[2]}"}
        api = (dev.address or "").partition("?")[0] + "api/v1"

        def new_title() -> bool:
            answer = httpx.get(f"{api}/workflows/wave.run", headers=headers, timeout=30)
            return answer.status_code == 200 and answer.json()["title"] == "Waves and more"

        wait_for("the workflow's new title", new_title)

    def test_nobody_without_the_token_gets_in(self, dev: Dev) -> None:
        root = (dev.address or "").partition("?")[0]
        assert httpx.get(root).status_code in (302, 403)
        assert httpx.get(f"{root}api/v1/workflows").status_code in (302, 403)

    def test_ctrl_c_leaves_nothing(self, dev: Dev) -> None:
        assert list(dev.temporary.iterdir()) != []
        dev.process.send_signal(signal.SIGINT)
        assert dev.process.wait(60) == 0, dev.output.read_text()
        assert [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if _ours(path, dev)] == []
        assert list(dev.temporary.iterdir()) == []
        assert "Traceback" not in dev.output.read_text()


def _ours(path: Path, dev: Dev) -> bool:
    try:
        return f"TMPDIR={dev.temporary}\0".encode() in path.read_bytes()
    except OSError:
        return False


def test_what_editors_leave_about_is_no_save(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "page.ipynb").write_text(json.dumps({}))
    before = watch.look(tmp_path)
    for name in (".page.ipynb.swp", "page.ipynb~", "4913.tmp"):
        (tmp_path / "app" / name).write_text("")
    (tmp_path / "app" / "__pycache__").mkdir()
    (tmp_path / "app" / "__pycache__" / "page.pyc").write_text("")
    assert watch.differing(before, watch.look(tmp_path)) == set()


def test_a_save_names_the_files_that_came_went_and_changed(tmp_path: Path) -> None:
    for name in ("stays", "goes", "changes"):
        (tmp_path / name).write_text("one")
    before = watch.look(tmp_path)
    (tmp_path / "goes").unlink()
    (tmp_path / "comes").write_text("one")
    (tmp_path / "changes").write_text("another")
    assert watch.differing(before, watch.look(tmp_path)) == {"goes", "comes", "changes"}


def test_a_save_of_an_aiidalab_app_becomes_a_version_around_the_same_environment(tmp_path: Path) -> None:
    project = create(tmp_path / "aiidalab-cells", "cells", "aiidalab")
    (project / "setup.cfg").write_text((project / "setup.cfg").read_text().replace("    ase\n", ""))
    settings = DevSettings(uv=UV, app_python=Path(getattr(sys, "_base_executable", sys.executable)))
    apps = tmp_path / "apps"
    source = source_of(project, apps, settings, lambda words: None)
    assert (source.app, source.take(set())) == ("cells", "0.1.0+dev.1")
    (project / "cells.py").write_text("SAVED = True\n")
    (project / "second.ipynb").write_text((project / "app.ipynb").read_text())
    assert source.take({"cells.py", "second.ipynb"}) == "0.1.0+dev.2"
    current = apps / "cells" / "current"
    assert (current / "apps" / "cells" / "cells.py").read_text() == "SAVED = True\n"
    assert json.loads((current / "app.json").read_text())["entry"]["pages"] == ["app.ipynb", "second.ipynb"]
    first = apps / "cells" / "versions" / "0.1.0+dev.1" / "env"
    assert (current / "env").resolve() == first.resolve()
