"""Takes real Chromium screenshots of every page in many states: ``python tests/deck_pages/shots.py [part of a name …]``.

Desktop (1280) and phone (390), light and dark, into ``tests/artifacts/deck_pages/``. Nothing of Simdeck needs to run: the pages
stand on the fakes of the tests. It also says what the browser's console complained about.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import uvicorn
from deck_pages_lab import RETRIED, REUSED, SWEEP, WAITING
from deck_pages_samples import before, failed, run, running, task
from deck_pages_site import PREFIX, Site, add_fake_api, ensure_vendor, make_site
from deck_pages_worlds import WORLDS
from playwright.sync_api import Browser, Page, sync_playwright
from simdeck_common.problems import Problem
from simdeck_deck.auth import SESSION_COOKIE

OUT = Path(__file__).parents[1] / "artifacts" / "deck_pages"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}
SCHEMES = ("light", "dark")

RUN, RUNNING, FAILED = (str(kind()["id"]) for kind in (run, running, failed))
# name: (world, address, what to click before the picture)
SHOTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "deck-busy": ("busy", "", ()),
    "deck-empty": ("empty", "", ()),
    "deck-failed": ("failed", "", ()),
    "deck-agent-down": ("agent-down", "", ()),
    "deck-long": ("long", "", ()),
    "deck-hostile": ("hostile", "", ()),
    "store-busy": ("busy", "store", ()),
    "store-search": ("busy", "store?q=surface&category=solids", ()),
    "store-none": ("busy", "store?q=nothing+like+this", ()),
    "store-failed": ("failed", "store", ()),
    "store-long": ("long", "store", ()),
    "app-installed": ("busy", "store/molecule", ("text=BibTeX >> nth=0",)),
    "app-new": ("empty", "store/molecule", ()),
    "app-update": ("busy", "store/phonons", ()),
    "app-installing": ("installing", "store/molecule", ()),
    "app-done": ("installed", "store/molecule?task=task-1", ()),
    "app-broken": ("broken", "store/molecule", ("text=Log",)),
    "app-long": ("long", "store/molecule", ()),
    "app-hostile": ("hostile", "store/molecule", ()),
    "store-facets": ("shop", "store?method=DFT", ()),
    "app-shop": ("shop", "store/molecule", ()),
    "app-link": ("shop", "store/molecule?version=2.0.0", ()),
    "app-link-waits": ("empty", "open/molecule?run=abc&structure=H2O&evil=1", ()),
    "app-link-gone": ("shop", "store/molecule?version=9.9", ()),
    "app-pinned": ("pinned", "store/molecule", ()),
    "app-changes": ("shop", "store/molecule/changes?to=2.0.0", ()),
    "app-unknown": ("shop", "store/no-such-app?version=1.0", ()),
    "app-remove-one": ("shop", "store/molecule/remove?version=1.0.0", ()),
    "app-remove": ("busy", "store/molecule/remove", ()),
    "runs-busy": ("busy", "runs", ()),
    "runs-empty": ("empty", "runs", ()),
    "runs-none": ("busy", "runs?q=zzz", ()),
    "runs-long": ("long", "runs", ()),
    "run-finished": ("busy", f"runs/{RUN}", ("text=Show the graph", "text=Show the log")),
    "run-running": ("busy", f"runs/{RUNNING}", ()),
    "run-failed": ("busy", f"runs/{FAILED}", ("text=Rename",)),
    "run-long": ("long", f"runs/{RUNNING}", ()),
    "run-missing": ("empty", f"runs/{RUN}", ()),
    "shares": ("sharing", "shares", ()),
    "shares-empty": ("empty", "shares", ()),
    "share-form": ("sharing", f"runs/{RUN}/share", ()),
    "shared-run": ("sharing", "shared/t1/run", ()),
    "shared-long": ("sharing", "shared/t2/run", ()),
    "shared-claim": ("sharing", "shared/t9/run", ()),
    "version-missing": ("shop", "open/molecule?version=2.0.0", ()),
    "open-starting": ("stopped", "open/molecule", ()),
    "open-failed": ("unstartable", "open/molecule", ()),
    "deck-site": ("site", "", ()),
    "deck-plain-site": ("plain-site", "", ()),
    "deck-long-site": ("long-site", "", ()),
    "servers-site": ("site", "servers", ()),
    "servers-long": ("long-site", "servers", ()),
    "servers-none": ("plain-site", "servers", ()),
    "resources-app": ("site", "open/molecule", ()),
    "resources-all": ("site", "servers/new?opt-partition=gpu&opt-gpus=a100:2&opt-account=chem-2026", ()),
    "resources-refused": ("refused-site", "servers/new?opt-cores=99", ()),
    "resources-gone": ("site", "servers/new?opt-partition=gone&opt-reservation=old", ()),
    "resources-plain": ("plain-site", "servers/new", ()),
    "resources-long": ("long-site", "servers/new", ("text=All options",)),
    "server-queued": ("site", "servers/queue-1?app=phonons&open=1", ()),
    "server-queued-long": ("long-site", "servers/queue-1", ()),
    "server-unknown": ("silent-site", "servers/queue-1", ()),
    "server-booting": ("site", "servers/booting-1", ()),
    "server-running": ("site", "servers/-", ()),
    "server-failed": ("site", "servers/molecule-2", ()),
    "server-failed-long": ("long-site", "servers/molecule-2", ()),
    "server-idle": ("site", "servers/idle-1", ()),
    "lab-runs": ("lab", "runs", ()),
    "lab-runs-long": ("long-lab", "runs?deleted=1", ()),
    "lab-waiting": ("lab", f"runs/{WAITING}", ()),
    "lab-waiting-long": ("long-lab", f"runs/{WAITING}", ()),
    "lab-failed": ("lab", f"runs/{FAILED}", ()),
    "lab-failed-long": ("long-lab", f"runs/{FAILED}", ()),
    "lab-reused": ("lab", f"runs/{REUSED}", ()),
    "lab-retried": ("lab", f"runs/{RETRIED}", ()),
    "lab-new-run": ("lab", "workflows/molecule.optimize", ("text=Advanced",)),
    "lab-again": ("lab", f"runs/{FAILED}/again?cure=2", ("text=Advanced",)),
    "lab-again-long": ("long-lab", f"runs/{FAILED}/again?cure=2", ()),
    "lab-again-bare": ("bare-lab", f"runs/{FAILED}/again", ()),
    "lab-sweep-form": (
        "lab",
        f"runs/{RUN}/sweep?input1=charge&start1=-2&stop1=2&count1=5&input2=method&values2=GFN2-xTB,x",
        (),
    ),
    "lab-sweep-form-long": ("long-lab", f"runs/{RUN}/sweep?input1=charge&values1=1,2", ()),
    "lab-sweep-form-bare": ("bare-lab", f"runs/{FAILED}/sweep", ()),
    "lab-sweeps": ("lab", "sweeps", ()),
    "lab-sweeps-none": ("bare-lab", "sweeps", ()),
    "lab-sweep-table": ("lab", f"sweeps/{SWEEP}?by=r:energy&down=1", ("text=Forget this sweep…",)),
    "lab-sweep-table-long": ("long-lab", f"sweeps/{SWEEP}", ()),
    "lab-compare": ("lab", f"compare?run={RUN}&run={RETRIED}", (".diff-more summary",)),
    "lab-compare-long": ("long-lab", f"compare?run={RUN}&run={RETRIED}", ()),
    "lab-compare-choose": ("lab", f"compare?run={RUN}", ()),
    "lab-compare-two": ("long-lab", "compare", ()),
    "lab-compare-none": ("bare-lab", f"compare?run={FAILED}", ()),
    "lab-delete": ("lab", f"runs/{RUN}/delete", ()),
    "lab-delete-long": ("long-lab", f"runs/{RUN}/delete", ()),
    "lab-delete-refused": ("lab", f"runs/{FAILED}/delete", ()),
    "account": ("busy", "account", ()),
    "help": ("busy", "help", ()),
}


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """Serve ``site`` on a free port and yield its origin."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(site.app, log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        listener.listen(64)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


def shots_site() -> Site:
    """Return the site with the worlds that only the pictures need."""
    worlds = {name: make() for name, make in WORLDS.items()}
    for name, changes in {
        "installing": {},
        "installed": {"state": "done", "step": "ready", "message": ""},
        "broken": {
            "state": "failed",
            "step": "download",
            "problem": {
                "code": "install-offline",
                "title": "The download broke off",
                "detail": "The package index could not be reached while fetching tblite 0.4.0.",
                "remedy": "Check the network of this machine and install again; what was downloaded is kept.",
            },
        },
    }.items():
        worlds[name] = WORLDS["empty"]() if name != "installed" else WORLDS["busy"]()
        worlds[name].agent.tasks = [task(**changes)]
        worlds[name].agent.events = [("log", {"line": f"+ package-{n}==1.{n}"}) for n in range(12)]
    worlds["refused-site"] = WORLDS["site"]()
    worlds["refused-site"].servers.refusal = Problem(
        "resources-range", field="cores", name="cores", value=99, least=1, most=32
    )
    worlds["silent-site"] = WORLDS["site"]()
    for view in worlds["silent-site"].servers.views:
        view["unknown_since"] = before(minutes=4)
    worlds["unstartable"] = WORLDS["stopped"]()
    site = make_site(worlds)
    add_fake_api(site)
    return site


def open_page(browser: Browser, origin: str, site: Site, user: str, size: str, scheme: str) -> Page:
    """Return a page signed in as ``user``."""
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=1,
        is_mobile=size == "phone",
        has_touch=size == "phone",
        reduced_motion="reduce",
    )
    context.add_cookies([{"name": SESSION_COOKIE, "value": site.cookies(user)[SESSION_COOKIE], "url": origin + PREFIX}])
    return context.new_page()


def main(wanted: list[str]) -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    ensure_vendor()
    site = shots_site()
    complaints = 0
    with serving(site) as origin, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, (world, path, clicks) in SHOTS.items():
            for size in SIZES:
                for scheme in SCHEMES:
                    full = f"{name}-{size}-{scheme}"
                    if wanted and not any(part in full for part in wanted):
                        continue
                    page = open_page(browser, origin, site, world, size, scheme)
                    said: list[str] = []
                    page.on("console", lambda message, said=said: said.append(message.text))
                    page.on("pageerror", lambda error, said=said: said.append(str(error)))
                    page.goto(origin + PREFIX + path, wait_until="load")
                    for selector in clicks:
                        page.locator(selector).first.click()
                    page.wait_for_timeout(250)
                    page.screenshot(path=OUT / f"{full}.png", full_page=True)
                    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                    said += [f"wider than the window by {wide} px"] if wide > 0 else []
                    complaints += len(said)
                    print(full, *said, sep="\n    ")
                    page.context.close()
        browser.close()
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
