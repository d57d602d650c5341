"""App pages over HTTP: what a person gets, and what becomes of the kernel."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
from installed_apps import install_app


def state(text: str) -> dict[str, Any]:
    found = re.search(r'<script id="simdeck-widgets" type="application/json">(.*?)</script>', text, re.S)
    assert found, text[-2000:]
    return dict(json.loads(found.group(1)))


def hello_text(text: str) -> str:
    return next(m["state"]["text"] for m in state(text)["models"].values() if "text" in m["state"])


def static_url(text: str, end: str) -> str:
    found = re.search(rf'"(/user/ada/deck/[^"]*{re.escape(end)})"', text)
    assert found
    return found.group(1).removeprefix("/user/ada/")


def test_a_page_runs_its_notebook_with_query_string_and_environment(server: Any) -> None:
    answer = server.get("deck/hello/?run=4711&x=%3C")
    assert answer.status_code == 200
    assert hello_text(answer.text) == "run=4711&x=%3C hello 1.0 http://127.0.0.1:1/api/v1 secret-of-the-server"


def test_a_title_cannot_carry_markup_into_the_page(server: Any) -> None:
    text = server.get("deck/hello/").text
    assert "Hello &lt;you&gt;" in text
    assert "Hello <you>" not in text


def test_two_pages_of_an_app_have_kernels_of_their_own(server: Any) -> None:
    ids = {re.search(r'"kernelId": "([^"]+)"', server.get("deck/hello/").text).group(1) for _ in range(2)}  # type: ignore[union-attr]
    assert len(ids) == 2


def test_a_page_with_other_widgets_is_shown_by_voila(server: Any) -> None:
    text = server.get("deck/slider/").text
    assert "application/vnd.voila.cell-output+json" in text
    assert "/voila/voila.js" in text
    assert 'id="simdeck-widgets"' not in text


def test_nobody_gets_a_page_or_a_file_without_signing_in(server: Any) -> None:
    page = server.get("deck/hello/").text
    for path in ("deck/hello/", static_url(page, "page.css"), "deck/nothing/"):
        answer = httpx.get(server.address + path, follow_redirects=False)
        assert answer.status_code in {302, 403}, path


def test_an_unknown_app_leads_to_the_store(server: Any) -> None:
    for name in ("unheard-of", "..%2f..%2fetc", "static"):
        answer = server.get(f"deck/{name}/")
        assert answer.status_code == 404
        assert "/services/deck/store" in answer.text
        assert "Traceback" not in answer.text


def test_a_notebook_that_fails_is_told_plainly_with_the_traceback_folded(server: Any) -> None:
    text = server.get("deck/broken/").text
    assert "The app stopped while it was opening" in text
    assert "<details>" in text
    assert "ZeroDivisionError" in text
    assert "\x1b[" not in text


def test_a_kernel_that_dies_is_told_and_leaves_nothing_running(server: Any) -> None:
    before = set(server.kernels())
    text = server.get("deck/dies/").text
    assert "The app stopped while it was opening" in text
    server.until(lambda: set(server.kernels()) <= before)


def test_an_address_without_the_final_slash_keeps_its_query(server: Any) -> None:
    answer = server.get("deck/hello?run=1", follow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["location"] == "/user/ada/deck/hello/?run=1"


def test_files_of_a_page_are_kept_by_the_browser_for_a_year(server: Any) -> None:
    text = server.get("deck/slider/").text
    config = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', text, re.S).group(1))  # type: ignore[union-attr]
    extension = config["federated_extensions"][0]
    remote = f"{config['fullLabextensionsUrl']}/{extension['name']}/{extension['load']}".removeprefix("/user/ada/")
    for path in (static_url(text, "page.css"), static_url(text, "voila.js"), remote):
        answer = server.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_static_addresses_lead_nowhere_else(server: Any) -> None:
    base = static_url(server.get("deck/slider/").text, "page.css").removesuffix("own/page.css")
    for path in ("own/../page.py", "own/%2e%2e/page.py", "own//etc/passwd", "nothing/page.css", "own/missing.js"):
        assert server.get(base + path).status_code == 404, path


def test_only_the_front_end_a_page_needs_is_loaded(server: Any) -> None:
    text = server.get("deck/slider/").text
    config = json.loads(re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', text, re.S).group(1))  # type: ignore[union-attr]
    names = {extension["name"] for extension in config["federated_extensions"]}
    assert names == {"anywidget", "@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"}


def test_closing_a_page_ends_its_kernel(server: Any) -> None:
    with httpx.Client(base_url=server.address, headers={"Authorization": "token test-token"}, timeout=60) as browser:
        page = browser.get("deck/hello/")
        kernel = re.search(r'"kernelId": "([^"]+)"', page.text).group(1)  # type: ignore[union-attr]
        assert kernel in server.kernels()
        assert "_xsrf" in browser.cookies
        answer = browser.post(f"deck/api/close/{kernel}", data={"_xsrf": browser.cookies["_xsrf"]})
        assert answer.status_code == 204
    server.until(lambda: kernel not in server.kernels())


def test_jupyterlab_offers_the_apps_kernels(server: Any) -> None:
    specs = server.get("api/kernelspecs").json()["kernelspecs"]
    assert {"simdeck-hello", "simdeck-slider"} <= set(specs)


def test_a_new_version_is_opened_as_soon_as_it_is_current(server: Any) -> None:
    install_app(server.apps, "moving", ["print('one')"], version="1.0")
    assert "<pre>one" in server.get("deck/moving/").text
    install_app(server.apps, "moving", ["print('two')"], version="2.0")
    text = server.get("deck/moving/").text
    assert "<pre>two" in text
    assert '<span class="sd-bar-version">2.0</span>' in text
