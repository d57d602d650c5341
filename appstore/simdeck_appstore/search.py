"""Ranked search over the store's list, in memory: fast enough to answer at every key stroke; and its facets."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from simdeck_appstore.models import IndexEntry

WORD = re.compile(r"[^\W_]+", re.UNICODE)
E = TypeVar("E")

# What a whole word counts where it is found; the beginning of one counts three fifths of it.
TITLE, TAG, METHOD, CODE, SUMMARY, AUTHOR, TEXT = 100, 50, 45, 45, 20, 15, 8
# "thermochem" typed inside "electrothermochemistry": better late in the list than not at all.
INSIDE_TITLE = 5
FACETS = ("categories", "methods", "codes")
"""Fields of an entry that a list is narrowed by."""


class SearchIndex:
    """The words of a list of apps: which apps have a word, and what it counts there."""

    def __init__(self, entries: list[IndexEntry]) -> None:
        self.entries = entries
        self._titles = [fold(entry.title) for entry in entries]
        self._title_words = [words(entry.title) for entry in entries]
        self._found: dict[str, dict[int, int]] = {}
        for number, entry in enumerate(entries):
            for weight, text in _fields(entry):
                for word in words(text):
                    apps = self._found.setdefault(word, {})
                    apps[number] = max(weight, apps.get(number, 0))
        self._vocabulary = sorted(self._found)

    def find(self, text: str, category: str | None = None) -> list[IndexEntry]:
        """Return entries that match every word of ``text`` (as the beginning of one of theirs), best first.

        A match in the title counts most, then id, keywords and categories, methods and codes, the summary, the authors,
        and the description; a whole word more than a beginning. Equals keep the list's order.
        """
        wanted = words(text)
        if not wanted:
            found = self.entries
        else:
            scores = self._scores(wanted)
            found = [self.entries[number] for number in sorted(scores, key=lambda number: (-scores[number], number))]
        return [entry for entry in found if category is None or category in entry.categories]

    def _scores(self, wanted: tuple[str, ...]) -> dict[int, int]:
        """Return a number for each app that has all words; it grows with the quality of the matches."""
        total: dict[int, int] | None = None
        for word in wanted:
            one = self._of_word(word)
            total = one if total is None else {app: total[app] + one[app] for app in total.keys() & one.keys()}
        scores = total or {}
        for app in scores:
            if self._titles[app] == " ".join(wanted):
                scores[app] += 1000
            elif self._title_words[app][: len(wanted)] == wanted:
                scores[app] += 50
        return scores

    def _of_word(self, word: str) -> dict[int, int]:
        best: dict[int, int] = {}
        for at in range(bisect_left(self._vocabulary, word), len(self._vocabulary)):
            other = self._vocabulary[at]
            if not other.startswith(word):
                break
            for app, weight in self._found[other].items():
                counted = weight if other == word else weight * 3 // 5
                best[app] = max(counted, best.get(app, 0))
        if len(word) > 2:
            for app, title in enumerate(self._titles):
                if word in title:
                    best.setdefault(app, INSIDE_TITLE)
        return best


def narrow(
    entries: Sequence[E], chosen: Mapping[str, str], values: Callable[[E, str], Iterable[str]]
) -> tuple[list[E], dict[str, dict[str, int]]]:
    """Return the entries with every value ``chosen`` (by facet), and how many there are of each value of each facet.

    ``values`` gives an entry's values of a facet. A facet counts what the choices in the other facets leave, so that no
    number leads to an empty list.
    """
    kept = {
        facet: [facet not in chosen or chosen[facet] in values(entry, facet) for entry in entries] for facet in FACETS
    }
    counts: dict[str, dict[str, int]] = {}
    for facet in FACETS:
        found: dict[str, int] = {}
        for number, entry in enumerate(entries):
            if all(kept[other][number] for other in FACETS if other != facet):
                for value in values(entry, facet):
                    found[value] = found.get(value, 0) + 1
        counts[facet] = found
    return [entry for number, entry in enumerate(entries) if all(kept[facet][number] for facet in FACETS)], counts


def _fields(entry: IndexEntry) -> tuple[tuple[int, str], ...]:
    return (
        (TITLE, entry.title),
        (TAG, " ".join([entry.id, *entry.keywords, *entry.categories])),
        (METHOD, " ".join(entry.methods)),
        (CODE, " ".join(entry.codes)),
        (SUMMARY, entry.summary),
        (AUTHOR, entry.authors),
        (TEXT, entry.text),
    )


def fold(text: str) -> str:
    """Return ``text`` in lower case, accents removed."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def words(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(fold(text)))


def gist(markdown: str, most: int = 1500) -> str:
    """Return a description's words once each, in their order, for :attr:`IndexEntry.text`: at most ``most`` letters."""
    plain = re.sub(r"https?://\S+|[`*_#>|\[\]()]", " ", markdown)
    kept, size = [], 0
    for word in dict.fromkeys(words(plain)):
        size += len(word) + 1
        if size > most:
            break
        if len(word) > 1:
            kept.append(word)
    return " ".join(kept)
