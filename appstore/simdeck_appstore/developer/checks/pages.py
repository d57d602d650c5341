"""Every page of the app in headless Chromium: no traceback, no console error, time to usable, memory, accessibility."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simdeck_appstore.developer import processes
from simdeck_appstore.developer.local_deck import LocalDeck

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
KERNELS = ("ipykernel", "page_kernel.py")
"""What stands in the command line of an app's kernel."""
GRAVE = ("serious", "critical")
# Usable: the skeleton has gone and something is drawn, or the page says that the app failed.
USABLE = """() => {
  if (document.getElementById("sd-failure")) return true;
  const skeleton = document.getElementById("sd-skeleton");
  if (skeleton && skeleton.offsetParent !== null) return false;
  const main = document.querySelector("main") || document.body;
  return main.innerText.trim().length > 0 || main.querySelector("canvas, img, svg, input, button") !== null;
}"""


@dataclass
class PageFound:
    """What opening one page showed."""

    address: str
    status: int = 0
    seconds: float = 0.0
    memory: float = 0.0
    failure: str = ""
    console: list[str] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)
    """Faults of accessibility, as ``rule: what is wrong (how many)``."""


def available() -> bool:
    """Tell whether Playwright is installed here."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return False
    return True


def open_all(deck: LocalDeck, addresses: list[str], chromium: Path, seconds: int) -> list[PageFound]:
    """Open each of ``addresses`` (relative to the server's root) in a browser of its own and look at it."""
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=list(FLAGS))
        try:
            for address in addresses:
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                context.set_extra_http_headers(deck.headers)
                try:
                    found.append(_open(context.new_page(), deck, address, seconds))
                finally:
                    context.close()
        finally:
            browser.close()
    return found


def _open(page: Any, deck: LocalDeck, address: str, seconds: int) -> PageFound:
    from playwright.sync_api import Error

    found = PageFound(address)
    # The cookie is what a page's own requests carry; the header does not reach its websocket.
    page.goto(f"{deck.root}api/status?token={deck.token}")

    def hear(message: Any) -> None:
        # The browser asks for an icon of its own accord, now and then.
        asked = str(message.location.get("url", ""))
        if message.type == "error" and not asked.endswith("/favicon.ico"):
            found.console.append(message.text[:300])

    page.on("console", hear)
    page.on("pageerror", lambda error: found.console.append(str(error)[:300]))
    try:
        answer = page.goto(deck.root + address, timeout=seconds * 1000, wait_until="commit")
        found.status = answer.status if answer is not None else 0
        page.wait_for_function(USABLE, timeout=seconds * 1000)
        found.seconds = float(page.evaluate("performance.now()")) / 1000
        failed = page.locator("#sd-failure")
        if failed.count():
            found.failure = " ".join(failed.locator("p").first.inner_text().split())[:300]
            with contextlib.suppress(Error):
                trace = str(failed.locator("pre").first.text_content()).strip().splitlines()
                found.failure = (trace or [found.failure])[-1][:300]
        elif found.status >= 400:
            found.failure = " ".join(page.locator("body").inner_text().split())[:300]
        else:
            # What a page draws late is part of it; a page that goes on talking is looked at as it is then.
            with contextlib.suppress(Error):
                page.wait_for_load_state("networkidle", timeout=5000)
            found.memory = kernel_memory(deck)
            found.unfit = _unfit(page)
    except Error as error:
        found.failure = f"it could not be used within {seconds} s ({str(error).splitlines()[0][:200]})"
    return found


def _unfit(page: Any) -> list[str]:
    """Return the grave faults that axe finds in the page."""
    page.evaluate(AXE.read_text("utf-8"))
    result = page.evaluate("tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", TAGS)
    return [
        f"{one['id']}: {one['help']} ({len(one['nodes'])})"
        for one in result["violations"]
        if one.get("impact") in GRAVE
    ]


def kernel_memory(deck: LocalDeck) -> float:
    """Return the resident memory in MiB of the largest kernel of an app."""
    import psutil

    largest = 0.0
    for words in KERNELS:
        for pid, handle in processes.marked(deck.instance, words).items():
            with contextlib.suppress(psutil.Error):
                largest = max(largest, psutil.Process(pid).memory_info().rss / 2**20)
            os.close(handle)
    return largest


def report(found: list[PageFound]) -> tuple[str, dict[str, Any]]:
    """Return the sentence for people, and everything."""
    slowest, largest = max(one.seconds for one in found), max(one.memory for one in found)
    pages = "its page" if len(found) == 1 else f"its {len(found)} pages"
    memory = f", {largest:.0f} MiB in a kernel" if largest else ""
    data = {
        "pages": [
            {"address": one.address, "seconds": round(one.seconds, 2), "memory_mib": round(one.memory)} for one in found
        ],
        "seconds": round(slowest, 2),
        "memory_mib": round(largest),
    }
    return f"{pages} can be used after {slowest:.1f} s{memory}", data
