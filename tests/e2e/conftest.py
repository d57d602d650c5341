"""A person at a browser: the real `simdeck up`, real Chromium, screenshots kept in ``tests/artifacts/e2e``."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from stack import Stack

sys.path.insert(0, str(Path(__file__).parents[1] / "molecule"))
sys.path.insert(0, str(Path(__file__).parents[2] / "apps" / "molecule"))

SHOTS = Path(__file__).parents[1] / "artifacts" / "e2e"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 120_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One running Simdeck for the whole walk."""
    with Stack(tmp_path_factory.mktemp("e2e")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def errors() -> list[str]:
    """What the pages' scripts threw; a test at the end looks at it."""
    return []


@pytest.fixture(scope="module")
def page(stack: Stack, browser: Browser, errors: list[str]) -> Iterator[Page]:
    """The person's page, signed in with the one-time password that was printed."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
    page.goto(stack.url)
    page.get_by_label("User name").fill(stack.users[0])
    page.get_by_label("One-time password").fill(stack.passwords[stack.users[0]])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/services/deck/")
    yield page
    SHOTS.mkdir(parents=True, exist_ok=True)
    # What a failed walk ended on.
    page.screenshot(path=SHOTS / "99-last.png", full_page=True)
    (SHOTS / "99-last.log").write_text(stack.logs())
    context.close()


@pytest.fixture
def shot() -> Callable[[Page, str], None]:
    """Keep a picture: desktop as it is, and the same page on a phone and in the dark."""
    SHOTS.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str) -> None:
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": 390, "height": 844})
        page.screenshot(path=SHOTS / f"{name}-phone-dark.png", full_page=True)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 900})

    return take
