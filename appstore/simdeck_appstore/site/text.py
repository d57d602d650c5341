"""What authors wrote, as HTML that can do nothing: Markdown without raw HTML and pictures, citations, BibTeX."""

from __future__ import annotations

import re
from functools import lru_cache

from markdown_it import MarkdownIt
from markupsafe import Markup

from simdeck_appstore.models import Citation

_YEAR = re.compile(r"\b(?:19|20)\d{2}\b")
_ESCAPES = (("\\", r"\textbackslash{}"), *((mark, f"\\{mark}") for mark in "{}%&#_$"))
LONGEST = 60_000
"""Characters of one text that are rendered."""


@lru_cache(maxsize=1)
def _engine() -> MarkdownIt:
    engine = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")
    engine.validateLink = lambda url: url.startswith(("https://", "http://", "mailto:"))  # type: ignore[method-assign]
    return engine


def markdown(text: str, title: str = "", level: int = 3) -> Markup:
    """Return Markdown as safe HTML with headings from ``level`` on; a first one that repeats ``title`` is left out."""
    engine = _engine()
    tokens = engine.parse(text[:LONGEST])
    if len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[1].content.casefold() == title.casefold():
        tokens = tokens[3:]
    ranks = sorted({token.tag for token in tokens if token.type == "heading_open"})
    for token in tokens:
        if token.tag in ranks:
            token.tag = f"h{min(level + ranks.index(token.tag), 6)}"
        for inner in token.children or []:
            if inner.type == "link_open":
                inner.attrSet("rel", "nofollow noopener")
    # S704: the renderer escapes all text, and raw HTML is off.
    return Markup(engine.renderer.render(tokens, engine.options, {}))  # noqa: S704


def bibtex(key: str, citation: Citation) -> str:
    """Return a BibTeX entry; a citation is one text here, so it is a ``@misc`` with a note."""
    note = " ".join(citation.text.split())
    for mark, escaped in _ESCAPES:
        note = note.replace(mark, escaped) if mark != "\\" else note.replace(mark, "\0")
    fields = [f"  note = {{{note.replace(chr(0), _ESCAPES[0][1])}}}"]
    years = _YEAR.findall(citation.text)
    if years:
        fields.append(f"  year = {{{years[-1]}}}")
    if citation.doi:
        fields.append(f"  doi = {{{citation.doi}}}")
    elif citation.url:
        fields.append(f"  url = {{{citation.url}}}")
    return "@misc{" + key + ",\n" + ",\n".join(fields) + "\n}"


def size(count: int) -> str:
    """Return a number of bytes for people."""
    if count < 1024:
        return f"{count} bytes"
    kibibytes = count / 1024
    if kibibytes < 1000:
        return f"{kibibytes:.0f} KiB" if kibibytes >= 10 else f"{kibibytes:.1f} KiB"
    return f"{count / 2**20:.1f} MiB"
