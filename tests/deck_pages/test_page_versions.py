"""An app's versions on its page: what an update changes, the check's badge, pins, links from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from deck_pages_samples import CHECKED, installed_app, release, store_app
from simdeck_deck.pages.views.apps import app_page
from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.versions import changes, check_view

LINKS = Links("/services/deck/", "ada")
RELEASES = [
    release("2.0", changelog="two", needs=["16 GB"], codes=["cp2k"], python=">=3.12", resources={"cores": 4, "memory": "1 GiB"}),
    release("1.1", changelog="eleven", needs=["8 GB"]),
    release("1.0", changelog="ten", needs=["8 GB"]),
]  # fmt: skip


def test_an_update_tells_every_changelog_on_the_way_and_what_is_new() -> None:
    found = changes(RELEASES, "1.0", "2.0")
    assert found is not None
    assert [version for version, _ in found.notes] == ["2.0", "1.1"]
    assert [(line.title, line.words) for line in found.lines] == [
        ("Now needs", "16 GB"),
        ("No longer needs", "8 GB"),
        ("Needs the code", "cp2k"),
        ("Python", ">=3.11 → >=3.12"),
        ("Cores of its page", "1 → 4"),
    ]


def test_going_back_is_said_to_be_so() -> None:
    found = changes(RELEASES, "2.0", "1.0")
    assert found is not None
    assert found.back
    assert [version for version, _ in found.notes] == ["2.0", "1.1"]


def test_a_version_the_store_does_not_have_has_no_changes() -> None:
    assert changes(RELEASES, "1.0", "9.0") is None


@pytest.mark.parametrize("record", [None, {}, {"passed": "yes"}, "good", 3])
def test_what_is_no_check_record_gives_no_badge(record: Any) -> None:
    assert check_view({"check": record}) is None


def test_a_check_record_gives_a_badge_with_its_items() -> None:
    found = check_view({"check": CHECKED})
    assert found is not None
    assert (found.passed, found.words) == (True, "Checked: all passed on Python 3.11.9")
    assert found.items[2] == ("Known vulnerabilities", "warning", "1 in a package of its own")


def test_a_pinned_app_shows_the_newer_version_without_offering_it() -> None:
    view = app_page(store_app(), installed_app(current="1.0.0", pinned="1.0.0"), {}, LINKS)
    assert (view.card.update, view.newer, view.pinned) == (None, "1.1.0", "1.0.0")


Make = Callable[[str], Any]


async def test_a_link_to_a_version_asks_and_installs_nothing(visitor: Make) -> None:
    ada = visitor("shop")
    page = await ada.soup("store/molecule?version=2.0.0")
    asks = page.find(id="link-asks")
    assert "Install version 2.0.0?" in asks.text
    assert asks.find("input", {"name": "version"})["value"] == "2.0.0"
    assert asks.find("input", {"name": "beside"})["value"] == "1"
    assert ada.world.agent.sent == []


async def test_a_link_to_a_version_that_is_not_there_says_so(visitor: Make) -> None:
    page = await visitor("shop").soup("store/molecule?version=9.9")
    assert "There is no version 9.9" in page.find(id="link-asks").text
    assert page.find(id="link-asks").find("form") is None


async def test_a_link_to_an_app_of_no_registry_says_so(visitor: Make) -> None:
    answer = await visitor("shop").get("store/elsewhere?version=1.0")
    assert answer.status_code == 404
    assert "no registry of this site offers" in answer.text


async def test_the_app_page_says_which_codes_are_here_and_how_many_use_it(visitor: Make) -> None:
    page = await visitor("shop").soup("store/molecule")
    codes = [" ".join(item.text.split()) for item in page.select(".codes li")]
    assert codes == ["quantum-espresso >= 7Available on this site", "cp2kAsk your administrator"]
    assert "Used by 7\u00a0people here" in page.text


async def test_the_page_of_changes_has_the_button_that_does_them(visitor: Make) -> None:
    page = await visitor("shop").soup("store/molecule/changes?to=2.0.0")
    assert "From 1.1.0 to 2.0.0" in page.h1.text
    assert "Periodic systems" in page.text
    assert page.select('form[action$="/store/molecule/install"] input[name="version"]')[0]["value"] == "2.0.0"


async def test_changes_to_a_version_that_is_not_there_are_404(visitor: Make) -> None:
    assert (await visitor("shop").get("store/molecule/changes?to=7.7")).status_code == 404


@pytest.mark.parametrize(
    ("path", "form", "sent"),
    [
        ("store/molecule/pin", {"version": "1.1.0"}, ("PUT", "/apps/molecule/pin", {"version": "1.1.0"})),
        ("store/molecule/pin", {}, ("DELETE", "/apps/molecule/pin", None)),
        ("store/molecule/install", {"version": "2.0.0", "beside": "1"}, ("POST", "/apps/molecule/install", {"version": "2.0.0", "beside": True})),
        ("store/molecule/remove", {"version": "1.0.0"}, ("DELETE", "/apps/molecule?version=1.0.0", None)),
    ],
)  # fmt: skip
async def test_a_button_of_the_versions_asks_the_agent(visitor: Make, path: str, form: Any, sent: Any) -> None:
    ada = visitor("shop")
    assert (await ada.post(path, **form)).status_code == 303
    assert ada.world.agent.sent == [sent]


async def test_one_version_is_removed_only_after_a_question(visitor: Make) -> None:
    page = await visitor("shop").soup("store/molecule/remove?version=1.0.0")
    assert "Remove version 1.0.0 of Molecule?" in page.h1.text
    assert page.select('form[action$="/remove"] input[name="version"]')[0]["value"] == "1.0.0"
