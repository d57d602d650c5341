"""The store's search over methods, codes, authors and text; its facets; what a site offers of codes."""

from __future__ import annotations

import pytest
from deck_pages_samples import many_entries
from simdeck_appstore.changelog import section
from simdeck_appstore.models import IndexEntry
from simdeck_appstore.search import SearchIndex, gist, narrow
from simdeck_deck.codes import is_offered, site_codes
from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.store_list import store_page

LINKS = Links("/services/deck/", "ada")
COMMON = {"summary": "s", "latest": "1", "versions": ["1"]}
APPS = [
    IndexEntry(id="bands", title="Bands", methods=["DFT", "GW"], codes=["quantum-espresso"], authors="Lise Meitner", **COMMON),
    IndexEntry(id="melt", title="Melt", methods=["Molecular dynamics"], codes=["lammps"], text="liquids and glass", **COMMON),
    IndexEntry(id="gw", title="Quasiparticles", methods=["GW"], codes=["yambo"], text="bands beyond dft", **COMMON),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gw", ["gw", "bands"]),
        ("lammps", ["melt"]),
        ("quantum espresso", ["bands"]),
        ("meitner", ["bands"]),
        ("glass", ["melt"]),
        ("bands", ["bands", "gw"]),
        ("dft lammps", []),
        ("molec", ["melt"]),
    ],
)
def test_the_search_finds_methods_codes_authors_and_text(text: str, found: list[str]) -> None:
    assert [app.id for app in SearchIndex(APPS).find(text)] == found


def test_the_text_kept_for_the_search_is_short_and_plain() -> None:
    text = gist("# Bands\n\nSee [the *guide*](https://example.org/long) of `bands`.\n" + "word " * 9000)
    assert text == "bands see the guide of word"
    assert len(gist(" ".join(f"w{n}" for n in range(5000)))) <= 1500


def test_a_facet_counts_what_the_other_filters_leave() -> None:
    kept, counts = narrow(APPS, {"methods": "GW"}, getattr)
    assert [app.id for app in kept] == ["bands", "gw"]
    assert counts["methods"] == {"DFT": 1, "GW": 2, "Molecular dynamics": 1}
    assert counts["codes"] == {"quantum-espresso": 1, "yambo": 1}


def test_the_store_narrows_by_method_and_code_and_keeps_both_in_its_addresses() -> None:
    page = store_page(many_entries(40), {}, {}, LINKS, query="x", method="DFT", code="cp2k")
    assert page.total == len([n for n in range(40) if n % 3 and n % 4 == 0])
    method, code = page.facets
    assert {choice.id: choice.active for choice in method.choices}["DFT"]
    assert [choice.url for choice in code.choices if choice.id == "cp2k"] == ["/services/deck/store?q=x&method=DFT"]


def test_a_pinned_app_is_offered_no_update_in_the_store() -> None:
    entries = many_entries(1)
    have = {entries[0]["id"]: "0.1"}
    assert store_page(entries, {}, have, LINKS).cards[0].update == "0.3.1"
    assert store_page(entries, {}, have, LINKS, pinned=[entries[0]["id"]]).cards[0].update is None


@pytest.mark.parametrize(
    ("code", "offered", "is_there"),
    [
        ("quantum-espresso >= 7", ["Quantum ESPRESSO 7.3"], True),
        ("cp2k", ["CP2K"], True),
        ("cp2k", ["Quantum ESPRESSO"], False),
        ("siesta", [], False),
        ("7", ["7zip"], False),
    ],
)
def test_a_code_is_known_whatever_its_spelling(code: str, offered: list[str], is_there: bool) -> None:
    assert is_offered(code, offered) is is_there


@pytest.mark.parametrize("text", ["", "[]", '{"codes": 3}', "\x00"])
def test_a_damaged_list_of_codes_offers_none(tmp_path, text: str) -> None:
    (tmp_path / "codes.json").write_text(text)
    assert site_codes(tmp_path) == []


def test_a_version_finds_its_part_of_the_changelog() -> None:
    text = "# Changes\n\n## [1.1.0] - 2026-05-02\n\n- new\n\n### Fixed\n\n- old\n\n## v1.0.0\n\nFirst.\n"
    assert section(text, "1.1") == ("- new\n\n### Fixed\n\n- old", "2026-05-02")
    assert section(text, "1.0.0") == ("First.", None)
    assert section(text, "3.0") == ("", None)
