"""Runs in real Chromium: what is chosen stays chosen, forms answer while they are filled in, tables turn round."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Open, wait_for
from deck_pages_lab import FAILED, RETRIED, RUN, SWEEP, WAITING, diff
from deck_pages_samples import before
from playwright.sync_api import expect
from shots import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed"),
]


def test_two_runs_chosen_with_the_keyboard_are_compared_though_the_list_is_renewed(opened: Open) -> None:
    page = opened("lab", "runs")
    agent = opened.site.worlds["lab"].agent  # type: ignore[attr-defined]
    page.get_by_label("Compare Water, tight convergence").focus()
    page.keyboard.press("Space")
    swapped = diff()
    swapped |= {"left": swapped["right"], "right": swapped["left"] | {"created": before(days=1)}}
    agent.more[f"/runs/{RETRIED}/diff"] = swapped
    agent.runs[0]["title"] = "Renewed"
    expect(page.locator(f"[data-run='{WAITING}']")).to_contain_text("Renewed")
    expect(page.get_by_label("Compare Water, tight convergence")).to_be_checked()
    page.get_by_label("Compare Water, changed").check()
    page.get_by_role("button", name="Compare").click()
    # The older of the two stands on the left, whatever the list's order.
    page.wait_for_url(f"**/compare?run={RUN}&run={RETRIED}")
    expect(page.get_by_role("row", name="App version 1.1.0 1.2.0")).to_be_visible()


def test_a_cure_is_one_click_away_and_its_changes_follow_what_is_typed(opened: Open) -> None:
    page = opened("lab", f"runs/{FAILED}")
    page.get_by_role("link", name="Run again with: More cycles").click()
    changes = page.locator("#changes")
    expect(changes.get_by_role("row", name="Steps at most 400 (default) 800")).to_be_visible()
    page.get_by_label("Total charge").fill("-1")
    expect(changes.get_by_role("row", name="Total charge 0 e −1 e")).to_be_visible()
    page.get_by_label("Total charge").fill("x")
    expect(changes).to_contain_text("“x” is not a number")
    page.get_by_label("Total charge").fill("2")
    expect(changes.get_by_role("row", name="Total charge 0 e 2 e")).to_be_visible()
    page.get_by_role("button", name="Run it").click()
    agent = opened.site.worlds["lab"].agent  # type: ignore[attr-defined]
    wait_for(lambda: agent.sent != [])
    assert agent.sent == [("POST", f"/runs/{FAILED}/retry", {"inputs": {"charge": 2, "max_steps": 800}})]


def test_a_sweep_is_counted_while_it_is_filled_in(opened: Open) -> None:
    page = opened("lab", f"runs/{RUN}/sweep")
    page.get_by_label("Input", exact=True).first.select_option("charge")
    expect(page.locator("#hint-1")).to_contain_text("Whole numbers, −10 to 10 e.")
    page.get_by_label("Values, separated by commas").first.fill("0, 1, one")
    expect(page.locator("#error-1")).to_contain_text("“one” is not a number.")
    page.get_by_label("Values, separated by commas").first.fill("0, 1, 2")
    expect(page.locator("#plan")).to_contain_text("3\u00a0runs")
    expect(page.locator("#error-1")).to_be_empty()
    page.get_by_role("button", name="Start the sweep").click()
    agent = opened.site.worlds["lab"].agent  # type: ignore[attr-defined]
    wait_for(lambda: agent.sent != [])
    assert agent.sent[0][2]["vary"] == {"charge": [0, 1, 2]}


def test_a_sweeps_table_is_renewed_in_the_order_that_was_chosen(opened: Open) -> None:
    page = opened("lab", f"sweeps/{SWEEP}")
    agent = opened.site.worlds["lab"].agent  # type: ignore[attr-defined]
    page.get_by_role("link", name="Total energy").click()
    first = page.locator("tbody tr").first
    expect(first).to_contain_text("−137.59")
    expect(page.get_by_role("link", name="Total energy")).to_be_focused()
    page.keyboard.press("Enter")
    expect(first).to_contain_text("−135.11")
    expect(page).to_have_url(re.compile(r"\?by=r%3Aenergy&down=1$"))
    rows = agent.more[f"/sweeps/{SWEEP}"]["rows"]
    rows[3] |= {"state": "finished", "results": {"energy": 5.5, "gap": 1.0}}
    expect(first).to_contain_text("5.5")
    agent.more[f"/sweeps/{SWEEP}"] |= {"ended": True}
    expect(page.locator("#run-said")).to_have_text("6\u00a0runs")
    expect(page.locator("#sweep-poll")).to_have_count(0)
