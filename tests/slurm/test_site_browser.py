"""Two people at two browsers on one site, at the same time: install, open, calculate; all on compute nodes as themselves."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from slurm.site_stack import ALICE, BOB, SiteStack

pytestmark = [pytest.mark.slurm, pytest.mark.browser, pytest.mark.timeout(900)]
PEOPLE = (ALICE, BOB)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PATIENCE = 120_000  # ms
INSTALL = 240_000
CALCULATION = 90_000
WATER = b"3\nwater, off its minimum\nO 0.00 0.00 0.11\nH 0.00 0.76 -0.47\nH 0.00 -0.76 -0.47\n"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(site: SiteStack, browser: Browser) -> Iterator[dict[str, Page]]:
    """Each person's page, signed in with a one-time password, in a browser of their own."""
    contexts = {user: browser.new_context(viewport={"width": 1280, "height": 900}) for user in PEOPLE}
    found = {}
    for user, context in contexts.items():
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(site.url)
        page.get_by_label("User name").fill(user)
        page.get_by_label("One-time password").fill(site.passwords[user])
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{site.url}/services/deck/")
        found[user] = page
    yield found
    for context in contexts.values():
        context.close()


def test_both_install_the_app_at_the_same_time(site: SiteStack, pages: dict[str, Page]) -> None:
    for page in pages.values():
        page.goto(f"{site.url}/services/deck/store/molecule")
        page.get_by_role("button", name=re.compile("^Install")).first.click()
    for page in pages.values():
        expect(page.get_by_role("link", name="Open", exact=True).first).to_be_visible(timeout=INSTALL)


def test_both_open_it_in_servers_of_their_own_on_compute_nodes(site: SiteStack, pages: dict[str, Page]) -> None:
    for page in pages.values():
        page.goto(f"{site.url}/services/deck/")
        page.get_by_role("link", name=re.compile("^Open")).first.click()
        # What the server may use is asked for first.
        page.get_by_role("button", name="Start", exact=True).click()
    for user, page in pages.items():
        page.wait_for_url(f"**/user/{user}/deck/molecule/**", timeout=CALCULATION)
        expect(page.locator(".sd-structure-search")).to_be_visible(timeout=PATIENCE)
    lines = site.slurm("squeue", "--noheader", "--states=RUNNING", "--format=%u %N").splitlines()
    assert {line.split()[0] for line in lines} == set(PEOPLE)
    assert {line.split()[1] for line in lines} <= {"cn1", "cn2"}


def test_both_calculate_water_and_see_its_energy(pages: dict[str, Page]) -> None:
    for page in pages.values():
        page.get_by_role("tab", name="Upload a file").click()
        upload = page.locator("input.sd-structure-file").first
        upload.set_input_files({"name": "water.xyz", "mimeType": "chemical/x-xyz", "buffer": WATER})
        expect(page.locator(".sd-structure-chosen")).to_contain_text("H₂O")
        expect(page.locator(".sd-submit").last).to_be_enabled()
        page.locator(".sd-submit").last.click()
    for page in pages.values():
        expect(page.get_by_text(re.compile(r"[−-]137\.9\d+")).first).to_be_visible(timeout=CALCULATION)


@pytest.mark.parametrize(("user", "other"), [(ALICE, BOB), (BOB, ALICE)])
def test_a_person_cannot_open_anothers_server_in_their_browser(
    site: SiteStack, pages: dict[str, Page], user: str, other: str
) -> None:
    answer = pages[user].request.get(f"{site.url}/user/{other}/lab", timeout=PATIENCE)
    assert answer.status in {403, 404}
    assert other not in pages[user].request.get(f"{site.url}/services/deck/runs").text()
