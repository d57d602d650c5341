"""The kit's views in real Chromium, each with a model of its own: keyboard, narrow screens, what a screen reader hears."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect
from simdeck_widgets.base import VENDOR, script, style

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
PHONE = {"width": 390, "height": 844}

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")]

# A model as anywidget gives it to a view, without a kernel behind it; `window.sent` keeps what the view sends.
MOUNT = """async ([source, state]) => {
  const listeners = {};
  window.sent = [];
  window.model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; (listeners[`change:${name}`] || []).forEach((call) => call()); },
    on: (name, call) => { (listeners[name] = listeners[name] || []).push(call); },
    off: () => {}, save_changes: () => {}, send: (message) => window.sent.push(message),
  };
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  (await import(url)).default.render({ model: window.model, el: document.getElementById("here") });
}"""

Mount = Callable[..., Awaitable[None]]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(viewport=PHONE)  # type: ignore[arg-type]
        yield page
        await browser.close()


@pytest.fixture
def mount(page: Page) -> Mount:
    async def mounted(view: str, **state: Any) -> None:
        # As wide as a card on an app page leaves it.
        await page.set_content(
            f'<!doctype html><meta name="viewport" content="width=device-width"><style>{style()}</style><div id="here" style="width:344px"></div>'
        )
        await page.evaluate(MOUNT, [script(view), {"css_class": "", **state}])

    return mounted


MODES = {
    "columns": [
        {"key": "mode", "title": "Mode", "number": True},
        {"key": "frequency", "title": "Wavenumber", "unit": "cm⁻¹", "number": True},
        {"key": "intensity", "title": "IR intensity", "unit": "km/mol", "number": True},
        {"key": "mass", "title": "Reduced mass", "unit": "u", "number": True},
    ],
    "rows": [{"mode": str(n), "frequency": f"{1000 * n}.1", "intensity": "133.2", "mass": "1.09"} for n in (1, 2, 3)],
    "caption": "",
    "empty": "",
    "selectable": True,
    "selected": -1,
}  # fmt: skip
THERMO = {
    "columns": [
        {"key": "what", "title": "Quantity", "header": True},
        {"key": "value", "title": "Per molecule", "number": True},
        {"key": "molar", "title": "Per mole", "number": True},
    ],
    "rows": [
        {"what": "Electronic energy", "value": "−1137.9765 eV", "molar": "−1\u202f013\u202f312.7 kJ/mol"},
        {"what": "Entropy S", "value": "1.9537 meV/K", "molar": "188.50 J/(mol·K)"},
    ],
    "caption": "Ideal gas at 298.15 K and 101325 Pa, non-linear, symmetry number 2",
    "empty": "",
    "selectable": False,
    "selected": -1,
}
RUNS = {
    "runs": [{"id": "a", "title": "water: optimisation and frequencies", "state": "finished",
              "created": "2026-01-01T00:00:00Z", "headline": "−137.9765 eV"}],
    "error": "", "title": "Recent runs", "headline": "Total energy", "current": "", "loaded": True,
}  # fmt: skip


@pytest.mark.parametrize(("view", "state"), [("table", MODES), ("table", THERMO), ("runs", RUNS)])
async def test_a_table_fits_a_phone(page: Page, mount: Mount, view: str, state: dict[str, Any]) -> None:
    await mount(view, **state)
    hidden = await page.locator(".sdk-table-wrap").evaluate("wrap => wrap.scrollWidth - wrap.clientWidth")
    assert hidden <= 0


async def test_a_mode_is_chosen_and_left_by_keyboard_alone(page: Page, mount: Mount) -> None:
    await mount("table", **MODES)
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowDown")
    second = page.get_by_role("button", name="Mode 2, Wavenumber 2000.1 cm⁻¹")
    await expect(second).to_be_focused()
    await page.keyboard.press("Enter")
    assert await page.evaluate("model.get('selected')") == 1
    await expect(second).to_have_attribute("aria-pressed", "true")
    await expect(second).to_be_focused()
    await page.keyboard.press("Space")
    assert await page.evaluate("model.get('selected')") == -1


async def test_a_click_anywhere_in_a_row_chooses_it_once(page: Page, mount: Mount) -> None:
    await mount("table", **MODES)
    await page.get_by_role("cell", name="3000.1", exact=True).click()
    assert await page.evaluate("model.get('selected')") == 2
    await page.get_by_role("button", name="Mode 3").click()
    assert await page.evaluate("model.get('selected')") == -1


async def test_the_choosers_tabs_are_tabs(page: Page, mount: Mount) -> None:
    await mount("chooser", library=[], selected="", summary="", notes=[], error="", busy=False, smiles=True, accept="",
                formats="XYZ", max_bytes=10)  # fmt: skip
    await page.get_by_role("tab", name="Pick a molecule").focus()
    await page.keyboard.press("End")
    smiles = page.get_by_role("tab", name="SMILES")
    await expect(smiles).to_be_focused()
    await expect(smiles).to_have_attribute("aria-selected", "true")
    panel = page.locator(f"[id='{await smiles.get_attribute('aria-controls')}']")
    await expect(panel).to_be_visible()
    assert await page.get_by_role("tabpanel").count() == 1
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Pick a molecule")).to_be_focused()


async def test_a_change_of_state_is_said_once(page: Page, mount: Mount) -> None:
    run = {"id": "a", "title": "water", "state": "running", "created": "2026-01-01T00:00:00Z", "paused": False}
    await mount("run", run=run, step="step 1", fraction=0.1, note="", busy="", actions=["cancel"], addressed=False)
    await page.evaluate("""() => {
      window.heard = [];
      const status = document.querySelector("[role=status]");
      new MutationObserver(() => window.heard.push(status.textContent)).observe(status, { childList: true, characterData: true, subtree: true });
    }""")
    await page.evaluate("model.set('step', 'step 2')")
    for _ in range(2):
        await page.evaluate(
            "run => model.set('run', run)", {**run, "state": "finished", "ended": "2026-01-01T00:01:00Z"}
        )
    await page.evaluate("model.set('step', '')")
    assert await page.evaluate("window.heard") == ["water: Finished"]


FIGURE = {"data": [{"type": "scatter", "x": [0, 1], "y": [1, 0]}], "layout": {"xaxis": {"title": {"text": "x"}}}}
PLOT = {"figure": FIGURE, "csv": "", "description": "A line", "filename": "line", "library_url": ""}


async def test_a_plot_follows_its_place_when_it_narrows_and_turns_dark_at_once(page: Page, mount: Mount) -> None:
    await page.set_viewport_size({"width": 1280, "height": 844})
    await page.goto("about:blank")
    await mount("text", heading="", text="", button="", button_class="", disabled=False, beside="")
    await page.add_script_tag(content=(VENDOR / "plotly-basic.min.js").read_text())
    await page.evaluate("document.getElementById('here').style.width = '900px'")
    await page.evaluate(MOUNT, [script("plot"), {"css_class": "", **PLOT}])
    drawn = page.locator("svg.main-svg").first
    await expect(drawn).to_have_js_property("clientWidth", 900)
    await page.evaluate("""() => {
      document.getElementById("here").style.width = "344px";
      document.documentElement.dataset.theme = "dark";
    }""")
    await expect(drawn).to_have_js_property("clientWidth", 344)


WIZARD = [
    {"id": "structure", "title": "Structure", "state": "done", "note": "Si₂"},
    {"id": "properties", "title": "Properties", "state": "open"},
    {"id": "run", "title": "Run", "state": "locked"},
]


async def test_a_step_is_gone_to_by_keyboard_and_a_locked_one_is_not(page: Page, mount: Mount) -> None:
    await mount("wizard", steps=WIZARD, current="properties", label="Steps")
    await expect(page.get_by_role("button", name="Run (not yet)")).to_be_disabled()
    await page.get_by_role("button", name="Structure Si₂ (done)").focus()
    await page.keyboard.press("Enter")
    assert await page.evaluate("window.sent") == [{"type": "go", "step": "structure"}]


async def test_the_open_step_is_said_and_focus_survives_a_redraw(page: Page, mount: Mount) -> None:
    await mount("wizard", steps=WIZARD, current="properties", label="Steps")
    await expect(page.locator("[aria-current=step]")).to_contain_text("Properties")
    await page.locator(".sd-step-structure").focus()
    await page.evaluate("window.model.set('current', 'structure')")
    await expect(page.locator("[aria-current=step]")).to_contain_text("Structure")
    assert await page.evaluate("document.activeElement.dataset.step") == "structure"


async def test_five_steps_fit_on_a_phone(page: Page, mount: Mount) -> None:
    steps = [{"id": f"s{n}", "title": "A long title", "state": "open"} for n in range(5)]
    await mount("wizard", steps=steps, current="s2", label="Steps")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await expect(page.get_by_text("A long title").nth(2)).to_be_visible()


async def test_a_pressed_button_keeps_the_focus_when_the_row_changes(page: Page, mount: Mount) -> None:
    await mount("buttons", buttons=[{"id": "a", "label": "Cell"}, {"id": "b", "label": "Other"}], beside="2 atoms")
    await page.get_by_role("button", name="Cell").focus()
    await page.keyboard.press("Enter")
    assert await page.evaluate("window.sent") == [{"type": "press", "id": "a"}]
    await page.evaluate("window.model.set('beside', '8 atoms')")
    await expect(page.get_by_role("status")).to_have_text("8 atoms")
    assert await page.evaluate("document.activeElement.textContent") == "Cell"
