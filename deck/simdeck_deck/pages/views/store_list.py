"""The store's list: cards, filtered and paged, with how many there are of each category, method and code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simdeck_appstore.search import FACETS, narrow

from simdeck_deck.pages.views.apps import AppCard, store_card
from simdeck_deck.pages.views.links import Links

PAGE_SIZE = 24
# The most frequent values of a facet are shown; the search finds the others.
MOST_CHOICES = 12
# How the facets stand in addresses and headings.
FACET_WORDS = {"categories": ("category", "Category"), "methods": ("method", "Method"), "codes": ("code", "Code")}


@dataclass(frozen=True)
class Choice:
    """A filter of the store: how many apps it holds, whether it is on, the address that turns it on or off."""

    id: str
    title: str
    count: int
    active: bool
    url: str


@dataclass(frozen=True)
class FacetView:
    """One facet with its choices; ``param`` is its name in addresses."""

    param: str
    title: str
    choices: tuple[Choice, ...]
    chosen: str


@dataclass(frozen=True)
class StorePage:
    """One page of the store's list. ``total`` counts all that match; ``chosen`` are the filters by their names."""

    cards: tuple[AppCard, ...]
    categories: tuple[Choice, ...]
    facets: tuple[FacetView, ...]
    query: str
    category: str
    chosen: Mapping[str, str]
    installed_only: bool
    total: int
    page: int
    pages: int
    previous_url: str | None
    next_url: str | None


def store_page(
    found: Sequence[Mapping[str, Any]],
    titles: Mapping[str, str],
    installed: Mapping[str, str],
    links: Links,
    *,
    query: str = "",
    category: str = "",
    method: str = "",
    code: str = "",
    installed_only: bool = False,
    page: int = 1,
    size: int = PAGE_SIZE,
    pinned: Iterable[str] = (),
) -> StorePage:
    """Build one page of the store's list from the entries that were ``found`` for ``query``, in their order.

    ``titles`` are category titles by id, ``installed`` the current versions by app id, ``pinned`` the ids of apps that
    are offered no updates.
    """
    chosen = {"category": category, "method": method, "code": code}
    wanted = {facet: chosen[FACET_WORDS[facet][0]] for facet in FACETS if chosen[FACET_WORDS[facet][0]]}
    entries = [entry for entry in found if not installed_only or entry.get("id") in installed]
    matching, counts = narrow(entries, wanted, _values)
    pages = max(1, -(-len(matching) // size))
    page = min(max(1, page), pages)
    kept = {"q": query} | chosen | {"installed": "1" if installed_only else None}

    def at(number: int) -> str:
        return links.page("store", **kept, page=number if number > 1 else None)

    def facet(name: str) -> FacetView:
        param, title = FACET_WORDS[name]
        on = chosen[param]
        words = titles if name == "categories" else {}
        values = sorted(
            set(counts[name]) | ({on} if on else set()), key=lambda value: (-counts[name].get(value, 0), value)
        )
        shown = values if name == "categories" else [one for one in values if one == on or one in values[:MOST_CHOICES]]
        choices = [
            Choice(
                value,
                words.get(value, value),
                counts[name].get(value, 0),
                value == on,
                links.page("store", **kept | {param: None if value == on else value}),
            )
            for value in shown
        ]
        return FacetView(param, title, tuple(sorted(choices, key=lambda one: one.title.casefold())), on)

    facets = {name: facet(name) for name in FACETS}
    held = set(pinned)
    return StorePage(
        cards=tuple(
            store_card(entry, installed, titles, links, pinned=entry.get("id") in held)
            for entry in matching[(page - 1) * size : page * size]
        ),
        categories=facets["categories"].choices,
        facets=tuple(facets[name] for name in ("methods", "codes") if facets[name].choices),
        query=query,
        category=category,
        chosen={name: value for name, value in chosen.items() if value},
        installed_only=installed_only,
        total=len(matching),
        page=page,
        pages=pages,
        previous_url=at(page - 1) if page > 1 else None,
        next_url=at(page + 1) if page < pages else None,
    )


def _values(entry: Mapping[str, Any], facet: str) -> Iterable[str]:
    found: Iterable[str] = entry.get(facet) or ()
    return found
