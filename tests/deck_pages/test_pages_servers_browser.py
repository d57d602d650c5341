"""Servers as batch jobs in real Chromium: the form answers as it changes, the start is followed to the app."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Open, wait_for
from deck_pages_servers import OPTIONS, ended, queued, running_job, server
from playwright.sync_api import expect
from shots import CHROMIUM
from simdeck_common.problems import Problem

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed"),
]


def test_a_preset_fills_in_the_fields_and_the_scheduler_is_asked_anew(opened: Open) -> None:
    page = opened("site", "servers/new", polls=False)
    asked = opened.site.worlds["site"].servers.estimated  # type: ignore[attr-defined]
    expect(page.locator("#estimate")).to_contain_text("8 core-hours")
    page.get_by_role("radio", name="One GPU").check()
    wait_for(lambda: asked[-1].get("partition") == "gpu")
    assert asked[-1]["gpus"] == {"type": "a100", "count": 1}
    page.get_by_text("All options").click()
    expect(page.get_by_label("Number of GPUs")).to_have_value("1")
    expect(page.get_by_label("Cores", exact=True)).to_have_value("8")
    page.get_by_label("Cores", exact=True).fill("9")
    wait_for(lambda: asked[-1]["cores"] == 9)
    expect(page.get_by_role("radio", name="One GPU")).not_to_be_checked()
    expect(page.get_by_label("Cores", exact=True)).to_be_focused()


def test_the_keyboard_alone_chooses_a_size_and_starts(opened: Open) -> None:
    page = opened("site", "servers/new")
    servers = opened.site.worlds["site"].servers  # type: ignore[attr-defined]
    page.get_by_role("radio", name="As last time").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Small")).to_be_checked()
    wait_for(lambda: bool(servers.estimated) and servers.estimated[-1].get("cores") == 1)
    expect(page.get_by_role("radio", name="Small")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/servers/server?open=1")
    assert servers.started[0][1]["memory_mb"] == 2048


def test_another_partition_offers_other_choices(opened: Open) -> None:
    page = opened("site", "servers/new?opt-cores=2")
    expect(page.get_by_label("Number of GPUs")).to_have_count(0)
    page.get_by_label("Partition").focus()
    page.get_by_label("Partition").select_option("gpu")
    expect(page.get_by_label("Number of GPUs")).to_be_visible()
    expect(page.get_by_label("Partition")).to_be_focused()
    expect(page.get_by_label("Cores", exact=True)).to_have_value("2")
    expect(page.locator(".now-table .chosen")).to_contain_text("GPU nodes")
    page.get_by_label("Cluster").select_option("beta")
    expect(page.get_by_role("heading", name="Start a server")).to_be_visible()
    expect(page.locator("#opt-account")).to_have_count(0)
    expect(page.get_by_role("heading", name="Beta now")).to_be_visible()


def test_what_is_wrong_is_said_beside_the_field_while_it_is_typed(opened: Open) -> None:
    page = opened("site", "servers/new?opt-cores=2")
    servers = opened.site.worlds["site"].servers  # type: ignore[attr-defined]
    expect(page.locator("#estimate")).to_contain_text("8 core-hours")
    servers.refusal = Problem("invalid-input", field="cores", detail="At most 32 cores can be had here.")
    page.get_by_label("Cores", exact=True).fill("99")
    expect(page.locator("#error-cores")).to_contain_text("At most 32 cores")
    expect(page.get_by_label("Cores", exact=True)).to_be_focused()
    servers.refusal = None
    page.get_by_label("Cores", exact=True).fill("3")
    expect(page.locator("#error-cores")).to_be_empty()
    expect(page.locator("#estimate")).to_contain_text("8 core-hours")


def test_a_start_is_followed_from_the_form_through_the_queue_to_the_app(opened: Open) -> None:
    site = opened.site  # type: ignore[attr-defined]
    servers = site.worlds["site"].servers
    servers.views = []
    page = opened("site", "open/molecule?run=abc", polls=False)
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#run-shown")).to_have_text("Being submitted")
    stream = "/servers/-/events"
    wait_for(lambda: site.listeners(stream) == 1)
    servers.views = [queued()]
    site.tell(stream, "progress", {"percent": 10})
    expect(page.locator("#server-live")).to_contain_text("Jobs with a higher priority")
    expect(page.locator("#run-said")).to_have_text("In the queue")
    servers.views = [server("-", "booting", options=OPTIONS)]
    site.tell(stream, "progress", {"percent": 60})
    expect(page.locator("[data-step=booting]")).to_have_attribute("aria-current", "step")
    page.context.route("**/user/site/deck/molecule/**", lambda route: route.fulfill(body="the app's page"))
    servers.views = [running_job()]
    site.tell(stream, "ready", {"url": "/user/site/"})
    page.wait_for_url("**/user/site/deck/molecule/?run=abc")


def test_a_job_that_ends_on_the_way_shows_why_and_can_be_asked_for_with_more(opened: Open) -> None:
    page = opened("site", "servers/queue-1", polls=False)
    site = opened.site  # type: ignore[attr-defined]
    wait_for(lambda: site.listeners("/servers/queue-1/events") == 1)
    site.worlds["site"].servers.views = [ended("queue-1")]
    site.tell("/servers/queue-1/events", "failed", {"message": "it ended"})
    expect(page.get_by_role("alert")).to_contain_text("ran out of memory")
    wait_for(lambda: site.listeners("/servers/queue-1/events") == 0)
    page.get_by_role("link", name="Try again with 16 GiB").click()
    expect(page.get_by_label("Memory")).to_have_value("16 GiB")
    expect(page.get_by_label("Server name")).to_have_value("queue-1")


def test_a_change_that_starts_sooner_is_one_click(opened: Open) -> None:
    page = opened("site", "servers/new")
    page.get_by_role("link", name="1 hour instead of 2").click()
    expect(page.get_by_label("Time limit")).to_have_value("1:00")


def test_the_deck_follows_a_waiting_server_without_a_reload(opened: Open) -> None:
    page = opened("site", "")
    servers = opened.site.worlds["site"].servers  # type: ignore[attr-defined]
    expect(page.locator("[data-server=queue-1]")).to_contain_text("4th in the queue")
    servers.views = [running_job("queue-1")]
    expect(page.locator("[data-server=queue-1] .state").first).to_have_text("Running")
    page.get_by_role("link", name="All servers").click()
    expect(page.get_by_role("heading", name="Servers", level=1)).to_be_visible()
