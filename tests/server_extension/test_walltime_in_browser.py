"""The time left on app pages in real Chromium, and the way into a new job.

``SIMDECK_SHOTS`` names a folder that screenshots go to.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, async_playwright, expect

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 360, "height": 740}}

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")]


@pytest.fixture
async def page(ending_server: Any) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await (await browser.new_context()).new_page()
        await page.goto(f"{ending_server.address}api/status?token=test-token")
        yield page
        await browser.close()


async def opened(server: Any, page: Page, app: str = "saver", query: str = "") -> None:
    await page.clock.install()
    await page.goto(f"{server.address}deck/{app}/{query}")
    await expect(page.locator("body.sd-rendered")).to_be_attached(timeout=60_000)


async def until_left(page: Page, seconds: int) -> None:
    """Turn the page's clock to where so many seconds are left."""
    given = int(await page.locator("#sd-walltime").get_attribute("data-left") or 0)
    await page.clock.fast_forward((given - seconds) * 1000)


@pytest.mark.parametrize("app", ["saver", "slider"])
async def test_both_kinds_of_pages_show_the_time_left(ending_server: Any, page: Page, app: str) -> None:
    await opened(ending_server, page, app)
    await expect(page.locator("#sd-walltime")).to_contain_text("h")
    await expect(page.locator("#sd-walltime-note")).to_be_hidden()


async def test_the_warning_is_polite_once_and_can_be_dismissed(ending_server: Any, page: Page) -> None:
    await opened(ending_server, page)
    await until_left(page, 500)
    words = page.get_by_role("status").filter(has_text="The job of your server ends in")
    await expect(words).to_be_visible()
    await expect(words).to_have_attribute("aria-live", "polite")
    await page.get_by_role("button", name="Dismiss").click()
    await page.clock.fast_forward(60_000)
    await expect(words).to_be_hidden()
    await page.clock.fast_forward(325_000)
    await expect(words).to_contain_text("2 min")


async def test_continue_leads_to_the_same_app_and_the_run_shown_now(ending_server: Any, page: Page) -> None:
    await opened(ending_server, page, query="?run=old")
    await until_left(page, 500)
    await page.evaluate("history.replaceState(null, '', '?run=a%2Bb')")
    link = page.get_by_role("link", name="Continue in a new job")
    await link.focus()
    await expect(link).to_have_attribute("href", "/services/deck/open/saver?run=a%2Bb&continue=1&server=-")


async def test_a_page_without_an_end_shows_nothing(server: Any) -> None:
    text = server.get("deck/hello/").text
    assert "sd-walltime" not in text
    assert "walltime.js" not in text


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
async def test_the_warning_takes_room_of_its_own(ending_server: Any, page: Page, size: str, theme: str) -> None:
    await page.set_viewport_size(SIZES[size])  # type: ignore[arg-type]
    await page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    await opened(ending_server, page)
    await until_left(page, 500)
    note = page.locator("#sd-walltime-note")
    await expect(note).to_be_visible()
    if folder := os.environ.get("SIMDECK_SHOTS"):
        await page.screenshot(path=Path(folder) / f"walltime-{size}-{theme}.png")
    below = await page.locator(".sd-card").first.bounding_box()
    box = await note.bounding_box()
    assert below is not None
    assert box is not None
    assert box["y"] + box["height"] <= below["y"]
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    await page.evaluate("scrollTo(0, 600)")
    if size == "phone":
        await expect(note).not_to_be_in_viewport()
        await expect(page.locator("#sd-walltime.sd-soon")).to_be_in_viewport()


# Last: the server warns once.
async def test_the_schedulers_signal_reaches_page_and_kernel(ending_server: Any, page: Page) -> None:
    await opened(ending_server, page)
    await expect(page.locator(".sd-card").first).to_contain_text("nothing saved")
    voila = await page.context.new_page()
    await voila.goto(f"{ending_server.address}deck/slider/")
    await expect(voila.locator(".widget-slider")).to_be_visible(timeout=60_000)
    for one in (page, voila):
        await expect(one.locator("body")).to_have_attribute("data-connection", "connected", timeout=30_000)
    ends = int(time.time()) + 500
    async with httpx.AsyncClient(headers={"Authorization": "token test-token"}) as client:
        assert (await client.post(f"{ending_server.address}test/warn?ends={ends}")).status_code == 204
    await expect(page.locator(".sd-card").first).to_contain_text("saved with", timeout=15_000)
    await expect(page.locator("#sd-walltime-note")).to_contain_text("ends in 8 min")
    await expect(voila.locator("#sd-walltime-note")).to_contain_text("ends in 8 min")
