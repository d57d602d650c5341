"""A page that is reloaded goes on where it was; open and close leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from installed_apps import install_app
from playwright.async_api import Page, async_playwright, expect
from server_extension.conftest import TOKEN, _install, running
from server_extension.test_page_in_browser import FLAGS
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

CHROMIUM = shutil.which("chromium")
ROUNDS = int(os.environ.get("SIMDECK_CHAOS_ROUNDS", "20"))
BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
KERNEL = re.compile(r'"kernelId": "([^"]+)"')
VIEW = re.compile(r'"simdeckView": "([^"]+)"')


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    root = tmp_path_factory.mktemp("again")
    apps = _install(root / "apps")
    install_app(apps, "counts", ["import ipywidgets\nbox = ipywidgets.IntText(description='n', value=1)\nbox"])
    with running(root, apps, SIMDECK_REATTACH_SECONDS="30") as found:
        yield found


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that keeps the kernel of a page that was left for one second."""
    root = tmp_path_factory.mktemp("brief")
    with running(root, _install(root / "apps"), SIMDECK_REATTACH_SECONDS="1") as found:
        yield found


@pytest.fixture
async def page(lab: Any) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        await page.goto(f"{lab.address}api/status?token={TOKEN}")
        yield page
        await browser.close()


async def kernel_of(page: Page) -> str:
    return str(await page.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId"))


@pytest.mark.browser
@BROWSER
async def test_a_reloaded_page_of_our_widgets_has_the_same_kernel_and_state(lab: Any, page: Page) -> None:
    await page.goto(f"{lab.address}deck/hello/?run=9")
    await page.locator(".hello").click(timeout=30_000)
    await expect(page.locator(".hello")).to_have_text("clicked", timeout=30_000)
    before = await kernel_of(page)
    for _ in range(2):
        await page.reload()
        await expect(page.locator(".hello")).to_have_text("clicked", timeout=30_000)
        assert await kernel_of(page) == before
    assert before in lab.kernels()


@pytest.mark.browser
@BROWSER
async def test_a_reloaded_page_of_voila_has_the_same_kernel_and_state(lab: Any, page: Page) -> None:
    await page.goto(f"{lab.address}deck/counts/")
    field = page.locator(".widget-text input")
    await field.fill("4711", timeout=60_000)
    await field.press("Enter")
    before = await kernel_of(page)
    await page.reload()
    await expect(field).to_have_value("4711", timeout=60_000)
    assert await kernel_of(page) == before


@pytest.mark.browser
@BROWSER
async def test_a_page_that_was_left_is_there_again_and_can_be_started_afresh(lab: Any, page: Page) -> None:
    await page.goto(f"{lab.address}deck/hello/?run=10")
    await page.locator(".hello").click(timeout=30_000)
    await expect(page.locator(".hello")).to_have_text("clicked", timeout=30_000)
    before = await kernel_of(page)
    await page.goto("about:blank")
    await page.goto(f"{lab.address}deck/hello/?run=10")
    await expect(page.locator(".hello")).to_have_text("clicked", timeout=30_000)
    shots = Path(__file__).parents[1] / "artifacts" / "aiidalab"
    shots.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=shots / "again.png")
    await page.get_by_role("button", name="Start afresh").click()
    await expect(page.locator(".hello")).to_contain_text("run=10 hello", timeout=30_000)
    assert await kernel_of(page) != before
    lab.until(lambda: before not in lab.kernels())


@pytest.mark.browser
@BROWSER
async def test_a_browser_that_went_away_without_a_word_finds_its_page_again(lab: Any) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        await page.goto(f"{lab.address}api/status?token={TOKEN}")
        await page.goto(f"{lab.address}deck/hello/?run=11")
        await page.locator(".hello").click(timeout=30_000)
        await expect(page.locator(".hello")).to_have_text("clicked", timeout=30_000)
        before = await kernel_of(page)
        # Its cookies and its goodbye go with it.
        await page.context.set_offline(True)
        await browser.close()
        lab.until(lambda: connections(lab, before) == 0)
        other = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await other.new_page()
        await page.goto(f"{lab.address}api/status?token={TOKEN}")
        await page.goto(f"{lab.address}deck/hello/?run=11")
        await expect(page.locator(".hello")).to_have_text("clicked", timeout=30_000)
        assert await kernel_of(page) == before
        await other.close()


def connections(lab: Any, kernel: str) -> int:
    return int(lab.get(f"api/kernels/{kernel}").json()["connections"])


def client(lab: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=lab.address, headers={"Authorization": f"token {TOKEN}"}, timeout=60)


async def visit(lab: Any, path: str) -> tuple[str, str, str]:
    """Open a page as a browser does, attach to its kernel, leave it; returns its kernel and what the server said."""
    async with client(lab) as web:
        text = (await web.get(path)).text
        kernel, view = KERNEL.search(text), VIEW.search(text)
        assert kernel
        assert view
        address = lab.address.replace("http", "ws") + f"api/kernels/{kernel[1]}/channels"
        socket = await websocket_connect(HTTPRequest(address, headers={"Authorization": f"token {TOKEN}"}))
        socket.close()
        while await socket.read_message() is not None:
            continue
        left = {"_xsrf": web.cookies["_xsrf"], "view": view[1]}
        assert (await web.post(f"deck/api/close/{kernel[1]}", data=left)).status_code == 204
        return kernel[1], view[1], text


async def test_a_goodbye_of_an_earlier_view_ends_nothing(lab: Any) -> None:
    kernel, view, _ = await visit(lab, "deck/hello/?run=12")
    async with client(lab) as web:
        web.cookies.set("simdeck-page", kernel)
        again = await web.get("deck/hello/?run=12")
        assert KERNEL.search(again.text)[1] == kernel  # type: ignore[index]
        await web.post(f"deck/api/close/{kernel}", data={"_xsrf": web.cookies["_xsrf"], "view": view})
        assert kernel in lab.kernels()


async def test_what_voila_s_scripts_say_when_a_page_is_left_ends_no_kernel(lab: Any) -> None:
    async with client(lab) as web:
        kernel = KERNEL.search((await web.get("deck/counts/?left")).text)[1]  # type: ignore[index]
        answer = await web.post(f"voila/api/shutdown/{kernel}", data={"_xsrf": web.cookies["_xsrf"]})
        assert answer.status_code == 204
    assert kernel in lab.kernels()


def children(pid: int) -> set[int]:
    """All processes below ``pid``."""
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found |= {child} | children(child)
    return found


def sockets_of(pid: int) -> list[Path]:
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")
    folder = base / f"simdeck-{os.getuid()}-k{pid}"
    return [one for one in folder.iterdir() if one.name != "kernels"] if folder.is_dir() else []


def state(lab: Any) -> tuple[int, int, int]:
    """Processes, open files and socket folders of the server."""
    pid = lab.process.pid
    return len(children(pid)), len(list(Path(f"/proc/{pid}/fd").iterdir())), len(sockets_of(pid))


@pytest.mark.timeout(600 + 20 * ROUNDS)
async def test_opening_and_closing_pages_many_times_leaves_nothing_behind(brief: Any) -> None:
    paths = ("deck/hello/?a={}", "deck/slider/?a={}")

    def settled() -> bool:
        return not brief.kernels() and len(children(brief.process.pid)) <= 2

    # The first rounds make what stays: the warm parent, its waiting kernel, the connection files' folder.
    for number in range(4):
        await visit(brief, paths[number % 2].format(f"warm{number}"))
    await asyncio.to_thread(brief.until, settled, 60)
    before = state(brief)
    for number in range(ROUNDS):
        # The app that is kept warm changes now and then, which makes a new warm parent.
        await visit(brief, paths[number % 5 == 4].format(number))
    await asyncio.to_thread(brief.until, settled, 60)
    after = state(brief)
    assert after[0] <= 2
    assert after[1] <= before[1] + 6, (before, after)
    assert after[2] <= before[2] + 1, (before, after)
