"""Pages of AiiDAlab apps in real Chromium: live banner, classic notebook's names, links, widgets that answer."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiidalab_apps import install_all
from playwright.async_api import Page, async_playwright, expect
from server_extension.conftest import running
from server_extension.test_page_in_browser import FLAGS

CHROMIUM = shutil.which("chromium")
SHOTS = Path(__file__).parents[1] / "artifacts" / "aiidalab"

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    root = tmp_path_factory.mktemp("aiidalab-browser")
    install_all(root / "apps")
    with running(root, root / "apps", SIMDECK_WARM_APPS="0") as found:
        yield found


@pytest.fixture
def errors() -> list[str]:
    return []


@pytest.fixture
async def page(lab: Any, errors: list[str]) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await (await browser.new_context()).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(f"{lab.address}api/status?token=test-token")
        yield page
        await browser.close()


async def shot(page: Page, name: str) -> None:
    """Keep a picture: desktop in light, phone in dark."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.screenshot(path=SHOTS / f"{name}-phone-dark.png", full_page=True)
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": 1280, "height": 800})


async def test_the_way_from_the_banner_through_its_links_to_a_widget_that_answers(
    lab: Any, page: Page, errors: list[str]
) -> None:
    await page.goto(f"{lab.address}deck/docs/")
    await expect(page.locator(".sd-banner img")).to_be_visible()
    assert await page.locator(".sd-banner img").evaluate("one => one.naturalWidth") > 0
    await shot(page, "banner-markdown")
    async with page.context.expect_page() as opened:
        await page.get_by_role("link", name="Analyse").first.click()
    beside = await opened.value
    beside.on("pageerror", lambda error: errors.append(str(error)))
    await expect(beside.locator(".widget-slider")).to_be_visible(timeout=60_000)
    await expect(beside).to_have_title("Analyse")
    await shot(beside, "page")
    await beside.locator(".noUi-handle").focus()
    await beside.keyboard.press("ArrowRight")
    await expect(beside.locator("#heard")).to_have_text("8", timeout=30_000)
    await beside.get_by_role("link", name="to the deep page").click()
    await expect(beside.get_by_text("deep in notebooks from=analyse")).to_be_visible(timeout=60_000)
    assert errors == []


async def test_a_banner_that_is_a_program_is_alive_and_its_links_lead_on(
    lab: Any, page: Page, errors: list[str]
) -> None:
    await page.goto(f"{lab.address}deck/live/")
    await page.get_by_role("button", name="Say hello").click(timeout=60_000)
    await expect(page.locator("#said")).to_have_text("Hello from live", timeout=30_000)
    await shot(page, "banner-live")
    await page.locator("#edit").click()
    await expect(page.get_by_text("page of live")).to_be_visible(timeout=60_000)
    assert page.url == f"{lab.address}apps/apps/live/page.ipynb"
    assert errors == []


async def test_an_older_banner_that_takes_two_places_is_shown(lab: Any, page: Page) -> None:
    await page.goto(f"{lab.address}apps/apps/older/")
    await expect(page.get_by_role("button", name="Say hello")).to_be_visible(timeout=60_000)


async def test_a_banner_that_fails_says_so_where_it_would_be_and_the_pages_stay_reachable(lab: Any, page: Page) -> None:
    await page.goto(f"{lab.address}apps/apps/sad/")
    await expect(page.locator(".alert-danger")).to_contain_text("RuntimeError: no banner <today>", timeout=60_000)
    await expect(page.get_by_role("navigation", name="Pages of this app").get_by_role("link")).to_have_count(1)


async def test_the_same_page_opened_twice_has_two_states(lab: Any, page: Page) -> None:
    other = await page.context.new_page()
    for one in (page, other):
        await one.goto(f"{lab.address}apps/apps/docs/analyse.ipynb?pk=7")
        await expect(one.locator(".widget-slider")).to_be_visible(timeout=60_000)
    await page.locator(".noUi-handle").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#heard")).to_have_text("8", timeout=30_000)
    await expect(other.locator("#heard")).to_have_count(0)
