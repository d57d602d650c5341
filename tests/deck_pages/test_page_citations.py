"""Citations and descriptions of apps: what strangers wrote, made safe and readable."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup
from simdeck_deck.pages.views.citations import bibtex, citation_views, find_doi
from simdeck_deck.pages.views.markdown import render

# --- words of apps ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "doi"),
    [
        ("10.1021/acs.jctc.8b01176", "10.1021/acs.jctc.8b01176"),
        ("https://doi.org/10.1088/1361-648X/aa680e.", "10.1088/1361-648X/aa680e"),
        ("doi:10.1000/a}b<script>", "10.1000/a"),
        ("none", None),
    ],
)
def test_a_doi_is_found_in_any_of_its_forms(text: str, doi: str | None) -> None:
    assert find_doi(text) == doi


def test_bibtex_escapes_what_tex_would_read() -> None:
    entry = bibtex("my app_1", "A & B {50%}, J. Chem. 15, 1652 (2019)", "10.1/x", None)
    assert entry == (
        "@misc{my-app-1,\n  note = {A \\& B \\{50\\%\\}, J. Chem. 15, 1652 (2019)},\n  year = {2019},\n  doi = {10.1/x}\n}\n"
    )


def test_citations_without_text_are_left_out() -> None:
    found = citation_views([{"text": " "}, {"doi": "10.1/x"}, {"text": "Someone (2020)", "url": "javascript:x"}], "a")
    assert [(item.text, item.url) for item in found] == [("Someone (2020)", None)]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "![x](https://example.org/spy.png)",
        "| a |\n|:-:|\n| <b style=x>c</b> |",
    ],
)
def test_a_description_brings_no_markup_of_its_own(text: str) -> None:
    soup = BeautifulSoup(str(render(text)), "html.parser")
    assert soup.find_all(["script", "img", "b", "style"]) == []
    assert soup.find_all(style=True) == []
    assert [link["href"] for link in soup.find_all("a") if not str(link["href"]).startswith("http")] == []


@pytest.mark.parametrize(
    ("levels", "shown"), [("1 2 3", "3 4 5"), ("3", "3"), ("2 4 1 2", "3 4 3 4"), ("1 2 3 4 5 6", "3 4 5 6 6 6")]
)
def test_headings_of_a_description_skip_no_level(levels: str, shown: str) -> None:
    html = str(render("\n\n".join(f"{'#' * int(level)} x" for level in levels.split())))
    found = [heading.name[1] for heading in BeautifulSoup(html, "html.parser").find_all(re.compile("^h[1-6]$"))]
    assert found == shown.split()


def test_a_first_heading_that_repeats_the_title_is_left_out() -> None:
    assert str(render("# Molecule\n\nWords.", "Molecule")) == "<p>Words.</p>\n"
    assert str(render("# Methods\n\nWords.", "Molecule")) == "<h3>Methods</h3>\n<p>Words.</p>\n"


def test_a_description_is_rendered_below_the_headings_of_the_page() -> None:
    assert str(render("# Title\n\n**bold** [a](https://example.org)")) == (
        '<h3>Title</h3>\n<p><strong>bold</strong> <a href="https://example.org" rel="noopener noreferrer nofollow">a</a></p>\n'
    )
