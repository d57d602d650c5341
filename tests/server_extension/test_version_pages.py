"""Another version of an app than the one in use opens beside it, with its own kernel."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from installed_apps import install_app

CELL = (
    "import os, ipywidgets\nfrom simdeck_widgets.layout import Text\n"
    "Text(text=os.environ['SIMDECK_APP_VERSION'] + ' of ' + os.environ['PYTHONPATH'].split('/')[-1] + os.environ['QUERY_STRING'])"
)


def said(answer: httpx.Response) -> str:
    found = re.search(r'<script id="simdeck-widgets" type="application/json">(.*?)</script>', answer.text, re.S)
    assert found, answer.text[-2000:]
    models = json.loads(found.group(1))["models"].values()
    return str(next(model["state"]["text"] for model in models if "text" in model["state"]))


@pytest.fixture(scope="module")
def two(server: Any) -> Any:
    """The server, with an app of which version 2.0 is in use and 1.0 lies beside it."""
    for version in ("1.0", "2.0"):
        folder = install_app(server.apps, "two", [CELL], version=version, pythonpath=f"/nowhere/python-of-{version}")
        argv = [str(folder / "env/bin/python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        (folder / "kernel").mkdir()
        (folder / "kernel" / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Two"}))
    return server


def test_the_version_in_use_opens_at_the_apps_own_address(two: Any) -> None:
    assert said(two.get("deck/two/")) == "2.0 of python-of-2.0"
    assert said(two.get("deck/two@2.0/")) == "2.0 of python-of-2.0"


def test_a_kernel_of_an_app_finds_no_packages_that_the_server_was_given(two: Any) -> None:
    install_app(two.apps, "bare", ["print(1)", CELL.replace("SIMDECK_APP_VERSION", "SIMDECK_APP")], warm=["json"])
    assert [said(two.get("deck/bare/")) for _ in range(3)] == ["bare of "] * 3


@pytest.mark.parametrize("address", ["deck/two@1.0/?run=7", "deck/two%401.0/?run=7"])
def test_another_version_opens_with_the_kernel_of_its_own(two: Any, address: str) -> None:
    answer = two.get(address)
    assert said(answer) == "1.0 of python-of-1.0run=7"
    assert "/deck/labextensions/two@1.0/" in answer.text


@pytest.mark.parametrize("version", ["9.9", "..", ".", "%2e%2e", "1.0%2f..", "current", ""])
def test_a_version_that_is_not_there_is_refused(two: Any, version: str) -> None:
    assert two.get(f"deck/two@{version}/").status_code == 404
