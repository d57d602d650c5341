"""Apps of files alone, and apps with several pages, on a real Jupyter server."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import async_playwright, expect
from program_apps import install_files, install_pages
from server_extension.conftest import running
from server_extension.test_page_in_browser import FLAGS

SITE = {
    "index.html": "<!DOCTYPE html><title>Viewer</title><h1>Viewer</h1><p id=out>waiting</p><script type=module src=app.js></script>",
    "app.js": "const text = await (await fetch('data/result.json')).json(); const say = (id, words) => {"
    " document.getElementById(id).textContent = words; };\n"
    "let apis = 'reached'; try { await fetch('../../api/kernels'); } catch (error) { apis = 'kept away'; }\n"
    "let other = 'reached'; try { await fetch('http://127.0.0.1:9/x', {mode: 'no-cors'}); } catch (error) { other = 'kept away'; }\n"
    "say('out', `${text.energy} ${new URLSearchParams(location.search).get('run')} api ${apis}, other sites ${other}`);",
    "data/result.json": '{"energy": -76.4}',
    "deep/index.html": "deep page",
    ".secret": "hidden",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    root = tmp_path_factory.mktemp("kinds")
    install_files(root / "apps", "viewer", SITE)
    said = "import os\nprint({!r}, os.environ['QUERY_STRING'])"
    install_pages(
        root / "apps",
        "several",
        {"start.ipynb": ("Overview", said.format("overview")), "analyse.ipynb": ("Analyse", said.format("analyse"))},
    )
    with running(root, root / "apps", SIMDECK_WARM_APPS="0") as found:
        yield found


def test_files_are_served_with_a_policy_that_names_only_the_app_s_own_address(lab: Any) -> None:
    answer = lab.get("deck/viewer/?run=1")
    assert "Viewer" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert f"connect-src {lab.address}deck/viewer/ data: blob:" in policy
    assert lab.kernels() == []


def test_a_folder_s_index_is_shown_and_nothing_hidden_or_outside(lab: Any) -> None:
    assert lab.get("deck/viewer/deep/").text == "deep page"
    for path in (".secret", "%2e%2e/%2e%2e/pyvenv.cfg", "gone.html", "data/"):
        assert lab.get(f"deck/viewer/{path}").status_code == 404, path


def test_nobody_writes_to_an_app_of_files_or_reads_it_without_signing_in(lab: Any) -> None:
    headers = {"Authorization": "token test-token"}
    assert httpx.put(f"{lab.address}deck/viewer/index.html", headers=headers, content="x").status_code in {403, 405}
    assert httpx.get(f"{lab.address}deck/viewer/", follow_redirects=False).status_code in {302, 403}


def test_an_app_of_files_keeps_its_query_without_the_final_slash(lab: Any) -> None:
    answer = lab.get("deck/viewer?run=2", follow_redirects=False)
    assert answer.headers["location"] == "/user/ada/deck/viewer/?run=2"


def test_each_page_has_an_address_of_its_own_and_gets_its_query(lab: Any) -> None:
    assert "overview run=1" in lab.get("deck/several/?run=1").text
    assert "analyse run=2" in lab.get("deck/several/analyse?run=2").text
    assert lab.get("deck/several/nothing").status_code == 404


def test_the_pages_of_an_app_are_linked_from_each_other_and_the_open_one_is_marked(lab: Any) -> None:
    text = lab.get("deck/several/analyse").text
    found = re.findall(r'<a href="(/user/ada/deck/several/\w*)"( aria-current="page")?>(\w+)</a>', text)
    assert found == [
        ("/user/ada/deck/several/", "", "Overview"),
        ("/user/ada/deck/several/analyse", ' aria-current="page"', "Analyse"),
    ]


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium on this machine")
async def test_a_viewer_reads_its_own_files_and_neither_the_server_s_interfaces_nor_other_sites(lab: Any) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = await browser.new_page()
        await page.goto(f"{lab.address}api/status?token=test-token")
        await page.goto(f"{lab.address}deck/viewer/?run=5")
        await expect(page.locator("#out")).to_have_text("-76.4 5 api kept away, other sites kept away", timeout=30_000)
        await browser.close()
