"""A scientist's whole path in real Chromium: sign in, install, calculate, close everything, find the result later.

The tests build on each other in the order they stand in, as the path does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from simdeck_hub.places import Checkout, hub_python
from stack import Stack, missing, wait_for

pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.timeout(900),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

Shot = Callable[[Page, str], None]
CALCULATION = 120_000  # ms; seconds on an idle machine

WATER = """3
water, off its minimum
O   0.00  0.00  0.11
H   0.00  0.76 -0.47
H   0.00 -0.76 -0.47
"""


def rows(table: Locator) -> dict[str, list[str]]:
    """A table's body rows by their first cell's text."""
    found = {}
    for row in table.locator("tbody tr").all():
        cells = [cell.inner_text().strip() for cell in row.locator("th, td").all()]
        found[cells[0]] = cells[1:]
    return found


def number(text: str) -> float:
    """The number a cell shows, whichever minus sign and grouping it uses."""
    return float(re.sub(r"[^\d.e-]", "", text.replace("−", "-")))


def open_app(page: Page, stack: Stack) -> None:
    """From the deck's card to the app's usable page."""
    page.goto(f"{stack.url}/services/deck/")
    page.get_by_role("link", name=re.compile("^Open")).first.click()
    page.wait_for_url("**/user/*/deck/molecule/**")
    expect(page.locator(".sd-structure-search")).to_be_visible(timeout=60_000)


def test_signing_in_lands_on_the_deck_which_needs_no_server(page: Page, stack: Stack, shot: Shot) -> None:
    expect(page).to_have_url(f"{stack.url}/services/deck/")
    expect(page.get_by_text("No apps installed yet")).to_be_visible()
    expect(page.get_by_text("Nothing has run yet")).to_be_visible()
    shot(page, "01-deck-empty")
    assert not stack.processes("server")


def test_the_store_finds_the_app_as_one_types(page: Page, stack: Stack, shot: Shot) -> None:
    page.get_by_role("link", name="Store", exact=True).click()
    search = page.get_by_role("searchbox")
    search.press_sequentially("vibrat", delay=20)
    expect(page.get_by_role("link", name=re.compile("Molecule")).first).to_be_visible()
    search.fill("")
    search.press_sequentially("no such app", delay=20)
    expect(page.get_by_role("link", name=re.compile("Molecule"))).to_have_count(0)
    search.fill("")
    expect(page.get_by_role("link", name=re.compile("Molecule")).first).to_be_visible()
    shot(page, "02-store")


def test_installing_shows_its_steps_to_the_end(page: Page, stack: Stack, shot: Shot) -> None:
    page.get_by_role("link", name=re.compile("Molecule")).first.click()
    expect(page.get_by_text("10.1021/acs.jctc.8b01176").first).to_be_visible()
    shot(page, "03-app")
    page.get_by_role("button", name=re.compile("^Install")).first.click()
    for step in ("resolve", "download", "build", "verify", "ready"):
        expect(page.locator(f"[data-step={step}]")).to_be_visible()
    expect(page.get_by_role("link", name="Open", exact=True).first).to_be_visible(timeout=CALCULATION)
    shot(page, "04-app-installed")


def test_opening_the_app_starts_the_server_and_shows_its_page(page: Page, stack: Stack, shot: Shot) -> None:
    assert not stack.processes("server")
    open_app(page, stack)
    assert stack.processes("server")
    shot(page, "05-molecule")


def test_an_unreadable_file_gets_a_sentence(page: Page) -> None:
    page.get_by_role("tab", name="Upload a file").click()
    upload = page.locator("input.sd-structure-file").first
    upload.set_input_files({"name": "broken.xyz", "mimeType": "text/plain", "buffer": b"3\nwater\nO 0 0\n"})
    expect(page.locator(".sd-structure-error")).to_contain_text(re.compile(r"\w+ .*\."))


def test_a_structure_of_5000_atoms_gets_a_sentence(page: Page) -> None:
    lines = "".join(f"He {i % 20 * 3} {i // 20 % 20 * 3} {i // 400 * 3}\n" for i in range(5000))
    upload = page.locator("input.sd-structure-file").first
    upload.set_input_files({"name": "big.xyz", "mimeType": "text/plain", "buffer": f"5000\nbig\n{lines}".encode()})
    expect(page.locator(".sd-structure-error")).to_contain_text("5,000 atoms")


def test_overlapping_atoms_get_a_sentence(page: Page) -> None:
    upload = page.locator("input.sd-structure-file").first
    xyz = b"3\nwater\nO 0 0 0\nH 0 0 0.05\nH 0 0.9 0\n"
    upload.set_input_files({"name": "overlap.xyz", "mimeType": "text/plain", "buffer": xyz})
    expect(page.locator(".sd-structure-error")).to_contain_text(re.compile("apart|close|overlap"))


def test_a_multiplicity_that_does_not_fit_gets_a_sentence_next_to_it(page: Page, shot: Shot) -> None:
    upload = page.locator("input.sd-structure-file").first
    upload.set_input_files({"name": "water.xyz", "mimeType": "chemical/x-xyz", "buffer": WATER.encode()})
    expect(page.locator(".sd-structure-chosen")).to_contain_text("H₂O")
    page.get_by_label("Spin multiplicity").fill("2")
    page.get_by_label("Spin multiplicity").blur()
    expect(page.locator(".sd-field-multiplicity")).to_contain_text("electrons")
    expect(page.locator(".sd-submit").last).to_be_disabled()
    shot(page, "06-multiplicity-refused")
    page.get_by_label("Spin multiplicity").fill("1")
    page.get_by_label("Spin multiplicity").blur()
    expect(page.locator(".sd-submit").last).to_be_enabled()


@pytest.fixture(scope="module")
def independent(stack: Stack) -> dict[str, Any]:
    """Water by tblite's own interface with an optimiser, Hessian and masses written in the tests: not the app's code."""
    from molecule_cases import case, run_app_side

    python = stack.data.users / stack.users[0] / "apps" / "molecule" / "current" / "env" / "bin" / "python"
    # The library's OH bonds lie along the same axes as the file's; the minimum does not depend on the start.
    return run_app_side(python, dict(os.environ, OMP_NUM_THREADS="1"), "independent", {"water": case("H2O")})["water"]


def test_a_run_shows_waters_results_as_an_independent_calculation_has_them(
    page: Page, independent: dict[str, Any], shot: Shot
) -> None:
    page.locator(".sd-submit").last.click()
    expect(page).to_have_url(re.compile(r"[?&]run=[0-9a-f-]{36}"))
    expect(page.locator(".sd-run-state")).to_contain_text(re.compile("Running|Finished"), timeout=CALCULATION)
    expect(page.locator(".sd-run-state")).to_contain_text("Finished", timeout=CALCULATION)
    expect(page.locator(".sd-thermochemistry-table").first).to_be_visible()
    shot(page, "07-result")

    positions = independent["positions"]
    bonds = [
        sum((a - b) ** 2 for a, b in zip(positions[0], positions[k], strict=True)) ** 0.5 for k in (1, 2)
    ]  # Å, oxygen first
    import numpy as np

    one, other = (np.subtract(positions[k], positions[0]) for k in (1, 2))
    angle = np.degrees(np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other)))
    shown = [
        [cell.inner_text().strip() for cell in row.locator("th, td").all()]
        for row in page.locator(".sd-geometry-table tbody tr").all()
    ]
    assert [number(row[2]) for row in shown if row[0] == "Bond"] == pytest.approx(bonds, abs=5e-4)
    assert [number(row[2]) for row in shown if row[0] == "Angle"] == pytest.approx([angle], abs=0.1)

    energy = rows(page.locator(".sd-summary-table").first)["Total energy"]
    assert energy[1] == "eV"
    assert number(energy[0]) == pytest.approx(independent["energy"], abs=1e-5)

    modes = [number(cells[0]) for cells in rows(page.locator(".sd-frequencies-table").first).values()]
    # The convergence threshold of the forces leaves a few tenths; cm⁻¹.
    assert modes == pytest.approx(sorted(independent["frequencies"])[-3:], abs=2.0)


def test_choosing_a_mode_moves_the_atoms(page: Page) -> None:
    mode = page.locator(".sd-frequencies-table tbody tr").first
    mode.click()
    before = page.locator(".sd-viewer canvas").last.screenshot()
    wait_for("the picture to move", lambda: page.locator(".sd-viewer canvas").last.screenshot() != before, 20)
    mode.click()


def test_the_zip_holds_inputs_and_outputs(page: Page, tmp_path: Path) -> None:
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("zip")).or_(page.get_by_role("link", name=re.compile("zip"))).click()
    saved = tmp_path / "run.zip"
    download.value.save_as(saved)
    names = zipfile.ZipFile(saved).namelist()
    assert any("inputs" in name for name in names)
    assert any(name.endswith("outputs.json") for name in names)
    assert any(name.endswith("optimised.xyz") for name in names)


def test_change_and_run_again_keeps_the_inputs(page: Page) -> None:
    page.get_by_role("button", name="Change and run again").click()
    expect(page.locator(".sd-structure-chosen")).to_contain_text("H₂O")
    expect(page.get_by_label("Spin multiplicity")).to_have_value("1")


def test_a_run_outlives_browser_and_server(page: Page, browser: Browser, stack: Stack, shot: Shot) -> None:
    # Long enough that it still runs when everything is closed.
    open_app(page, stack)
    page.locator(".sd-structure-search").fill("adenine thymine watson")
    page.get_by_text(re.compile("Adenine thymine Watson", re.IGNORECASE)).first.click()
    expect(page.locator(".sd-structure-chosen")).to_contain_text("C₁₀H₁₁N₇O₂")
    page.locator(".sd-submit").last.click()
    expect(page).to_have_url(re.compile(r"run=[0-9a-f-]{36}"))
    run_id = re.search(r"run=([0-9a-f-]{36})", page.url)[1]  # type: ignore[index]
    state = page.context.storage_state()
    page.goto(f"{stack.url}/hub/home")
    shot(page, "08-hub-home")
    page.get_by_role("button", name=re.compile("Stop")).or_(page.get_by_role("link", name=re.compile("Stop"))).click()
    wait_for("the server to end", lambda: not stack.processes("server"))
    page.goto("about:blank")

    with stack.client() as client:
        assert client.get(f"/runs/{run_id}").json()["state"] in {"accepted", "running"}

        def finished() -> bool:
            return client.get(f"/runs/{run_id}").json()["state"] == "finished"

        wait_for("the run to finish with nothing open", finished, 480)

    context = browser.new_context(viewport={"width": 1280, "height": 900}, storage_state=state)
    context.set_default_timeout(120_000)
    later = context.new_page()
    later.goto(f"{stack.url}/services/deck/")
    row = later.locator(f"[data-run='{run_id}']")
    expect(row).to_contain_text("Finished")
    shot(later, "09-deck-later")
    row.get_by_role("link", name=re.compile("Open|app", re.IGNORECASE)).first.click()
    later.wait_for_url(re.compile(f"/deck/molecule/.*{run_id}"))
    expect(later.locator(".sd-run-state")).to_contain_text("Finished", timeout=CALCULATION)
    # 30 atoms have 3 × 30 − 6 modes.
    expect(later.locator(".sd-frequencies-table tbody tr")).to_have_count(84)
    context.close()


def test_the_runs_page_shows_provenance_and_files(page: Page, stack: Stack, shot: Shot) -> None:
    page.goto(f"{stack.url}/services/deck/runs")
    shot(page, "10-runs")
    page.get_by_role("link", name=re.compile("water")).first.click()
    expect(page.get_by_text("optimised.xyz").first).to_be_visible()
    drawing = page.locator("img[src*='graph.svg'], object[data*='graph.svg']").first
    if not drawing.is_visible():
        page.get_by_text("Show the graph").click()
    expect(drawing).to_be_visible()
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=drawing.element_handle())
    shot(page, "11-run")


def test_jupyterlab_offers_the_apps_kernel(page: Page, stack: Stack, shot: Shot) -> None:
    page.goto(f"{stack.url}/user/{stack.users[0]}/lab")
    expect(page.locator(".jp-LauncherCard", has_text="Molecule").first).to_be_visible(timeout=60_000)
    shot(page, "12-jupyterlab")


def test_the_same_run_from_the_command_line_gives_the_same_energy(
    stack: Stack, independent: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "water.xyz").write_text(WATER)
    structure = f"structure={tmp_path / 'water.xyz'}"
    done = stack.run("run", "molecule.optimize", "--input", structure, "--wait", "--json")
    answer = json.loads(done.stdout)
    assert answer["state"] == "finished"
    assert answer["summary"]["energy"]["value"] == pytest.approx(independent["energy"], abs=1e-5)


def test_the_same_run_from_one_curl_gives_the_same_energy(
    stack: Stack, independent: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "water.xyz").write_text(WATER)
    (tmp_path / "header").write_text(f"Authorization: token {stack.token(None, 'runs')}")
    url = f"{stack.api}/workflows/molecule.optimize/run?wait=120"
    argv = [
        "curl",
        "-sS",
        "-H",
        f"@{tmp_path / 'header'}",
        "-F",
        f"structure=@{tmp_path / 'water.xyz'}",
        "-F",
        "charge=0",
        url,
    ]
    answer = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    assert answer["state"] == "finished", answer
    assert answer["summary"]["energy"]["value"] == pytest.approx(independent["energy"], abs=1e-5)


def publish_next_version(stack: Stack, work: Path) -> None:
    """Put version 1.0.1 of the molecule app beside 1.0.0 into the registry of this stack."""
    checkout = Checkout.find().root
    shutil.copytree(checkout / "apps" / "molecule", work / "apps" / "molecule")
    project = work / "apps" / "molecule" / "pyproject.toml"
    project.write_text(project.read_text().replace('version = "1.0.0"', 'version = "1.0.1"'))
    shutil.copytree(checkout / "registry", work / "registry")
    releases = f"molecule:\n  releases:\n    - file:{checkout}/apps/molecule\n    - file:../apps/molecule\n"
    (work / "registry" / "apps.yaml").write_text(releases)
    argv = [str(hub_python()), "-m", "simdeck_appstore.build", "--strict"]
    argv += ["--source", str(work / "registry"), "--output", str(stack.data.built_registry)]
    subprocess.run(argv, check=True, capture_output=True, text=True)


def test_an_update_can_be_rolled_back_and_the_app_removed(page: Page, stack: Stack, shot: Shot, tmp_path: Path) -> None:
    publish_next_version(stack, tmp_path)
    versions = stack.data.users / stack.users[0] / "apps" / "molecule"
    app_page = f"{stack.url}/services/deck/store/molecule"
    page.goto(app_page)
    page.get_by_role("button", name="Update to 1.0.1").click()
    expect(page.get_by_role("button", name="Roll back to 1.0.0")).to_be_visible(timeout=CALCULATION)
    assert (versions / "current").resolve().name == "1.0.1"
    shot(page, "13-updated")
    page.get_by_role("button", name="Roll back to 1.0.0").click()
    expect(page.get_by_role("button", name="Update to 1.0.1")).to_be_visible(timeout=CALCULATION)
    assert (versions / "current").resolve().name == "1.0.0"
    page.goto(app_page)
    page.get_by_role("link", name="Remove…", exact=True).click()
    page.get_by_role("button", name="Remove Molecule").click()
    expect(page.get_by_role("button", name=re.compile("^Install")).first).to_be_visible(timeout=CALCULATION)
    assert not versions.exists()
    # What was computed stays.
    with stack.client() as client:
        assert client.get("/runs").json()["items"]


def test_no_page_threw_an_error(errors: list[str]) -> None:
    assert not errors
