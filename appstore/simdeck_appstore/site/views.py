"""What the pages show: cards, an app, a category, what was left out. Plain data, made from a registry's documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup

from simdeck_appstore.models import BuildProblem, Category, CheckRecord, FileRef, IndexEntry, RegistryApp, Release
from simdeck_appstore.search import fold
from simdeck_appstore.site.text import bibtex, markdown, size

KINDS = {
    "notebook": "Notebook page",
    "command": "Web program",
    "aiidalab": "AiiDAlab app",
    "static": "Files for the browser",
    "workflow": "Workflow without a page",
}


@dataclass(frozen=True)
class Card:
    """One app in a list; ``tags`` and ``more`` are words for the search alone."""

    id: str
    title: str
    summary: str
    version: str
    authors: str
    categories: tuple[tuple[str, str], ...]
    logo: str | None
    initial: str
    healthy: bool | None
    tags: str
    more: str


@dataclass(frozen=True)
class Cited:
    text: str
    url: str | None
    bibtex: str


@dataclass(frozen=True)
class Version:
    """One release, as its part of the app's page says it."""

    version: str
    released: str | None
    kind: str
    python: str
    changes: Markup
    files: tuple[tuple[str, str, str, str], ...]
    """What it is, address, size, SHA-256."""
    check: CheckRecord | None
    workflows: tuple[str, ...]
    codes: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class AppView:
    card: Card
    description: Markup
    license: str
    links: tuple[tuple[str, str], ...]
    keywords: tuple[str, ...]
    methods: tuple[str, ...]
    screenshots: tuple[str, ...]
    citations: tuple[Cited, ...]
    versions: tuple[Version, ...]


@dataclass(frozen=True)
class LeftOut:
    app: str
    reason: str
    remedy: str


def card(entry: IndexEntry, categories: Mapping[str, Category]) -> Card:
    """Return the card of one line of the index."""
    named = tuple((name, categories[name].title) for name in entry.categories if name in categories)
    tags = " ".join([entry.id, *entry.keywords, *entry.methods, *entry.codes, *(title for _, title in named)])
    return Card(
        id=entry.id,
        title=entry.title,
        summary=entry.summary,
        version=entry.latest,
        authors=entry.authors,
        categories=named,
        logo=address(entry.logo),
        initial=entry.title[:1].upper(),
        healthy=entry.healthy,
        tags=fold(tags),
        more=fold(entry.text),
    )


def app_view(app: RegistryApp, shown: Card) -> AppView:
    """Return everything on one app's page."""
    links = (
        ("Home page", app.links.homepage),
        ("Documentation", app.links.documentation),
        ("Source", app.links.source),
    )
    cited = tuple(
        Cited(item.text, f"https://doi.org/{quote(item.doi, safe='/')}" if item.doi else item.url,
              bibtex(f"{app.id}-{number}", item))
        for number, item in enumerate(app.citations, 1)
    )  # fmt: skip
    return AppView(
        card=shown,
        description=markdown(app.description, app.title),
        license=app.license.splitlines()[0][:80] if app.license else "",
        links=tuple((label, url) for label, url in links if url and url.startswith("https://")),
        keywords=tuple(app.keywords),
        methods=tuple(app.methods),
        screenshots=tuple(address(shot.path) or "" for shot in app.screenshots),
        citations=cited,
        versions=tuple(version_view(release) for release in app.releases),
    )


def version_view(release: Release) -> Version:
    parts: list[tuple[str, FileRef | None]] = [
        ("App", release.wheel if release.tree is None else release.tree),
        ("Lock", release.lock),
    ]
    return Version(
        version=release.version,
        released=release.released,
        kind=KINDS[release.entry.kind],
        python=release.python,
        changes=markdown(release.changelog, level=5),
        files=tuple(
            (what, address(ref.path) or "", size(ref.size), ref.sha256) for what, ref in parts if ref is not None
        ),
        check=release.check,
        workflows=tuple(release.workflows),
        codes=tuple(release.codes),
        needs=tuple(release.needs),
    )


def left_out(problem: BuildProblem) -> LeftOut:
    said = problem.problem
    return LeftOut(problem.app, str(said.get("detail", "")), str(said.get("remedy", "")))


def address(path: str | None) -> str | None:
    """Return a path of the registry as it stands in a link."""
    return quote(path) if path else None
