"""A person and their runs at a browser, on a real Simdeck: cure a failure, vary, compare, reuse, delete.

The tests build on each other in the order they stand in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from stack import Stack, missing, wait_for

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.timeout(900),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

ENDED = ("finished", "failed", "cancelled", "rejected")
WATER = "3\nwater\nO 0.00 0.00 0.11\nH 0.00 0.76 -0.47\nH 0.00 -0.76 -0.47\n"
INPUTS = {"structure": {"name": "water.xyz", "content": WATER}, "frequencies": False}


@pytest.fixture(scope="module")
def ask(stack: Stack) -> Callable[..., Any]:
    """Return a function that asks the person's API, once Molecule is installed."""

    def api(method: str, path: str, **options: Any) -> Any:
        with stack.client() as client:
            answer = client.request(method, path, **options)
            assert answer.is_success, answer.text
            return answer.json()

    task = api("POST", "/apps/molecule/install", json={})
    wait_for("the app", lambda: api("GET", f"/tasks/{task['id']}")["state"] == "done" or None, 400)
    return api


@pytest.fixture(scope="module")
def ended(ask: Callable[..., Any]) -> Callable[[str], dict[str, Any]]:
    """Return a function that waits for a run's end."""

    def wait(run: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = ask("GET", f"/runs/{run}")
            return found if found["state"] in ENDED else None

        return wait_for("the run's end", look, 300)

    return wait


@pytest.fixture(scope="module")
def failed(ask: Callable[..., Any], ended: Callable[[str], dict[str, Any]]) -> str:
    """A run that was given too few steps."""
    body = {"workflow": "molecule.optimize", "title": "Two steps", "inputs": INPUTS | {"max_steps": 1, "fmax": 0.0005}}
    run = ended(ask("POST", "/runs", json=body)["id"])
    assert run["state"] == "failed", run
    return str(run["id"])


def id_of(page: Page) -> str:
    return page.url.rstrip("/").rpartition("/")[2]


def test_a_failed_run_is_run_again_with_more_steps(
    page: Page, stack: Stack, failed: str, ended: Callable[[str], dict[str, Any]], shot: Callable[[Page, str], None]
) -> None:
    page.goto(f"{stack.url}/services/deck/runs/{failed}")
    expect(page.locator(".failure")).to_be_visible()
    shot(page, "run-failed")
    expect(page.get_by_role("link", name="Run again with…")).to_be_visible()
    page.get_by_role("link", name="Run again with: Four times as many steps").click()
    expect(page.get_by_label("Most optimisation steps")).to_have_value("4")
    page.get_by_label("Most optimisation steps").fill("200")
    expect(page.locator("#changes").get_by_role("row", name=re.compile("1 .*200"))).to_be_visible()
    page.get_by_role("button", name="Run it").click()
    page.wait_for_url(re.compile(f"/runs/(?!{failed}).+"))
    assert ended(id_of(page))["state"] == "finished"
    # The page loads itself anew at the run's end; a click before that would be lost.
    expect(page.locator("#run-state")).not_to_have_attribute("sse-close", "end", timeout=30_000)
    page.get_by_role("link", name="What differs").click()
    expect(page.locator("main")).to_contain_text("The right run is the left one run again.")
    expect(page.get_by_role("row", name=re.compile("State Failed Finished"))).to_be_visible()


def test_an_input_is_varied_and_the_results_stand_in_one_table(
    page: Page, stack: Stack, ask: Callable[..., Any], shot: Callable[[Page, str], None]
) -> None:
    newest = ask("GET", "/runs")["items"][0]["id"]
    page.goto(f"{stack.url}/services/deck/runs/{newest}")
    page.get_by_role("link", name="Vary an input…").click()
    page.get_by_label("Input", exact=True).first.select_option("fmax")
    page.get_by_label("Values, separated by commas").first.fill("0.05, 0.01")
    expect(page.locator("#plan")).to_contain_text("2\u00a0runs")
    page.get_by_role("button", name="Start the sweep").click()
    page.wait_for_url("**/sweeps/*")
    expect(page.get_by_role("heading", name="Optimise a molecule: Force threshold")).to_be_visible()
    expect(page.locator("#sweep-state")).to_contain_text("2 finished", timeout=120_000)
    expect(page.locator("tbody tr").first).to_contain_text("−")
    shot(page, "sweep")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert len(download.value.path().read_text("utf-8").splitlines()) == 3


def test_a_result_taken_from_before_says_so_and_can_be_computed_anyway(
    page: Page, stack: Stack, ask: Callable[..., Any], ended: Callable[[str], dict[str, Any]]
) -> None:
    newest = ask("GET", "/runs")["items"][0]
    body = {"workflow": newest["workflow"], "inputs": ask("GET", f"/runs/{newest['id']}/inputs"), "reuse": True}
    again = ended(ask("POST", "/runs", json=body)["id"])
    assert again["reused"]
    page.goto(f"{stack.url}/services/deck/runs/{again['id']}")
    expect(page.locator("#run-reuse").get_by_role("link")).to_be_visible()
    page.locator("#run-reuse").get_by_role("button", name="Compute it anyway").click()
    page.wait_for_url(re.compile(f"/runs/(?!{again['id']}).+"))
    anew = ask("GET", f"/runs/{id_of(page)}")
    assert (anew["reuse"], anew["retry_of"]) == (False, again["id"])


def test_a_run_is_deleted_after_a_look_at_what_goes(
    page: Page, stack: Stack, failed: str, shot: Callable[[Page, str], None]
) -> None:
    page.goto(f"{stack.url}/services/deck/runs/{failed}")
    page.get_by_role("link", name="Delete…").click()
    expect(page.locator("main")).to_contain_text("This cannot be undone.")
    expect(page.locator("main")).to_contain_text(re.compile(r"Provenance.*\d+.nodes"))
    shot(page, "run-delete")
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("The run is deleted.")).to_be_visible()
    expect(page.locator(f"[data-run='{failed}']")).to_have_count(0)


def test_no_page_threw(errors: list[str], page: Page) -> None:
    assert page.url
    assert errors == []
