"""How long from a click on an app to a usable widget: our page, cold and warm, against plain Voilà, in one run.

Starts one Jupyter server with Voilà's own extension and ours, both showing the same notebook, and opens each page many
times in one Chromium. "Usable" is the moment the first widget is in the page with a size. Prints a JSON report; the ratios
are what counts, the milliseconds depend on the machine. Run with the hub environment's Python:

    python tests/load/open_page.py [--rounds 8] [--notebook path.ipynb --warm module …] [--selector .sd-form]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from playwright.async_api import Browser, async_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "server_extension"))
from installed_apps import install_app

CELLS = [
    "import json, pathlib\n"
    "from simdeck_widgets import layout\n"
    "from simdeck_widgets.chooser import StructureChooser\n"
    "from simdeck_widgets.form import SchemaForm\n"
    "from simdeck_widgets.form_model import FormModel\n"
    "from simdeck_widgets.results import ResultTable, column\n"
    "from simdeck_widgets.run_table import RunTable\n"
    "model = FormModel()\n"
    "model.load({'properties': {f'n{i}': {'type': 'number', 'title': f'Number {i}', 'default': i} for i in range(10)}})\n"
    "table = ResultTable(columns=[column('a', 'A')], rows=[{'a': i} for i in range(20)])\n"
    "layout.box(layout.card(StructureChooser(), table), layout.card(SchemaForm(model)), layout.card(RunTable()))",
]
WARM = ["simdeck_widgets.form", "simdeck_widgets.chooser", "simdeck_widgets.results", "simdeck_widgets.run_table"]
TOKEN = "bench"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Notes when the first element that matches has a size, in milliseconds since the navigation began.
WATCH = """(selector => {
  const look = () => {
    const found = [...document.querySelectorAll(selector)].some(e => e.getBoundingClientRect().height > 0);
    if (found) { window.__usable = performance.now(); } else { requestAnimationFrame(look); }
  };
  look();
})(%s)"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def server(work: Path, warm: bool):
    """A Jupyter server with both extensions; yields its address."""
    port = free_port()
    for name in ("cfg", "rt", "data"):
        (work / name).mkdir(exist_ok=True)
    env = {
        **os.environ,
        "SIMDECK_APPS_DIR": str(work / "apps"),
        # Each visit is a first one.
        "SIMDECK_REATTACH_SECONDS": "0",
        "SIMDECK_WARM_SPARE": "1" if warm else "0",
        "JUPYTER_PATH": str(work / "apps" / ".jupyter"),
        "JUPYTER_CONFIG_DIR": str(work / "cfg"),
        "JUPYTER_RUNTIME_DIR": str(work / "rt"),
        "JUPYTER_DATA_DIR": str(work / "data"),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "jupyter_server",
        "--allow-root",
        f"--port={port}",
        "--port-retries=0",
        "--no-browser",
        f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={work}",
        "--ServerApp.base_url=/user/bench/",
        "--ServerApp.jpserver_extensions={'simdeck_deck.server_extension': True, 'voila.server_extension': True}",
        env=env,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=(work / "server.log").open("ab"),
    )
    address = f"http://127.0.0.1:{port}/user/bench/"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.2)
        yield address
    finally:
        process.terminate()
        await process.wait()


async def open_once(context: Any, url: str, selector: str) -> tuple[float, int, int]:
    """Open the page; return (ms until usable, requests, of these not from the browser's cache)."""
    page = await context.new_page()
    await page.add_init_script(WATCH % json.dumps(selector))
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    counts = {"all": 0, "cached": 0}
    session.on("Network.requestWillBeSent", lambda _: counts.update(all=counts["all"] + 1))
    session.on("Network.requestServedFromCache", lambda _: counts.update(cached=counts["cached"] + 1))
    session.on(
        "Network.responseReceived",
        lambda e: counts.update(cached=counts["cached"] + bool(e["response"].get("fromDiskCache"))),
    )
    await page.goto(url, wait_until="commit")
    await page.wait_for_function("window.__usable > 0", timeout=60_000)
    usable = float(await page.evaluate("window.__usable"))
    await page.close(run_before_unload=False)
    return usable, counts["all"], counts["all"] - counts["cached"]


async def series(browser: Browser, address: str, path: str, selector: str, rounds: int, pause: float) -> dict[str, Any]:
    """Open ``path`` once with an empty cache, then ``rounds`` times as a returning visitor."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{address}api/status?token={TOKEN}")
    await page.close()
    first = await open_once(context, address + path, selector)
    times, requests, fetched = [], 0, 0
    for _ in range(rounds):
        await asyncio.sleep(pause)
        usable, requests, fetched = await open_once(context, address + path, selector)
        times.append(usable)
    await context.close()
    return {
        "first_visit_ms": round(first[0]),
        "p50_ms": round(statistics.median(times)),
        "max_ms": round(max(times)),
        "requests": requests,
        "requests_to_server": fetched,
    }


async def measure(
    rounds: int, notebook: Path | None, warm_modules: list[str], selector: str, pause: float
) -> dict[str, Any]:
    """Return the report."""
    work = Path(tempfile.mkdtemp(prefix="simdeck-open-"))
    report: dict[str, Any] = {}
    try:
        pythonpath = os.environ.get("PYTHONPATH", "")
        source = nbformat.read(notebook, as_version=4) if notebook else None
        cells = [cell.source for cell in source.cells if cell.cell_type == "code"] if source else CELLS
        install_app(work / "apps", "bench", cells, warm=warm_modules, pythonpath=pythonpath)
        plain = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(text) for text in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(plain, work / "plain.ipynb")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium") or "/usr/bin/chromium", args=FLAGS
            )
            async with server(work, warm=False) as address:
                report["plain_voila"] = await series(
                    browser, address, "voila/render/plain.ipynb", selector, rounds, pause
                )
                report["simdeck_cold"] = await series(browser, address, "deck/bench/", selector, rounds, pause)
            async with server(work, warm=True) as address:
                await asyncio.sleep(6)
                report["simdeck_warm"] = await series(browser, address, "deck/bench/", selector, rounds, max(pause, 5))
            await browser.close()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    plain_ms = report["plain_voila"]["p50_ms"]
    report["cold_to_plain"] = round(report["simdeck_cold"]["p50_ms"] / plain_ms, 3)
    report["warm_to_plain"] = round(report["simdeck_warm"]["p50_ms"] / plain_ms, 3)
    return report


def main() -> None:
    """Parse the arguments and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--notebook", type=Path)
    parser.add_argument("--warm", nargs="*", default=WARM)
    parser.add_argument("--selector", default=".sd-form input")
    parser.add_argument("--pause", type=float, default=1.0)
    chosen = parser.parse_args()
    report = asyncio.run(measure(chosen.rounds, chosen.notebook, chosen.warm, chosen.selector, chosen.pause))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
