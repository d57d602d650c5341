"""App pages in real Chromium: drawn, answering, honest about a lost connection."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")]


@pytest.fixture
async def page(server: Any) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        await page.goto(f"{server.address}api/status?token=test-token")
        yield page
        await browser.close()


async def test_a_page_of_anywidgets_answers_a_click(server: Any, page: Page) -> None:
    await page.goto(f"{server.address}deck/hello/?run=9")
    hello = page.locator(".hello")
    await expect(hello).to_contain_text("run=9 hello 1.0", timeout=30_000)
    await hello.click()
    await expect(hello).to_have_text("clicked", timeout=30_000)
    await expect(page.locator("#sd-skeleton")).to_be_hidden()


async def test_a_page_of_other_widgets_is_drawn_by_voila(server: Any, page: Page) -> None:
    await page.goto(f"{server.address}deck/slider/")
    await expect(page.locator(".widget-slider")).to_be_visible(timeout=60_000)


async def test_a_page_loads_nothing_from_other_sites(server: Any, page: Page) -> None:
    elsewhere: list[str] = []
    page.on(
        "request",
        lambda r: None if r.url.startswith(("http://127.0.0.1", "blob:", "data:")) else elsewhere.append(r.url),
    )
    await page.goto(f"{server.address}deck/slider/")
    await expect(page.locator(".widget-slider")).to_be_visible(timeout=60_000)
    assert elsewhere == []


async def test_leaving_a_page_ends_its_kernel(server: Any, page: Page) -> None:
    await page.goto(f"{server.address}deck/hello/")
    await expect(page.locator(".hello")).to_be_visible(timeout=30_000)
    kernel = await page.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId")
    assert kernel in server.kernels()
    await page.goto("about:blank")
    server.until(lambda: kernel not in server.kernels())


async def test_a_page_whose_kernel_is_gone_says_so_and_offers_to_reload(server: Any, page: Page) -> None:
    await page.goto(f"{server.address}deck/hello/")
    await expect(page.locator(".hello")).to_be_visible(timeout=30_000)
    kernel = await page.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId")
    await page.evaluate(
        "id => fetch(`../../api/kernels/${id}`, {method: 'DELETE', headers: {'X-XSRFToken': (document.cookie.match('_xsrf=([^;]*)') || [])[1]}})",
        kernel,
    )
    await page.locator(".hello").click()
    note = page.locator("#sd-connection")
    await expect(note).to_contain_text("The connection to your server is gone", timeout=30_000)
    await expect(note.get_by_role("link", name="Reload the page")).to_be_visible()
