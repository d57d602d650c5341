"""Ranked search over the store's list, in memory: fast enough to answer at every key stroke."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from simdeck_appstore.models import IndexEntry

WORD = re.compile(r"[^\W_]+", re.UNICODE)


@dataclass(frozen=True)
class _Indexed:
    """One app's words by field, in lower case without accents."""

    entry: IndexEntry
    title: str
    title_words: tuple[str, ...]
    tag_words: tuple[str, ...]
    summary_words: tuple[str, ...]
    author_words: tuple[str, ...]


class SearchIndex:
    """The words of a list of apps."""

    def __init__(self, entries: list[IndexEntry]) -> None:
        self._apps = [
            _Indexed(
                entry=entry,
                title=fold(entry.title),
                title_words=words(entry.title),
                tag_words=words(" ".join([entry.id, *entry.keywords, *entry.categories])),
                summary_words=words(entry.summary),
                author_words=words(entry.authors),
            )
            for entry in entries
        ]

    def find(self, text: str, category: str | None = None) -> list[IndexEntry]:
        """Return entries that match every word of ``text`` (as the beginning of one of theirs), best first.

        A match in the title counts more than one among id, keywords and categories, then the summary, then the authors;
        a whole word more than a beginning. Equals keep the list's order.
        """
        wanted = words(text)
        apps = [app for app in self._apps if category is None or category in app.entry.categories]
        if not wanted:
            return [app.entry for app in apps]
        scored = [(_score(app, wanted), number) for number, app in enumerate(apps)]
        ranked = sorted((-score, number) for score, number in scored if score > 0)
        return [apps[number].entry for _, number in ranked]


def _score(app: _Indexed, wanted: tuple[str, ...]) -> int:
    """Return 0 when a word is nowhere, else a sum that grows with the quality of the matches."""
    total = 0
    for word in wanted:
        best = max(
            _field(app.title_words, word, 100),
            _field(app.tag_words, word, 50),
            _field(app.summary_words, word, 20),
            _field(app.author_words, word, 10),
        )
        if best == 0:
            # "thermochem" typed inside "electrothermochemistry": better late in the list than not at all.
            best = 5 if len(word) > 2 and word in app.title else 0
        if best == 0:
            return 0
        total += best
    if app.title == " ".join(wanted):
        total += 1000
    elif app.title_words[: len(wanted)] == wanted:
        total += 50
    return total


def _field(field: tuple[str, ...], word: str, weight: int) -> int:
    if word in field:
        return weight
    return weight * 3 // 5 if any(other.startswith(word) for other in field) else 0


def fold(text: str) -> str:
    """Return ``text`` in lower case, accents removed."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def words(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(fold(text)))
