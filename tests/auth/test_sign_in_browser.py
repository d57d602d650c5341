"""The sign-in page in real Chromium: refused, signed in as somebody else, signed out; readable and on one screen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from auth.auth_hub import Hub
from auth.conftest import Start
from playwright.async_api import Page, async_playwright

pytestmark = pytest.mark.browser
ARTIFACTS = Path(__file__).parents[1] / "artifacts" / "auth"
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]


async def shoot(page: Page, name: str) -> None:
    """Keep a picture, and check that nothing is cut off at the side."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


async def test_a_person_is_refused_in_a_sentence_and_then_signs_in_as_somebody_else(start: Start) -> None:
    if not shutil.which("chromium"):
        pytest.skip("there is no Chromium on this machine")
    hub, _ = start(name="Example University")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = await browser.new_page(viewport={"width": 390, "height": 780}, color_scheme="dark")
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{hub.url}/hub/login")
        await shoot(page, "1-sign-in-phone-dark")
        await page.get_by_role("button", name="Sign in with Example University").click()
        await page.get_by_role("link", name="nobody").click()
        # Without Unix accounts the name is enough.
        await page.wait_for_url("**/hub/home")
        await page.goto(f"{hub.url}/hub/logout")
        await page.goto(f"{hub.url}/hub/oauth_login?again=1")
        await page.get_by_role("link", name="superuser").click()
        alert = page.get_by_role("alert")
        await alert.wait_for()
        assert "The account root belongs to the system" in await alert.inner_text()
        await shoot(page, "2-refused-phone-dark")
        await page.set_viewport_size({"width": 1280, "height": 800})
        await page.emulate_media(color_scheme="light")
        await shoot(page, "3-refused")
        await page.get_by_role("link", name="Sign in as somebody else").click()
        await page.get_by_role("link", name="alice").click()
        await page.wait_for_url("**/hub/home")
        await page.locator(".simdeck-user", has_text="alice").wait_for()
        await page.goto(f"{hub.url}/hub/logout")
        await page.get_by_role("button", name="Sign in with Example University").wait_for()
        assert complaints == []
        await browser.close()


async def test_the_shared_password_is_warned_of_where_it_is_typed(hub: Hub) -> None:
    if not shutil.which("chromium"):
        pytest.skip("there is no Chromium on this machine")
    secret = hub.data.private / "test-password"
    secret.write_text("open sesame for tests", encoding="utf-8")
    secret.chmod(0o600)
    hub.start({"kind": "shared-password", "password_file": "test-password"}, users=["alice"])
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        await page.goto(f"{hub.url}/hub/login")
        assert "this is a test" in await page.get_by_role("note").inner_text()
        await shoot(page, "4-shared-password")
        await page.get_by_label("User name").fill("alice")
        await page.get_by_label("Password", exact=True).fill("open sesame for tests")
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url("**/hub/home")
        await browser.close()
