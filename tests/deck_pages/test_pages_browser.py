"""The pages in real Chromium: live parts, search as you type, opening an app, keyboard, contrast, small screens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Open, wait_for
from deck_pages_lab import RETRIED, REUSED, SWEEP, WAITING
from deck_pages_samples import failed, installed_app, run, running, task
from deck_pages_site import PREFIX
from playwright.sync_api import Browser, Page, expect
from shots import CHROMIUM, serving, shots_site

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed"),
]

RUN, RUNNING, FAILED = (str(kind()["id"]) for kind in (run, running, failed))


def test_typing_in_the_store_filters_at_once_and_can_be_gone_back_from(opened: Open) -> None:
    page = opened("busy", "store")
    page.get_by_label("Search apps").press_sequentially("surface", delay=10)
    expect(page.locator(".results-count")).to_contain_text("for “surface”")
    expect(page).to_have_url(f"{page.url.split('?')[0]}?q=surface")
    expect(page.get_by_label("Search apps")).to_be_focused()
    page.get_by_role("link", name="Solids and surfaces").click()
    expect(page).to_have_url(f"{page.url.split('?')[0]}?q=surface&category=solids")
    page.go_back()
    expect(page.locator(".results-count")).to_contain_text("for “surface”")


def test_an_install_is_watched_step_by_step_to_its_end(opened: Open) -> None:
    page = opened("empty", "store/molecule", polls=False)
    site = opened.site  # type: ignore[attr-defined]
    agent = site.worlds["empty"].agent
    agent.tasks = [task("new-id", state="queued", step=None, message="")]
    page.get_by_role("button", name="Install Molecule").click()
    expect(page.locator("#task [role=status]")).to_have_text("Waiting")
    stream = "/tasks/new-id/events"
    wait_for(lambda: site.listeners(stream) == 1)
    for step in ("resolve", "download", "build", "verify"):
        agent.tasks = [task("new-id", step=step, message=f"Now {step}")]
        site.tell(stream, "step", {"step": step})
        expect(page.locator(f"[data-step={step}]")).to_contain_text(f"Now {step}")
        expect(page.locator(f"[data-step={step}]")).to_have_attribute("aria-current", "step")
    agent.tasks = [task("new-id", state="done", step="ready")]
    agent.apps = [installed_app()]
    site.tell(stream, "end", {"state": "done"})
    expect(page.get_by_role("heading", name="Installed molecule 1.1.0")).to_be_visible()
    expect(page.get_by_role("link", name="Open", exact=True)).to_be_visible()
    wait_for(lambda: site.listeners(stream) == 0)


def test_the_log_of_an_install_is_one_click_away(opened: Open) -> None:
    page = opened("installing", "store/molecule")
    page.get_by_text("Log", exact=True).click()
    expect(page.locator("#task-log-text")).to_contain_text("+ package-11==1.11")


def test_a_run_is_followed_live_until_its_results_are_there(opened: Open) -> None:
    page = opened("busy", f"runs/{RUNNING}", polls=False)
    site = opened.site  # type: ignore[attr-defined]
    agent = site.worlds["busy"].agent
    stream = f"/runs/{RUNNING}/events"
    wait_for(lambda: site.listeners(stream) == 1)
    page.locator("text=Show the log").click()
    expect(page.locator("#log-text")).to_contain_text("<converged> & done")
    agent.runs[0] = running(progress={"stage": "optimise", "step": 99})
    site.tell(stream, "progress", {"step": 99})
    expect(page.locator("#run-live")).to_contain_text("step 99")
    expect(page.locator("#log-text")).to_be_visible()
    agent.runs[0] = run(RUNNING)
    site.tell(stream, "state", {"state": "finished"})
    expect(page.locator("#run-shown")).to_have_text("Finished")
    expect(page.locator(".results")).to_contain_text("−137.97765")
    wait_for(lambda: site.listeners(stream) == 0)


def test_the_deck_shows_how_runs_go_on_without_a_reload(opened: Open) -> None:
    page = opened("busy", "")
    opened.site.worlds["busy"].agent.runs[0] = run(RUNNING, title="Caffeine")  # type: ignore[attr-defined]
    expect(page.locator(f"[data-run='{RUNNING}'] .state")).to_have_text("Finished")


def test_opening_an_app_starts_the_server_and_goes_there(opened: Open) -> None:
    page = opened("stopped", "open/molecule?run=abc")
    site = opened.site  # type: ignore[attr-defined]
    wait_for(lambda: site.listeners("/server/events") == 1)
    assert site.worlds["stopped"].server.started == 1
    expect(page.locator("#opening-message")).to_have_text("Spawning the server")
    page.context.route("**/user/stopped/deck/molecule/**", lambda route: route.fulfill(body="the app's page"))
    site.tell("/server/events", "progress", {"percent": 80, "message": "Almost there"})
    expect(page.locator("#opening-progress")).to_have_js_property("value", 80)
    site.tell("/server/events", "ready", {"url": "/user/stopped/"})
    page.wait_for_url("**/user/stopped/deck/molecule/?run=abc")


def test_a_start_that_fails_on_the_way_shows_the_cause_and_can_be_tried_again(opened: Open) -> None:
    page = opened("stopped", "open/molecule")
    site = opened.site  # type: ignore[attr-defined]
    wait_for(lambda: site.listeners("/server/events") == 1)
    site.tell("/server/events", "failed", {"message": "The server ended with exit code 1."})
    expect(page.locator("#opening-failure")).to_contain_text("exit code 1")
    expect(page.locator("#opening-hint")).to_be_hidden()
    wait_for(lambda: site.listeners("/server/events") == 0)
    page.get_by_role("button", name="Try again").click()
    wait_for(lambda: site.listeners("/server/events") == 1)
    assert site.worlds["stopped"].server.started == 2
    expect(page.locator("#opening-failure")).to_be_hidden()


def test_a_start_that_is_refused_shows_the_cause(opened: Open) -> None:
    page = opened("unstartable", "open/molecule")
    expect(page.locator("#opening-failure")).to_contain_text("no memory is left on this machine")
    expect(page.get_by_role("button", name="Try again")).to_be_focused()
    # The browser itself reports the 502.
    wait_for(lambda: opened.complaints != [])  # type: ignore[attr-defined]
    opened.complaints.clear()  # type: ignore[attr-defined]


def test_a_form_is_sent_once_however_often_it_is_clicked(opened: Open) -> None:
    page = opened("busy", f"runs/{RUNNING}")
    site = opened.site  # type: ignore[attr-defined]
    page.locator("#cancel").dblclick()
    page.wait_for_load_state()
    wait_for(lambda: site.worlds["busy"].agent.sent != [])
    expect(page.locator("#run-title")).to_be_visible()
    assert len(site.worlds["busy"].agent.sent) == 1


def test_the_keyboard_reaches_the_content_first_and_shows_where_it_is(opened: Open) -> None:
    page = opened("busy", "")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    assert page.locator(".skip").bounding_box()["y"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    focused = "document.activeElement.innerText.trim()"
    assert page.evaluate(focused) == "JupyterLab"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_page_left_open_without_script_still_installs(browser: Browser) -> None:
    site = shots_site()
    with serving(site) as origin:
        context = browser.new_context(java_script_enabled=False)
        cookie = site.cookies("empty")
        context.add_cookies([{"name": name, "value": value, "url": origin + PREFIX} for name, value in cookie.items()])
        page = context.new_page()
        page.goto(origin + PREFIX + "store/molecule")
        page.get_by_role("button", name="Install Molecule").click()
        assert site.worlds["empty"].agent.sent == [("POST", "/apps/molecule/install", {"version": "1.1.0"})]
        page.goto(origin + PREFIX + "store")
        page.get_by_label("Search apps").fill("nothing")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_text("No app matches")).to_be_visible()
        context.close()


ADDRESSES = {
    "deck": ("long", ""),
    "deck-busy": ("busy", ""),
    "store": ("busy", "store"),
    "store-long": ("long", "store"),
    "app": ("busy", "store/molecule"),
    "app-long": ("long", "store/molecule"),
    "app-failed": ("broken", "store/molecule"),
    "runs": ("long", "runs"),
    "run": ("busy", f"runs/{RUN}"),
    "run-long": ("long", f"runs/{RUNNING}"),
    "run-failed": ("busy", f"runs/{FAILED}"),
    "deck-site": ("site", ""),
    "deck-long-site": ("long-site", ""),
    "servers": ("site", "servers"),
    "servers-long": ("long-site", "servers"),
    "resources": ("site", "servers/new?opt-partition=gpu&opt-gpus=a100:2"),
    "resources-long": ("long-site", "servers/new?opt-cores=2"),
    "server-queued": ("site", "servers/queue-1"),
    "server-running": ("site", "servers/-"),
    "server-failed": ("site", "servers/molecule-2"),
    "server-failed-long": ("long-site", "servers/molecule-2"),
    "runs-lab": ("long-lab", "runs?deleted=1"),
    "run-waiting": ("lab", f"runs/{WAITING}"),
    "run-cures": ("long-lab", f"runs/{FAILED}"),
    "run-reused": ("lab", f"runs/{REUSED}"),
    "again": ("lab", f"runs/{FAILED}/again?cure=2"),
    "again-long": ("long-lab", f"runs/{FAILED}/again?cure=2"),
    "sweep-form": ("lab", f"runs/{RUN}/sweep?input1=charge&values1=1,x"),
    "sweeps": ("long-lab", "sweeps"),
    "sweep": ("lab", f"sweeps/{SWEEP}?by=r:energy"),
    "sweep-long": ("long-lab", f"sweeps/{SWEEP}"),
    "compare": ("long-lab", f"compare?run={RUN}&run={RETRIED}"),
    "compare-choose": ("long-lab", f"compare?run={RUN}"),
    "delete": ("long-lab", f"runs/{RUN}/delete"),
    "account": ("busy", "account"),
    "help": ("busy", "help"),
}


def each_page(opened: Open, size: str, scheme: str = "light") -> Iterator[tuple[str, Page]]:
    """Yield every address of ``ADDRESSES`` with its page, in one window."""
    page = opened("busy", "help", size, scheme)
    origin = page.url.removesuffix(PREFIX + "help")
    for world, path in ADDRESSES.values():
        cookies = opened.site.cookies(world)  # type: ignore[attr-defined]
        page.context.add_cookies(
            [{"name": name, "value": value, "url": origin + PREFIX} for name, value in cookies.items()]
        )
        page.goto(origin + PREFIX + path)
        yield f"{world} {path}", page


def test_no_page_is_wider_than_a_phone(opened: Open) -> None:
    for name, page in each_page(opened, "phone"):
        page.evaluate("for (const fold of document.querySelectorAll('main details')) fold.open = true")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} is {wide} px too wide"


# Every visible text against the nearest opaque ground behind it, after WCAG 2.2: 4.5, or 3 for large text.
CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const part = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faults = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(rgb(style.color)), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) faults.push(`${element.className || element.tagName}: ${ratio.toFixed(2)}`);
  }
  return faults;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_ground(opened: Open, scheme: str) -> None:
    for name, page in each_page(opened, "desktop", scheme):
        assert page.evaluate(CONTRAST) == [], name
