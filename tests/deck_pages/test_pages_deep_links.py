"""Addresses that lead deep into an app: one of its pages, with what that page is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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
    ada = visitor("empty")
    ada.world.server.answer = {"state": "stopped"}
    soup = await ada.soup("open/molecule?page=analyse&pk=3")
    assert soup.select_one("#opening")["data-target"] == "/user/empty/deck/molecule/analyse?pk=3"
    assert soup.select_one("noscript [name=then]")["value"] == "/services/deck/open/molecule?page=analyse&pk=3"
