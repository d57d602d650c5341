"""The pages of sharing: the form, both lists, the read-only run, and the way a link's key takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from deck_pages_samples import run
from deck_pages_site import PREFIX, make_site
from deck_pages_worlds import WORLDS
from playwright.sync_api import Page, expect
from simdeck_agent.shares import ShareRequest

Make = Callable[[str], Any]
RUN = str(run()["id"])


async def test_a_run_is_shared_with_the_people_and_groups_given(visitor: Make) -> None:
    ada = visitor("sharing")
    answer = await ada.post(f"runs/{RUN}/share", people="bob, lise", groups="lab", days="7")
    assert answer.headers["location"].endswith(f"runs/{RUN}/share#share-s1")
    wanted = ShareRequest(run=RUN, people=["bob", "lise"], groups=["lab"], days=7)
    assert ada.world.sharing.done == [("create", wanted)]


@pytest.mark.parametrize("form", [{}, {"people": " , "}, {"people": "a/b"}, {"people": "bob", "days": "soon"}])
async def test_a_share_with_nobody_is_refused_and_keeps_what_was_typed(visitor: Make, form: dict[str, str]) -> None:
    ada = visitor("sharing")
    answer = await ada.post(f"runs/{RUN}/share", **form)
    assert answer.status_code == 422
    assert "at least one" in answer.text
    assert f'value="{form.get("people", "")}"' in answer.text
    assert ada.world.sharing.done == []


async def test_a_run_that_is_not_there_is_not_shared(visitor: Make) -> None:
    assert (await visitor("sharing").get("runs/no-such-run/share")).status_code == 404


async def test_the_links_of_a_run_are_listed_with_their_state(visitor: Make) -> None:
    page = await visitor("sharing").soup(f"runs/{RUN}/share")
    rows = [" ".join(row.text.split()) for row in page.select("tbody tr")]
    assert rows[0].startswith("bob, lise; group course-2026")
    assert rows[1] == "groups theory, lab Revoked"
    assert page.find(id="link-s1")["href"] == "/services/deck/shared/ticket-s1#key-s1"
    assert page.find(id="link-s2") is None


async def test_both_lists_stand_on_one_page(visitor: Make) -> None:
    page = await visitor("sharing").soup("shares")
    assert page.find("a", string="Ammonia inversion")["href"] == "/services/deck/shared/t1/run"
    mine = page.find("section", {"aria-labelledby": "mine-heading"})
    assert mine.select_one("th[scope=row] a").text == "Water, GFN2-xTB"


@pytest.mark.parametrize(
    ("path", "form", "done"),
    [
        ("shares/s1/revoke", {}, ("revoke", "s1")),
        ("shared/t1/forget", {}, ("forget", "t1")),
        ("shared/t9/run", {"key": "secret"}, ("claim", "t9", "secret")),
        ("shared/t9/run", {"key": "https://site.org/services/deck/shared/t9#secret"}, ("claim", "t9", "secret")),
    ],
)
async def test_a_form_does_what_it_says(visitor: Make, path: str, form: dict[str, str], done: Any) -> None:
    ada = visitor("sharing")
    assert (await ada.post(path, **form)).status_code == 303
    assert ada.world.sharing.done == [done]


async def test_a_shared_run_shows_its_results_and_no_way_to_change_it(visitor: Make) -> None:
    page = await visitor("sharing").soup("shared/t1/run")
    assert page.h1.text == "Ammonia inversion"
    assert "shared by grace, read-only" in page.text
    assert page.find("a", string=lambda text: text and "All as a zip" in text) or "All as a zip" in page.text
    forms = [form["action"] for form in page.find_all("form")]
    assert forms == ["/services/deck/shared/t1/forget"]
    links = [link["href"] for link in page.select("main a")]
    assert not [link for link in links if "/runs/" in link or "/open/" in link]
    assert [link for link in links if link.startswith("/services/deck/api/v1/shared/t1/files/")]


async def test_a_share_that_is_over_says_so(visitor: Make) -> None:
    ada = visitor("sharing")
    ada.world.sharing.told = {}
    answer = await ada.get("shared/t1/run")
    assert answer.status_code == 410
    assert "The share is over" in answer.text


async def test_a_link_that_was_never_opened_asks_for_its_key(visitor: Make) -> None:
    ada = visitor("sharing")
    page = await ada.soup("shared/t9/run")
    assert page.find("input", {"name": "key"}) is not None
    assert ada.world.sharing.done == []


async def test_where_a_link_leads_first_shows_nothing_to_strangers(client: Any) -> None:
    site = make_site({"sharing": WORLDS["sharing"]()})
    answer: httpx.Response = await client(site).get(PREFIX + "shared/t1", headers={"accept": "text/html"})
    assert answer.status_code == 200
    assert "Ammonia" not in answer.text
    assert "grace" not in answer.text


@pytest.mark.browser
def test_a_links_key_reaches_the_form_and_never_an_address(opened: Callable[..., Page]) -> None:
    asked: list[str] = []
    page = opened("sharing", "")
    page.on("request", lambda request: asked.append(request.url))
    sharing = opened.site.worlds["sharing"].sharing  # type: ignore[attr-defined]
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.goto(page.url.split("/services")[0] + PREFIX + "shared/t9#the-key")
    assert "key=the-key" in (sent.value.post_data or "")
    expect(page.get_by_role("heading", name="Open what is shared with you")).to_be_visible()
    assert sharing.done == [("claim", "t9", "the-key")]
    assert not [url for url in asked if "the-key" in url.partition("#")[0]]
