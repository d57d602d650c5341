"""Apps without a page: their cards lead to the form of their workflow, and a run begins there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Visitor
from deck_pages_lab import SCHEMA
from deck_pages_samples import installed_app
from simdeck_common.problems import Problem

Make = Callable[[str], Visitor]
WORKFLOW = {
    "name": "spring-law.law",
    "title": "Law of springs",
    "summary": "Sums energies.",
    "app": "spring-law",
    "app_version": "1.2.0",
    "groups": ["lab"],
    "schema": SCHEMA,
    "outputs": [],
}


@pytest.fixture
def ada(visitor: Make) -> Visitor:
    found = visitor("lab")
    bare = installed_app(
        "spring-law", title="Law of springs", entry={"kind": "workflow"}, workflows=["spring-law.law"], current="1.2.0"
    )
    found.world.agent.apps = [bare]
    found.world.agent.more["/workflows/spring-law.law"] = WORKFLOW
    return found


def words(soup: Any) -> str:
    return " ".join(soup.get_text(" ", strip=True).split())


async def test_the_card_of_an_app_without_a_page_says_run_and_leads_to_the_form(ada: Visitor) -> None:
    card = (await ada.soup("")).select_one(".card")
    assert card is not None
    assert [a["href"].partition("/deck/")[2] for a in card.select("a.button-main")] == ["workflows/spring-law.law"]
    assert "Run" in words(card)
    assert "Open" not in words(card)
    for path in ("open/spring-law", "open/spring-law?version=1.2.0"):
        answer = await ada.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].endswith("/workflows/spring-law.law")
    shown = (await ada.get("open/spring-law?run=6f1c2a90")).headers["location"]
    assert shown.endswith("/runs/6f1c2a90")
    page = await ada.soup("store/spring-law")
    assert [a.text for a in page.select(".app-actions a.button-main")] == ["Run"]


async def test_the_form_has_a_field_for_each_input_and_says_whom_it_is_for(ada: Visitor) -> None:
    page = await ada.soup("workflows/spring-law.law")
    named = {field["name"] for field in page.select("#new-run [name]")}
    assert {"input-structure", "input-structure.file-name", "input-charge", "input-method", "title"} <= named
    assert "for members of lab" in words(page)
    assert "This run had" not in words(page)


async def test_what_is_filled_in_is_run(ada: Visitor) -> None:
    form = {
        "input-structure": "1\r\n\r\nH 0 0 0", "input-structure.file-name": "atom.xyz", "input-charge": "−1",
        "input-method": "", "title": "One atom",
    }  # fmt: skip
    answer = await ada.post("workflows/spring-law.law", **form)
    assert answer.headers["location"].endswith("/runs/new-id")
    inputs = {"structure": {"name": "atom.xyz", "content": "1\n\nH 0 0 0"}, "charge": -1}
    assert ada.world.agent.sent == [
        ("POST", "/workflows/spring-law.law/validate", {"inputs": inputs}),
        ("POST", "/runs", {"workflow": "spring-law.law", "inputs": inputs, "title": "One atom"}),
    ]


async def test_what_is_wrong_is_said_at_its_field_and_kept(ada: Visitor) -> None:
    answer = await ada.post("workflows/spring-law.law", **{"input-charge": "many"})
    assert answer.status_code == 422
    assert "Paste the file&#39;s text." in answer.text
    assert "“many” is not a number." in answer.text
    assert ada.world.agent.sent == []
    ada.world.agent.refusal = Problem("invalid-input", field="charge", detail="Odd electrons.")
    answer = await ada.post("workflows/spring-law.law", **{"input-structure": "H", "input-charge": "1"})
    assert answer.status_code == 422
    assert "Odd electrons." in answer.text


async def test_a_form_without_this_sessions_token_runs_nothing(ada: Visitor) -> None:
    answer = await ada.post("workflows/spring-law.law", xsrf="", **{"input-structure": "H"})
    assert answer.status_code == 403
    assert ada.world.agent.sent == []
