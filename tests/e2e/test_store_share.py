"""Two people at browsers: a link into the store, versions side by side, a result in its own version, a shared result.

The tests build on each other in the order they stand in.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from simdeck_hub.places import hub_python
from stack import Stack, missing, wait_for

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.timeout(900),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

PATIENCE = 120_000
INSTALL = 180_000  # ms; seconds on an idle machine
WATER = "3\nwater\nO 0.00 0.00 0.11\nH 0.00 0.76 -0.47\nH 0.00 -0.76 -0.47\n"
MOLECULE = Path(__file__).parents[2] / "apps" / "molecule"
APPS = "molecule:\n  releases:\n    - file:1.0.0\n    - file:1.0.1\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Simdeck of two people, whose registry has two versions of the molecule app."""
    folder = tmp_path_factory.mktemp("share")
    source = folder / "registry"
    for version in ("1.0.0", "1.0.1"):
        shutil.copytree(MOLECULE, source / version, ignore=shutil.ignore_patterns("__pycache__"))
        project = source / version / "pyproject.toml"
        project.write_text(project.read_text("utf-8").replace('version = "1.0.0"', f'version = "{version}"'), "utf-8")
    log = source / "1.0.1" / "CHANGELOG.md"
    log.write_text("# What changed\n\n## 1.0.1\n\nMends the spectrum of linear molecules.\n", "utf-8")
    (source / "apps.yaml").write_text(APPS, "utf-8")
    shutil.copy(MOLECULE.parents[1] / "registry" / "categories.yaml", source)
    with Stack(folder, users=["ada", "bob"]) as running:
        built = running.data.built_registry
        argv = [str(hub_python()), "-m", "simdeck_appstore.build", "--source", str(source), "--output", str(built)]
        subprocess.run([*argv, "--strict"], check=True, capture_output=True)
        yield running


@pytest.fixture(scope="module")
def person(
    stack: Stack, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str], Page]]:
    """Return a function that follows a link in a browser of its own and signs ``name`` in on the way."""
    contexts = []

    def follow(name: str, path: str) -> Page:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}))
        contexts[-1].set_default_timeout(PATIENCE)
        page = contexts[-1].new_page()
        page.goto(stack.url + path)
        page.get_by_label("User name").fill(name)
        page.get_by_label("One-time password").fill(stack.passwords[name])
        page.get_by_role("button", name="Sign in").click()
        return page

    yield follow
    for number, context in enumerate(contexts):
        # What a failed test ended on.
        context.pages[0].screenshot(path=tmp_path_factory.getbasetemp() / f"last-{number}.png")
        context.close()


@pytest.fixture(scope="module")
def page(person: Callable[[str, str], Page]) -> Page:
    """Ada, who has followed a link to an app's older version."""
    return person("ada", "/services/deck/store/molecule?version=1.0.0")


@pytest.fixture(scope="module")
def run_id(stack: Stack) -> str:
    """A run of Ada's, made by version 1.0.0, once it has ended."""
    with stack.client("ada") as client:
        structure = {"name": "water.xyz", "content": WATER}
        body = {"workflow": "molecule.optimize", "inputs": {"structure": structure}, "title": "Water of Ada's"}
        answer = client.post("/runs", json=body)
        assert answer.status_code == 202, answer.text
        run = str(answer.json()["id"])
        wait_for("the run's end", lambda: client.get(f"/runs/{run}").json()["state"] == "finished" or None, 300)
        assert client.get(f"/runs/{run}").json()["app_version"] == "1.0.0"
    return run


def installed(stack: Stack) -> tuple[str, list[str]]:
    with stack.client("ada") as client:
        app = client.get("/apps/molecule").json()
    return app.get("current", ""), app.get("versions", [])


def test_a_link_from_outside_asks_before_anything_is_installed(page: Page, stack: Stack) -> None:
    expect(page.get_by_text("Install version 1.0.0?")).to_be_visible()
    assert installed(stack) == ("", [])
    page.locator("#link-asks").get_by_role("button", name=re.compile("^Install 1.0.0")).click()
    expect(page.get_by_text("Version 1.0.0 is in use")).to_be_visible(timeout=INSTALL)
    assert installed(stack) == ("1.0.0", ["1.0.0"])


def test_an_update_shows_what_it_changes_and_keeps_the_version_before(page: Page, stack: Stack, run_id: str) -> None:
    page.goto(f"{stack.url}/services/deck/store/molecule")
    expect(page.locator("#changes")).to_contain_text("Mends the spectrum of linear molecules.")
    page.get_by_role("button", name="Update to 1.0.1").click()
    expect(page.get_by_text("Version 1.0.1 is in use")).to_be_visible(timeout=INSTALL)
    assert installed(stack) == ("1.0.1", ["1.0.1", "1.0.0"])
    assert run_id


def test_a_result_opens_in_the_version_that_made_it(page: Page, stack: Stack, run_id: str) -> None:
    page.goto(f"{stack.url}/services/deck/runs/{run_id}")
    page.get_by_role("link", name="Open in app").click()
    expect(page).to_have_url(f"{stack.url}/user/ada/deck/molecule@1.0.0/?run={run_id}", timeout=INSTALL)
    expect(page.locator(".sd-run-state")).to_contain_text("Finished", timeout=PATIENCE)
    made = stack.data.users / "ada" / "apps" / "molecule" / "versions" / "1.0.0" / "env"
    pythons = [found.command for found in stack.processes() if "ipykernel" in found.command]
    assert any(str(made) in line for line in pythons), pythons


def test_a_missing_version_is_named_and_installed_beside(page: Page, stack: Stack, run_id: str) -> None:
    page.goto(f"{stack.url}/services/deck/store/molecule/remove?version=1.0.0")
    page.get_by_role("button", name="Remove version 1.0.0").click()
    wait_for("the version to go", lambda: installed(stack) == ("1.0.1", ["1.0.1"]) or None, 180)
    page.goto(f"{stack.url}/services/deck/open/molecule?run={run_id}")
    expect(page.get_by_role("heading", name="Molecule 1.0.0 is not installed")).to_be_visible()
    page.get_by_role("button", name="Install 1.0.0 beside").click()
    expect(page.get_by_role("link", name="Open the result")).to_be_visible(timeout=INSTALL)
    assert installed(stack) == ("1.0.1", ["1.0.1", "1.0.0"])
    page.get_by_role("link", name="Open the result").click()
    expect(page).to_have_url(f"{stack.url}/user/ada/deck/molecule@1.0.0/?run={run_id}", timeout=INSTALL)


def test_a_shared_result_is_seen_by_the_person_named_until_it_is_revoked(
    page: Page, person: Callable[[str, str], Page], stack: Stack, run_id: str, tmp_path: Path
) -> None:
    page.goto(f"{stack.url}/services/deck/runs/{run_id}")
    page.get_by_role("link", name="Share…").click()
    page.get_by_label("People, as they sign in").fill("bob")
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_role("link", name=re.compile("^Open the link for bob"))
    expect(link).to_be_visible()

    bob = person("bob", str(link.get_attribute("href")))
    expect(bob.get_by_role("heading", name="Water of Ada's")).to_be_visible()
    expect(bob.get_by_text("shared by ada, read-only")).to_be_visible()
    expect(bob.locator(".results")).to_contain_text("eV")
    with bob.expect_download() as download:
        bob.get_by_role("link", name="All as a zip").click()
    download.value.save_as(tmp_path / "run.zip")
    assert (tmp_path / "run.zip").read_bytes()[:2] == b"PK"
    assert bob.request.get(f"{stack.url}/services/deck/api/v1/runs/{run_id}").status == 404

    page.get_by_role("button", name=re.compile("^Revoke")).click()
    expect(page.get_by_text("Revoked")).to_be_visible()
    bob.reload()
    expect(bob.get_by_role("heading", name="The share is over")).to_be_visible()


def test_a_shared_app_is_opened_with_its_result_and_not_owned(
    page: Page, person: Callable[[str, str], Page], stack: Stack, run_id: str
) -> None:
    shots = Path(__file__).parents[1] / "artifacts" / "e2e"
    shots.mkdir(parents=True, exist_ok=True)
    page.goto(f"{stack.url}/services/deck/store/molecule")
    page.get_by_role("link", name="Share…").click()
    page.get_by_label("People, as they sign in").fill("bob")
    page.get_by_label("Version").select_option("1.0.0")
    page.get_by_label("Together with a result").select_option(run_id)
    page.screenshot(path=shots / "share-app.png", full_page=True)
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_role("link", name=re.compile("^Open the link for bob"))
    expect(page.get_by_text("Not opened yet")).to_be_visible()

    stack.passwords["bob"] = stack.run("password", "bob").stdout.split()[-1]
    bob = person("bob", str(link.get_attribute("href")))
    expect(bob.get_by_text("ada shares this app with you")).to_be_visible()
    bob.screenshot(path=shots / "shared-app.png", full_page=True)
    bob.set_viewport_size({"width": 390, "height": 800})
    bob.screenshot(path=shots / "shared-app-390.png", full_page=True)
    bob.set_viewport_size({"width": 1280, "height": 900})
    bob.locator("#open-shared").click()
    expect(bob).to_have_url(re.compile(r"/user/bob/deck/molecule@1\.0\.0/\?run="), timeout=INSTALL)
    expect(bob.locator(".sd-run-state")).to_contain_text("Finished", timeout=PATIENCE)
    bob.screenshot(path=shots / "shared-app-open.png", full_page=True)

    bob.goto(f"{stack.url}/services/deck/")
    expect(bob.get_by_role("heading", name="No apps installed yet")).to_be_visible()
    expect(bob.get_by_role("heading", name="Shared with you")).to_be_visible()
    bob.screenshot(path=shots / "shared-deck.png", full_page=True)
    bob.go_back()
    expect(bob.locator(".sd-run-state")).to_contain_text("Finished", timeout=PATIENCE)

    with stack.client("bob") as api, stack.client("ada") as owner:
        assert api.get("/apps").json()["items"] == []
        guest = stack.data.users / "bob" / "apps" / "molecule" / "versions" / "1.0.0"
        share = owner.get("/shares").json()["items"][0]
        assert [one["person"] for one in share["opened"]] == ["bob"]
        ticket = api.get("/shared").json()["items"][0]["ticket"]
        owner.delete(f"/shares/{share['id']}")
        wait_for("the word that it is over", lambda: api.get("/shared").json()["items"][0]["ended"], 30)
        # Its page is open.
        assert guest.is_dir()
        api.delete("/server")
        wait_for("the end of the page", lambda: api.get("/server").json()["state"] != "running" or None, 180)
        assert api.get(f"/shared/{ticket}/app").status_code == 410
        wait_for("the version to go", lambda: not guest.exists(), 30)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_pages_of_sharing_and_of_administrators(
    page: Page, stack: Stack, scheme: Literal["light", "dark"]
) -> None:
    axe = files("simdeck_appstore.developer").joinpath("vendor/axe.min.js").read_text("utf-8")
    page.emulate_media(color_scheme=scheme)
    for path in ("admin", "shares", "disk", "store/molecule", "store/molecule/share"):
        page.goto(f"{stack.url}/services/deck/{path}")
        page.evaluate(axe)
        found = page.evaluate(
            "tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']}).then(result =>"
            " result.violations.map(one => [one.id, one.nodes.map(node => node.html.slice(0, 120))]))",
            ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
        )
        assert found == [], (path, found)


def test_links_are_made_listed_and_revoked_from_the_command_line(page: Page, stack: Stack) -> None:
    said = stack.run("share", "app", "molecule", "--with", "bob", "--parameter", "system=water", "--days", "2").stdout
    assert said.startswith(f"{stack.url}/services/deck/shared/")
    with stack.client("bob") as bob:
        assert bob.post("/shared", json={"link": said.strip()}).json()["app"] == "molecule"
    (share,) = [one for one in json.loads(stack.run("share", "list", "--json").stdout) if not one["ended"]]
    assert (share["parameters"], [one["person"] for one in share["opened"]]) == ({"system": "water"}, ["bob"])
    assert share["id"] in stack.run("share", "list").stdout
    assert "is over" in stack.run("share", "revoke", share["id"]).stdout
    assert stack.run("share", "revoke", "nothing", check=False).returncode == 1
    assert stack.run("share", "app", "molecule", check=False).returncode == 2
