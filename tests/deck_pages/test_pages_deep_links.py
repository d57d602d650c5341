"""Addresses that lead deep into an app: one of its pages, with what that page is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from bs4 import BeautifulSoup
from simdeck_deck.pages import deep_links

Make = Callable[[str], Any]


@pytest.mark.parametrize(
    ("asked", "address"),
    [
        ("page=analyse&run=abc&pk=3", "analyse?run=abc&pk=3"),
        ("page=notebooks/deep.ipynb&pk=3&pk=4", "notebooks/deep.ipynb?pk=3&pk=4"),
        ("page=../../../hub/logout", "hub/logout"),
        ("page=//other.example/x", "other.example/x"),
        ("x=%3Cscript%3E", "?x=%3Cscript%3E"),
    ],
)
async def test_a_deep_link_leads_to_the_page_below_the_app(visitor: Make, asked: str, address: str) -> None:
    ada = visitor("shop")
    ada.world.server.answer = {"state": "running"}
    answer = await ada.get(f"open/molecule?{asked}")
    assert answer.headers["location"] == f"/user/shop/deck/molecule/{address}"


async def test_a_deep_link_waits_for_the_server_and_goes_on_to_the_same_page(visitor: Make) -> None:
    ada = visitor("shop")
    ada.world.server.answer = {"state": "stopped"}
    soup = await ada.soup("open/molecule?page=analyse&pk=3")
    assert soup.select_one("#opening")["data-target"] == "/user/shop/deck/molecule/analyse?pk=3"
    assert soup.select_one("noscript [name=then]")["value"] == "/services/deck/open/molecule?page=analyse&pk=3"


# --- an app that is not installed yet ---------------------------------------------------------------------------------


def cookie_of(answer: httpx.Response) -> str:
    """Return what the browser sends back of what ``answer`` has it keep."""
    return answer.headers["set-cookie"].partition(";")[0]


async def ask(ada: Any, path: str, cookie: str) -> httpx.Response:
    headers = ada.headers | {"cookie": f"{ada.headers['cookie']}; {cookie}"}
    return await ada.client.get(f"/services/deck/{path}", headers=headers)


async def test_what_a_link_asks_for_waits_while_the_app_is_installed(visitor: Make) -> None:
    ada = visitor("shop")
    installed, ada.world.agent.apps = ada.world.agent.apps, []
    next(one for one in ada.world.store.entries if one["id"] == "molecule")["releases"][0]["parameters"] = ["structure"]
    answer = await ada.get("open/molecule?page=analyse&run=abc&structure=H2O&evil=1&structure=CO2")
    assert answer.headers["location"] == "/services/deck/store/molecule"
    assert "Path=/services/deck/store/molecule" in answer.headers["set-cookie"]
    assert "HttpOnly" in answer.headers["set-cookie"]
    cookie = cookie_of(answer)
    page = BeautifulSoup((await ask(ada, "store/molecule", cookie)).text, "html.parser").find(id="link-waits")
    assert page is not None
    assert "nothing has been installed" in page.text
    assert page.find("a") is None
    assert page.find_all("p")[-1].text == "Left out, because this app does not know it: evil."
    ada.world.agent.apps = installed
    page = BeautifulSoup((await ask(ada, "store/molecule", cookie)).text, "html.parser").find(id="link-waits")
    assert page is not None
    opened = await ask(ada, page.find("a")["href"].removeprefix("/services/deck/"), cookie)
    wanted = "/services/deck/open/molecule?page=analyse&run=abc&structure=H2O&structure=CO2"
    assert opened.headers["location"] == wanted
    assert 'simdeck-link=""' in opened.headers["set-cookie"]


@pytest.mark.parametrize(
    ("given", "kept", "left_out"),
    [
        ([("pk", "3"), ("a b", "x"), ("<script>", "x"), ("1st", "x")], "pk=3", ("a b", "<script>", "1st")),
        ([("pk", "line\nbreak"), ("id", "x" * 501)], "", ("pk", "id")),
        ([("a", "1")] * 17, "&".join(["a=1"] * 16), ("a",)),
    ],
)
def test_what_is_no_plain_parameter_is_left_out_also_for_apps_that_declare_none(
    given: list[tuple[str, str]], kept: str, left_out: tuple[str, ...]
) -> None:
    found = deep_links.waiting(given, None)
    assert (found.query, found.left_out) == (kept, left_out)


@pytest.mark.parametrize("cookie", ["simdeck-link=", "simdeck-link=%5B1%5D", "simdeck-link=%7B%7D", "simdeck-link=x"])
async def test_a_damaged_note_of_a_link_is_as_none(visitor: Make, cookie: str) -> None:
    answer = await ask(visitor("shop"), "store/molecule", cookie)
    assert answer.status_code == 200
    assert "link-waits" not in answer.text


async def test_an_app_that_nobody_offers_is_not_asked_for(visitor: Make) -> None:
    ada = visitor("shop")
    ada.world.agent.apps = []
    answer = await ada.get("open/nothing?structure=H2O")
    assert "set-cookie" not in answer.headers or "simdeck-link" not in answer.headers["set-cookie"]
