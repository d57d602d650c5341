"""The gallery in real Chromium: every part drawn and answering, and nothing for axe to find, wide and narrow, light and dark."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect
from server_extension.conftest import TOKEN, Server, running
from server_extension.installed_apps import finish_install
from simdeck_appstore.developer.checks.pages import AXE, TAGS

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
SHOTS = Path(os.environ.get("SIMDECK_SHOTS", ROOT / "tests" / "artifacts"))
PARTS = (
    "structure-viewer", "structure-editor", "structure-search", "input-form", "resource-picker", "run-monitor", "run-table",
    "plot", "bands-plot", "failure-card",
)  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    SHOTS.mkdir(parents=True, exist_ok=True)
    apps = tmp_path / "apps"
    package = apps / "gallery" / "versions" / "1.0" / "env" / "lib" / "python3.11" / "site-packages" / "simdeck_gallery"
    shutil.copytree(ROOT / "apps" / "gallery" / "simdeck_gallery", package)
    finish_install(apps, "gallery", "1.0", "simdeck_gallery/app.ipynb", "Gallery", pythonpath=str(package.parent))
    with running(tmp_path, apps, SIMDECK_WARM_SPARE="0") as found:
        yield found


@pytest.fixture
async def page(server: Server) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        await page.goto(f"{server.address}api/status?token={TOKEN}")
        yield page
        await browser.close()


async def faults(page: Page) -> list[Any]:
    """What axe finds in the page as it is."""
    found: list[Any] = await page.evaluate(
        "tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']}).then(result =>"
        " result.violations.map(one => [one.id, one.nodes.map(node => node.html.slice(0, 120))]))",
        TAGS,
    )
    return found


async def test_every_part_of_the_gallery_answers_and_axe_finds_nothing(server: Server, page: Page) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(f"{server.address}deck/gallery/")
    for part in PARTS:
        await expect(page.locator(f".sd-example-{part} .sdk-code")).to_be_visible(timeout=60_000)

    editor = page.locator(".sd-example-structure-editor")
    await editor.get_by_label("Element of atom 1").fill("K")
    await editor.get_by_label("Element of atom 1").press("Enter")
    await expect(editor.get_by_role("button", name="Undo")).to_be_enabled(timeout=20_000)
    await editor.get_by_role("button", name="Add an atom").click()
    await expect(editor.get_by_label("Element of atom 3")).to_have_value("K", timeout=20_000)
    await editor.get_by_label("x of atom 3").fill("near")
    await editor.get_by_label("x of atom 3").press("Tab")
    await expect(editor.get_by_role("alert")).to_have_text("Atom 3: x must be a number in Å.", timeout=20_000)

    search = page.locator(".sd-example-structure-search")
    await search.get_by_label("Formula or elements").fill("SiO2")
    await search.get_by_role("button", name="Search", exact=True).click()
    await search.get_by_role("button", name="Take SiO2, made-up-2").click(timeout=20_000)
    await expect(
        search.get_by_text("SiO2 with 6 atoms: SiO2, entry made-up-2 of Made up, by OPTIMADE, CC0-1.0")
    ).to_be_visible(timeout=20_000)

    picker = page.locator(".sd-example-resource-picker")
    await picker.get_by_role("button", name="Large").click()
    await expect(picker.get_by_role("button", name="Large")).to_have_attribute("aria-pressed", "true", timeout=20_000)
    await expect(picker.get_by_text("on 32 cores")).to_be_visible()

    form = page.locator(".sd-example-input-form")
    await form.get_by_label("Cutoff").fill("900")
    await expect(form.get_by_text("Cutoff must be between 10 and 250 Ry; it is 900.")).to_be_visible(timeout=20_000)

    await page.locator(".sd-example-failure-card").get_by_role("button", name="Wider smearing").click()
    await expect(page.get_by_text("Runs again with {'width': 0.3}")).to_be_visible(timeout=20_000)

    await page.locator(".sd-example-run-table").get_by_role("button", name="Relaxation of iron").click()
    await expect(page.locator(".sd-example-run-monitor").get_by_text("Finished")).to_be_visible(timeout=20_000)
    for plot in ("plot", "bands-plot"):
        await expect(page.locator(f".sd-example-{plot} .sdk-plot-area[data-ready]")).to_be_visible(timeout=30_000)

    await page.evaluate(AXE.read_text())
    for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")):
        await page.set_viewport_size({"width": width, "height": 900})
        await page.evaluate("scheme => { document.documentElement.dataset.theme = scheme; }", scheme)
        assert (width, scheme, await faults(page)) == (width, scheme, [])
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await page.screenshot(path=SHOTS / f"gallery-{width}-{scheme}.png", full_page=True)
    assert errors == []
