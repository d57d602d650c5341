"""AiiDAlab apps on a real Jupyter server: their front page, their pages at AiiDAlab's addresses, their files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiidalab_apps import install_all, install_tree


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from server_extension.conftest import running

    root = tmp_path_factory.mktemp("aiidalab")
    install_all(root / "apps")
    with running(root, root / "apps", SIMDECK_WARM_APPS="0") as found:
        yield found


def test_an_app_s_address_on_the_deck_leads_to_its_front_page_with_the_query(lab: Any) -> None:
    answer = lab.get("deck/docs/?pk=1", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (302, "/user/ada/apps/apps/docs/?pk=1")


def test_the_banner_s_links_lead_into_the_app_beside_the_banner(lab: Any) -> None:
    text = lab.get("apps/apps/docs/").text
    assert re.search(r'<a target="_blank" href="\.\./docs/analyse\.ipynb\?pk=7"', text)
    assert 'src="../docs/img/logo.svg"' in text


def test_the_front_page_lists_every_notebook_and_starts_no_kernel(lab: Any) -> None:
    before = lab.kernels()
    text = lab.get("apps/apps/docs/").text
    assert "/user/ada/apps/apps/docs/notebooks/deep.ipynb" in text
    assert lab.kernels() == before


def test_a_page_knows_its_full_address_and_runs_in_its_folder(lab: Any) -> None:
    text = lab.get("apps/apps/docs/analyse.ipynb?pk=7").text
    assert "pk [&#x27;7&#x27;] cwd docs found beside the page" in text
    assert f"url {lab.address}apps/apps/docs/analyse.ipynb?pk=7" in text


def test_a_page_in_a_folder_runs_there(lab: Any) -> None:
    assert "deep in notebooks from=analyse" in lab.get("apps/apps/docs/notebooks/deep.ipynb?from=analyse").text


def test_an_address_with_quotes_is_data_and_never_code(lab: Any) -> None:
    text = lab.get("apps/apps/docs/analyse.ipynb?pk=7&x='%0Araise%20SystemExit#%27").text
    assert "pk [&#x27;7&#x27;]" in text
    assert "stopped while it was opening" not in text


def test_a_live_banner_is_run_with_aiidalab_s_bases(lab: Any) -> None:
    text = lab.get("apps/apps/live/").text
    assert "application/vnd.voila.cell-output+json" in text
    assert "Pages of this app" in text


def test_a_front_page_of_a_single_notebook_is_that_notebook(lab: Any) -> None:
    assert "the only page" in lab.get("apps/apps/single/", follow_redirects=True).text


def test_an_app_with_capitals_in_its_name_opens(lab: Any) -> None:
    assert "upper page" in lab.get("apps/apps/UPPER-case/p.ipynb").text


@pytest.mark.parametrize(
    "path", [".secret", "../../app.json", "%2e%2e/%2e%2e/app.json", "img/../../../app.json", "nothing.png", "img/"]
)
def test_only_the_tree_s_own_files_are_served(lab: Any, path: str) -> None:
    assert lab.get("apps/apps/docs/img/logo.svg").headers["content-type"] == "image/svg+xml"
    answer = lab.get(f"apps/apps/docs/{path}")
    assert answer.status_code == 404
    assert "aiidalab" not in answer.text.partition("</head>")[2]


@pytest.mark.parametrize("path", ["../../../x.ipynb", ".hidden/x.ipynb", "gone.ipynb"])
def test_a_page_that_is_not_in_the_tree_is_refused(lab: Any, path: str) -> None:
    answer = lab.get("apps/apps/docs/" + path.replace("../", "%2e%2e/"))
    assert answer.status_code == 404


def test_nobody_gets_a_page_or_a_file_of_an_aiidalab_app_without_signing_in(lab: Any) -> None:
    for path in ("apps/apps/docs/", "apps/apps/docs/analyse.ipynb", "apps/apps/docs/img/logo.svg"):
        assert httpx.get(lab.address + path, follow_redirects=False).status_code in {302, 403}, path


@pytest.mark.parametrize("kind", ["notebooks", "tree", "files"])
def test_aiidalab_s_other_addresses_lead_to_the_page(lab: Any, kind: str) -> None:
    answer = lab.get(f"{kind}/apps/docs/analyse.ipynb?pk=2", follow_redirects=False)
    assert answer.headers["location"] == "/user/ada/apps/apps/docs/analyse.ipynb?pk=2"


def test_files_of_a_folder_of_the_user_s_own_called_apps_stay_reachable(lab: Any) -> None:
    folder = lab.apps.parent / "apps" / "mine"
    folder.mkdir()
    (folder / "notes.txt").write_text("my notes")
    assert lab.get("files/apps/mine/notes.txt").text == "my notes"


@pytest.mark.parametrize(
    ("address", "to"),
    [
        ("home/start.ipynb", ""),
        ("home/open_app.ipynb?app=quantum-espresso&force=1", "store/quantum-espresso"),
        ("home/process.ipynb?id=3", "runs"),
        ("home/open_app.ipynb?app=..%2Fx", "store"),
    ],
)
def test_links_to_aiidalab_s_home_lead_to_the_deck_and_install_nothing(lab: Any, address: str, to: str) -> None:
    answer = lab.get(f"apps/apps/{address}", follow_redirects=False)
    assert answer.headers["location"] == f"/services/deck/{to}"


def test_a_link_to_an_app_that_is_not_installed_names_it_and_leads_to_the_store(lab: Any) -> None:
    answer = lab.get("apps/apps/aiidalab-widgets-base/notebooks/process.ipynb")
    assert answer.status_code == 404
    assert "/services/deck/store/aiidalab-widgets-base" in answer.text


def test_a_link_of_a_tree_that_leads_outside_is_not_followed(lab: Any) -> None:
    tree = install_tree(lab.apps, "linked", {"start.md": "x"})
    (tree / "out.txt").symlink_to("/etc/hostname")
    assert lab.get("apps/apps/linked/out.txt").status_code == 404
