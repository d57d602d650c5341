"""From the deck into apps of every kind, through the hub and its proxy, in real Chromium."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from simdeck_appstore.models import VersionRecord
from stack import Stack, missing

sys.path.insert(0, str(Path(__file__).parents[1] / "server_extension"))

from aiidalab_apps import install_all
from program_apps import install_files, install_program

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.timeout(900),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

Shot = Callable[[Page, str], None]


def adopt(apps: Path, app: str) -> None:
    """Complete a fixture app to what an install leaves, so that the agent lists it."""
    version = apps / app / "versions" / "1.0"
    about = json.loads((version / "app.json").read_text())
    record = VersionRecord(
        id=app, title=about["title"], summary=f"Made by a test ({about['entry']['kind']}).", version="1.0",
        package=about.get("package", ""), entry=about["entry"], kernel=f"simdeck-{app}", lock_sha256="0" * 64,
        installed="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    (version / "app.json").write_text(record.model_dump_json())
    (apps / app / "history.json").write_text(json.dumps({"current": "1.0", "earlier": []}))


@pytest.fixture(scope="module")
def apps(stack: Stack) -> Path:
    """Fixture apps in the person's own folder: AiiDAlab's, a program, files."""
    folder = Path(stack.data.users) / stack.users[0] / "apps"
    install_all(folder)
    install_program(folder, "small")
    install_files(folder, "viewer", {"index.html": "<!DOCTYPE html><title>Viewer</title><h1>Viewer of results</h1>"})
    for app in ("docs", "live", "small", "viewer"):
        adopt(folder, app)
    return folder


def open_from_deck(page: Page, stack: Stack, title: str) -> None:
    page.goto(f"{stack.url}/services/deck/")
    page.get_by_role("link", name=f"Open {title}").first.click()


def test_an_aiidalab_app_opens_from_its_card_and_its_links_work(
    page: Page, stack: Stack, apps: Path, shot: Shot
) -> None:
    open_from_deck(page, stack, "Documents")
    page.wait_for_url("**/apps/apps/docs/", timeout=120_000)
    shot(page, "30-aiidalab-banner")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Analyse").first.click()
    beside = opened.value
    expect(beside.locator(".widget-slider")).to_be_visible(timeout=60_000)
    expect(beside.get_by_text("pk ['7'] cwd docs")).to_be_visible()
    shot(beside, "31-aiidalab-page")
    beside.locator(".noUi-handle").focus()
    beside.keyboard.press("ArrowRight")
    expect(beside.locator("#heard")).to_have_text("8", timeout=30_000)
    beside.close()


def test_a_live_banner_opens_and_answers(page: Page, stack: Stack, apps: Path, shot: Shot) -> None:
    open_from_deck(page, stack, "Live")
    page.get_by_role("button", name="Say hello").click(timeout=90_000)
    expect(page.locator("#said")).to_have_text("Hello from live", timeout=30_000)
    shot(page, "32-aiidalab-live")


def test_a_deep_link_opens_one_page_of_an_app_with_its_query(page: Page, stack: Stack, apps: Path) -> None:
    page.goto(f"{stack.url}/services/deck/open/docs?page=notebooks/deep.ipynb&pk=5")
    expect(page.get_by_text("deep in notebooks pk=5")).to_be_visible(timeout=60_000)


def test_a_web_program_opens_from_its_card_and_talks_on_its_websocket(
    page: Page, stack: Stack, apps: Path, shot: Shot
) -> None:
    open_from_deck(page, stack, "Small <app>")
    expect(page.get_by_role("heading", name="Small program")).to_be_visible(timeout=60_000)
    expect(page.locator("#heard")).to_have_text("heard hello", timeout=30_000)
    page.goto(f"{stack.url}/services/deck/open/small?run=77")
    expect(page.locator("#query")).to_have_text("run=77", timeout=30_000)
    # It dies: the page says so, shows its last words, and starts it anew.
    page.request.post(page.url.partition("?")[0] + "die")
    for _ in range(50):
        page.reload()
        if page.locator("#sd-failure").count():
            break
    expect(page.locator("#sd-failure")).to_contain_text("the last words of the program")
    shot(page, "33-program-stopped")
    page.get_by_role("button", name="Start it anew").click()
    expect(page.locator("#query")).to_have_text("run=77", timeout=60_000)


def test_files_open_from_their_card(page: Page, stack: Stack, apps: Path) -> None:
    open_from_deck(page, stack, "Viewer")
    expect(page.get_by_role("heading", name="Viewer of results")).to_be_visible(timeout=30_000)


def test_no_page_on_the_way_threw(errors: list[str]) -> None:
    assert errors == []
