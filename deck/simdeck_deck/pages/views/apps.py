"""Apps as cards on the deck and in the store, and an app's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from simdeck_deck.codes import is_offered
from simdeck_deck.pages.views.citations import CitationView, citation_views
from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.markdown import render
from simdeck_deck.pages.views.text import date, text_of
from simdeck_deck.pages.views.versions import ChangesView, CheckView, VersionRow, changes, check_view, version_rows


@dataclass(frozen=True)
class AppCard:
    """An app on the deck or in the store.

    ``installed`` is the current version, None when it is not installed; ``healthy`` is the outcome of the newest
    release's check, None where there was none. A ``pinned`` app is offered no update.
    """

    id: str
    title: str
    summary: str
    logo_url: str | None
    initial: str
    version: str
    installed: str | None
    update: str | None
    categories: tuple[str, ...]
    versions: int
    url: str
    open_url: str
    pinned: bool = False
    healthy: bool | None = None
    verb: str = "Open"


def form_url(app: Mapping[str, Any], links: Links) -> str | None:
    """Return where an installed app without a page is run: its workflow's form; None for an app with a page."""
    entry = app.get("entry")
    if not isinstance(entry, Mapping) or entry.get("kind") != "workflow":
        return None
    names = [str(name) for name in app.get("workflows") or ()]
    return links.page("workflows", names[0]) if len(names) == 1 else links.page("store", text_of(app, "id"))


def installed_cards(apps: Any, latest: Mapping[str, str], links: Links) -> tuple[AppCard, ...]:
    """Build the deck's cards, by title. ``latest`` is the newest version in the store by app id."""
    cards = [
        installed_card(app, latest.get(text_of(app, "id")), links) for app in _mappings(apps) if text_of(app, "id")
    ]
    return tuple(sorted(cards, key=lambda card: (card.title.casefold(), card.id)))


def installed_card(app: Mapping[str, Any], latest: str | None, links: Links) -> AppCard:
    """Build the card of an installed app; ``latest`` None: the store does not know it."""
    identifier = text_of(app, "id")
    current = text_of(app, "current")
    pinned = bool(text_of(app, "pinned"))
    return AppCard(
        id=identifier,
        title=text_of(app, "title", identifier),
        summary=text_of(app, "summary"),
        logo_url=logo_url(app.get("logo"), links),
        initial=initial(text_of(app, "title", identifier)),
        version=current,
        installed=current,
        # A version taken on purpose (rolled back) is still offered the newest one.
        update=latest if latest and latest != current and not pinned else None,
        categories=(),
        versions=len(app.get("versions") or ()),
        url=links.page("store", identifier),
        open_url=form_url(app, links) or links.page("open", identifier),
        pinned=pinned,
        verb="Run" if form_url(app, links) else "Open",
    )


def store_card(
    entry: Mapping[str, Any],
    installed: Mapping[str, str],
    titles: Mapping[str, str],
    links: Links,
    *,
    pinned: bool = False,
) -> AppCard:
    """Build a card of the store's list. ``installed``: current version by app id; ``titles``: category titles by id."""
    identifier = text_of(entry, "id")
    latest = text_of(entry, "latest")
    current = installed.get(identifier)
    return AppCard(
        id=identifier,
        title=text_of(entry, "title", identifier),
        summary=text_of(entry, "summary"),
        logo_url=logo_url(entry.get("logo"), links),
        initial=initial(text_of(entry, "title", identifier)),
        version=latest,
        installed=current,
        update=latest if current and latest and latest != current and not pinned else None,
        categories=tuple(titles.get(name, name) for name in entry.get("categories") or ()),
        versions=len(entry.get("versions") or ()),
        url=links.page("store", identifier),
        open_url=links.page("open", identifier),
        pinned=pinned,
        healthy=entry.get("healthy") if isinstance(entry.get("healthy"), bool) else None,
    )


@dataclass(frozen=True)
class Screenshot:
    url: str
    alt: str


@dataclass(frozen=True)
class CodeView:
    """A simulation code the app needs, and whether this site offers it."""

    name: str
    offered: bool


@dataclass(frozen=True)
class AppPage:
    """Everything an app's page shows. ``in_store`` is False for an installed app that the store no longer offers.

    ``used`` counts the people here who have it; ``changes`` is what the offered update brings; ``wanted`` is the
    version a link asked for, ``wanted_known`` whether there is one.
    """

    card: AppCard
    in_store: bool
    description: Markup
    screenshots: tuple[Screenshot, ...]
    needs: tuple[str, ...]
    resources: str
    workflows: tuple[str, ...]
    backend: tuple[str, ...]
    citations: tuple[CitationView, ...]
    versions: tuple[VersionRow, ...]
    authors: str
    license: str
    homepage: str | None
    documentation: str | None
    source: str | None
    previous: str | None
    installed_on: str
    methods: tuple[str, ...]
    codes: tuple[CodeView, ...]
    check: CheckView | None
    used: int
    pinned: str | None
    newer: str | None
    changes: ChangesView | None
    wanted: str
    wanted_known: bool


def app_page(
    app: Mapping[str, Any] | None,
    installed: Mapping[str, Any] | None,
    titles: Mapping[str, str],
    links: Links,
    *,
    used: int = 0,
    offered_codes: Sequence[str] = (),
    wanted: str = "",
) -> AppPage:
    """Build an app's page from the store's entry, the installed app, or both (one of them must be there)."""
    store = app or {}
    mine = installed or {}
    releases = _mappings(store.get("releases"))
    current = text_of(mine, "current")
    latest = text_of(store, "latest")
    shown = next((item for item in releases if item.get("version") == latest), releases[0] if releases else {})
    entry = store if app else mine
    card = store_card(
        {**entry, "latest": latest or current, "logo": _path(store.get("logo")) or mine.get("logo")},
        {text_of(mine, "id"): current} if current else {},
        titles,
        links,
        pinned=bool(text_of(mine, "pinned")),
    )
    if (form := form_url(mine, links)) is not None:
        card = replace(card, open_url=form, verb="Run")
    rows = version_rows(releases, mine, latest, card.id, links)
    pages = store.get("links")
    pages = pages if isinstance(pages, Mapping) else {}
    return AppPage(
        card=card,
        in_store=app is not None,
        description=render(store.get("description"), text_of(store, "title")),
        screenshots=_screenshots(store, card.title, links),
        needs=tuple(str(need) for need in shown.get("needs") or ()),
        resources=_resources(shown.get("resources")),
        workflows=tuple(str(name) for name in shown.get("workflows") or mine.get("workflows") or ()),
        backend=tuple(str(word) for word in shown.get("backend") or ()),
        citations=citation_views(store.get("citations"), card.id),
        versions=rows,
        authors=text_of(store, "authors"),
        license=text_of(store, "license"),
        homepage=web_address(pages.get("homepage")),
        documentation=web_address(pages.get("documentation")),
        source=web_address(pages.get("source")),
        previous=text_of(mine, "previous") or None,
        installed_on=date(mine.get("installed")),
        methods=tuple(str(method) for method in store.get("methods") or ()),
        codes=tuple(CodeView(str(code), is_offered(str(code), offered_codes)) for code in shown.get("codes") or ()),
        check=check_view(shown),
        used=used,
        pinned=text_of(mine, "pinned") or None,
        newer=latest if current and latest and latest != current else None,
        changes=changes(releases, current, card.update) if card.update else None,
        wanted=wanted,
        wanted_known=any(row.version == wanted for row in rows),
    )


def category_titles(index: Mapping[str, Any]) -> dict[str, str]:
    """Return category titles by id."""
    found = index.get("categories")
    if not isinstance(found, Mapping):
        return {}
    return {name: text_of(item, "title", name) if isinstance(item, Mapping) else name for name, item in found.items()}


def latest_versions(index: Mapping[str, Any]) -> dict[str, str]:
    """Return the newest version in the store by app id."""
    return {text_of(entry, "id"): text_of(entry, "latest") for entry in _mappings(index.get("apps"))}


def pinned_apps(apps: Any) -> set[str]:
    """Return the ids of installed apps that are pinned to a version."""
    return {text_of(app, "id") for app in _mappings(apps) if text_of(app, "pinned")}


def current_versions(apps: Any) -> dict[str, str]:
    """Return the current version of each installed app by id."""
    return {text_of(app, "id"): text_of(app, "current") for app in _mappings(apps)}


def logo_url(logo: Any, links: Links) -> str | None:
    """Return the address of a logo given as a path in the registry (or a file reference with one)."""
    path = _path(logo)
    return links.registry_file(path) if path else None


def web_address(value: Any) -> str | None:
    """Return ``value`` when it is an http(s) address: nothing else from an app becomes a link."""
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else None


def initial(title: str) -> str:
    """Return the letter that stands in for a missing logo."""
    return next((char.upper() for char in title if char.isalnum()), "?")


def _path(reference: Any) -> str | None:
    if isinstance(reference, Mapping):
        reference = reference.get("path")
    return reference.lstrip("/") if isinstance(reference, str) and reference.strip("/") else None


def _screenshots(app: Mapping[str, Any], title: str, links: Links) -> tuple[Screenshot, ...]:
    found = []
    for item in app.get("screenshots") or ():
        url = logo_url(item, links)
        if url:
            name = text_of(item, "name") if isinstance(item, Mapping) else str(item)
            stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
            words = stem.replace("-", " ").replace("_", " ").strip()
            found.append(Screenshot(url, f"Screenshot of {title}: {words}" if words else f"Screenshot of {title}"))
    return tuple(found)


def _resources(resources: Any) -> str:
    if not isinstance(resources, Mapping):
        return ""
    cores = resources.get("cores")
    parts = []
    if isinstance(cores, int):
        parts.append("1 core" if cores == 1 else f"{cores} cores")
    if text_of(resources, "memory"):
        parts.append(f"{resources['memory']} of memory")
    return ", ".join(parts)


def _mappings(items: Any) -> list[Mapping[str, Any]]:
    if isinstance(items, Mapping):
        items = items.get("items")
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, Sequence) else []
