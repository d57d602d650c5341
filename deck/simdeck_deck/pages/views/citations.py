"""Citations with a DOI link and BibTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from simdeck_deck.pages.views.text import text_of

_DOI = re.compile(r"10\.\d{4,9}/[^\s{}\"<>]+")
_YEAR = re.compile(r"\b(19|20)\d{2}\b")
# Characters that BibTeX gives a meaning; a backslash first, so that ours are not escaped again.
_ESCAPES = (
    ("\\", r"\textbackslash{}"),
    ("{", r"\{"),
    ("}", r"\}"),
    ("%", r"\%"),
    ("&", r"\&"),
    ("#", r"\#"),
    ("_", r"\_"),
    ("$", r"\$"),
)


@dataclass(frozen=True)
class CitationView:
    text: str
    doi: str | None
    url: str | None
    bibtex: str


def citation_views(citations: Any, app: str) -> tuple[CitationView, ...]:
    """Build an app's citations; entries without a text are left out."""
    found: list[CitationView] = []
    for item in citations if isinstance(citations, Sequence) else ():
        if not isinstance(item, Mapping) or not text_of(item, "text"):
            continue
        text = " ".join(text_of(item, "text").split())
        doi = find_doi(text_of(item, "doi"))
        address = text_of(item, "url") or text_of(item, "link")
        url = f"https://doi.org/{quote(doi, safe='/')}" if doi else address if address.startswith("https://") else None
        found.append(CitationView(text, doi, url, bibtex(f"{app}-{len(found) + 1}", text, doi, url)))
    return tuple(found)


def find_doi(text: str) -> str | None:
    """Return the bare DOI in ``text`` (also from a ``doi.org`` address or a ``doi:`` prefix), or None."""
    match = _DOI.search(text)
    return match.group(0).rstrip(".,;") if match else None


def bibtex(key: str, text: str, doi: str | None, url: str | None) -> str:
    """Return a BibTeX entry. The registry holds the citation as one text, so this is a ``@misc`` with a note."""
    fields = [("note", f"{{{_escape(text)}}}")]
    years = list(_YEAR.finditer(text))
    if years:
        fields.append(("year", f"{{{years[-1].group(0)}}}"))
    if doi:
        fields.append(("doi", f"{{{doi}}}"))
    if url:
        fields.append(("url", f"{{{url}}}"))
    body = ",\n".join(f"  {name} = {value}" for name, value in fields)
    return f"@misc{{{re.sub(r'[^A-Za-z0-9:-]+', '-', key)},\n{body}\n}}\n"


def _escape(text: str) -> str:
    # One pass: what an escape adds must not be escaped again.
    table = dict(_ESCAPES)
    return "".join(table.get(char, char) for char in text)
