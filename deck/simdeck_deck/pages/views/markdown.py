"""Descriptions from apps, as HTML: CommonMark with tables, raw HTML off, links that leave no trace of us."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

# The heading that a description stands under.
SECTION_LEVEL = 2


@lru_cache(maxsize=1)
def _renderer() -> MarkdownIt:
    # Images are off: a description from a stranger must not make the reader's browser fetch from anywhere.
    return MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")


def render(text: Any, title: str = "") -> Markup:
    """Return ``text`` (Markdown) as safe HTML; markdown-it escapes raw HTML and refuses script links.

    A first heading that only repeats ``title`` is left out.
    """
    if not isinstance(text, str) or not text.strip():
        return Markup()
    engine = _renderer()
    tokens = engine.parse(text)
    if len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[1].content.casefold() == title.casefold():
        tokens = tokens[3:]
    _settle_headings(tokens)
    _soften(tokens)
    # S704: the renderer escapes all text, raw HTML is off, and what we add are constants.
    return Markup(engine.renderer.render(tokens, engine.options, {}))  # noqa: S704


def _settle_headings(tokens: list[Token]) -> None:
    """Move headings below the section's own, so that no level is skipped whichever the author began with."""
    last = SECTION_LEVEL
    for token in tokens:
        if token.type == "heading_open":
            last = min(int(token.tag[1]) + SECTION_LEVEL, last + 1, 6)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{last}"


def _soften(tokens: list[Token]) -> None:
    for token in tokens:
        if token.type in ("th_open", "td_open"):
            # Column alignment comes as a style attribute, which the page's policy forbids.
            token.attrs.pop("style", None)
        if token.type == "link_open":
            token.attrSet("rel", "noopener noreferrer nofollow")
        if token.children:
            _soften(token.children)
