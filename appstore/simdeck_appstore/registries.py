"""The registries of a site in their order, read as one store that shows what the site's policy offers.

The first registry that has an app is the one it comes from. One that cannot be read or trusted is left out of the
lists, and :meth:`Registries.states` says why.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict
from simdeck_common.problems import Problem

from simdeck_appstore import policy as rules
from simdeck_appstore.models import Category, IndexEntry, RegistryApp, RegistryIndex
from simdeck_appstore.policy import OPEN, AppPolicy
from simdeck_appstore.registry import Registry
from simdeck_appstore.search import SearchIndex

UNTRUSTED = frozenset({"registry-untrusted", "registry-expired"})
# A server that does not answer takes its time to say so; it is not asked again for each page.
AWAY_SECONDS = 30.0


class RegistrySource(BaseModel):
    """Where a registry is, and whether its signatures must lead to a pinned key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    url: str
    root: Path | None = None
    optional: bool = False

    @classmethod
    def of(cls, given: RegistrySource | str | Path) -> RegistrySource:
        """Return ``given``; an address alone is an unsigned registry that may be away."""
        if isinstance(given, RegistrySource):
            return given
        return cls(name=str(given), url=str(given), optional=True)

    def open(self, trust: Path | None) -> Registry:
        """Return the registry; ``trust`` is the folder that keeps what was trusted last."""
        return Registry(self.url, root=self.root, trust=trust)


class RegistryState(BaseModel):
    """One registry as it was read last. ``problem``: why it cannot be used (problem+json), or null."""

    name: str
    url: str
    signed: bool
    optional: bool
    key: str | None = None
    expires: str | None = None
    revision: str | None = None
    apps: int = 0
    left_out: int = 0
    problem: dict[str, Any] | None = None


class Shop(Protocol):
    """What shows apps: one registry, or a site's registries through its policy."""

    def index(self) -> RegistryIndex: ...

    def app(self, app: str) -> RegistryApp: ...

    def search(self, text: str = "", category: str | None = None) -> list[IndexEntry]: ...

    def content(self, path: str) -> bytes: ...


@dataclass
class _Member:
    """One registry, and since when (monotonic) it is known not to answer."""

    source: RegistrySource
    registry: Registry
    away: tuple[float, Problem] | None = None

    def index(self) -> RegistryIndex | Problem:
        if self.away is not None and time.monotonic() - self.away[0] < AWAY_SECONDS:
            return self.away[1]
        self.away = None
        try:
            return self.registry.index()
        except Problem as problem:
            if problem.code == "registry-unreachable" and self.source.url.startswith("http"):
                self.away = (time.monotonic(), problem)
            return problem


@dataclass
class _Merged:
    """The lists of all registries as one, and what each group of people sees of it."""

    key: tuple[object, ...]
    index: RegistryIndex
    owners: dict[str, _Member]
    seen: dict[frozenset[str] | None, tuple[RegistryIndex, SearchIndex]] = field(default_factory=dict)


class Registries:
    """All registries of a site.

    Parameters
    ----------
    sources
        First choice first.
    trust
        Folder that keeps what was trusted last, one below it for each signed registry.
    policy
        What is offered.
    """

    def __init__(self, sources: Sequence[RegistrySource | str | Path], trust: Path, policy: AppPolicy = OPEN) -> None:
        chosen = [RegistrySource.of(source) for source in sources]
        self.policy = policy
        self._members = [_Member(source, source.open(trust)) for source in chosen]
        # Servers are asked at the same time; folders answer at once.
        web = [member for member in self._members if member.source.url.startswith("http")]
        self._pool = ThreadPoolExecutor(min(8, len(web) + 1), "registries") if web else None
        self._lock = threading.Lock()
        self._merged: _Merged | None = None

    def seen_by(self, groups: Collection[str] | None) -> View:
        """Return the store as members of ``groups`` see it; None: whoever looks after the site."""
        return View(self, None if groups is None else frozenset(groups))

    def app(self, app: str) -> RegistryApp:
        """Return what is known of ``app``, whoever may see it; raises as :meth:`View.app`."""
        return self.seen_by(None).app(app)

    def problems(self) -> list[Problem]:
        """Return why registries are left out: those that are not trusted, and those away that should not be."""
        found = []
        for member, answer in self._answers():
            if isinstance(answer, Problem) and (answer.code in UNTRUSTED or not member.source.optional):
                found.append(answer)
        return found

    def states(self) -> list[RegistryState]:
        """Return how each registry stands now."""
        try:
            owned = [id(member) for member in self._read().owners.values()]
        except Problem:
            owned = []
        return [_state(member, answer, owned.count(id(member))) for member, answer in self._answers()]

    def every_app(self) -> list[tuple[IndexEntry, str]]:
        """Return every app, offered or not, with the name of the registry that it comes from."""
        merged = self._read()
        return [(entry, merged.owners[entry.id].source.name) for entry in merged.index.apps]

    def member_of(self, app: str) -> Registry | None:
        """Return the registry that ``app`` comes from, or None."""
        found = self._read().owners.get(app)
        return found.registry if found else None

    def everyone(self) -> list[Registry]:
        return [member.registry for member in self._members]

    def lists(self, groups: frozenset[str] | None) -> tuple[RegistryIndex, SearchIndex]:
        """Return the list that members of ``groups`` see, and its search.

        Raises
        ------
        Problem
            What the first registry says, when none of them can be read.
        """
        merged = self._read()
        if groups is not None:
            # Whoever differs in other groups sees the same.
            named = {group for entry in merged.index.apps for allowed in entry.groups.values() for group in allowed}
            groups = rules.relevant(self.policy, groups) | (groups & named)
        with self._lock:
            if groups not in merged.seen:
                if len(merged.seen) > 256:
                    merged.seen.clear()
                merged.seen[groups] = self._filtered(merged.index, groups)
            return merged.seen[groups]

    def _filtered(self, index: RegistryIndex, groups: frozenset[str] | None) -> tuple[RegistryIndex, SearchIndex]:
        kept = [found for entry in index.apps if (found := rules.offered_entry(self.policy, entry, groups))]
        return index.model_copy(update={"apps": kept}), SearchIndex(kept)

    def _answers(self) -> list[tuple[_Member, RegistryIndex | Problem]]:
        if self._pool is None:
            return [(member, member.index()) for member in self._members]
        return list(zip(self._members, self._pool.map(_Member.index, self._members), strict=True))

    def _read(self) -> _Merged:
        answers = self._answers()
        good = [(member, answer) for member, answer in answers if isinstance(answer, RegistryIndex)]
        if not good:
            raise next(
                (answer for _, answer in answers if isinstance(answer, Problem)),
                Problem("registry-unreachable", location="of this site", reason="the site file names none"),
            )
        key = tuple((id(member), answer.revision) for member, answer in good)
        with self._lock:
            if self._merged is None or self._merged.key != key:
                self._merged = _merge(key, good)
            return self._merged


def _merge(key: tuple[object, ...], answers: list[tuple[_Member, RegistryIndex]]) -> _Merged:
    owners: dict[str, _Member] = {}
    entries: list[IndexEntry] = []
    categories: dict[str, Category] = {}
    for member, index in answers:
        categories = {**index.categories, **categories}
        for entry in index.apps:
            if entry.id not in owners:
                owners[entry.id] = member
                entries.append(entry)
    first = answers[0][1]
    if len(answers) > 1:
        entries.sort(key=lambda entry: entry.title.lower())
    return _Merged(key, first.model_copy(update={"apps": entries, "categories": categories}), owners)


def _state(member: _Member, answer: RegistryIndex | Problem, apps: int) -> RegistryState:
    source = member.source
    expires = getattr(member.registry.origin, "expires", None)
    return RegistryState(
        name=source.name,
        url=source.url,
        signed=source.root is not None,
        optional=source.optional,
        key=getattr(member.registry.origin, "key", None),
        expires=expires.isoformat(timespec="seconds") if expires else None,
        revision=answer.revision if isinstance(answer, RegistryIndex) else None,
        apps=apps,
        left_out=len(answer.problems) if isinstance(answer, RegistryIndex) else 0,
        problem=answer.to_json() if isinstance(answer, Problem) else None,
    )


@dataclass(frozen=True)
class View:
    """The store as members of some groups see it (None: all of it that the site offers to anybody)."""

    registries: Registries
    groups: frozenset[str] | None

    def index(self) -> RegistryIndex:
        """Return the table of contents; raises ``Problem`` when no registry can be read."""
        return self.registries.lists(self.groups)[0]

    def search(self, text: str = "", category: str | None = None) -> list[IndexEntry]:
        """Return the matching apps as :meth:`Registry.search` does."""
        return self.registries.lists(self.groups)[1].find(text, category)

    def app(self, app: str) -> RegistryApp:
        """Return what is known of ``app``.

        Raises
        ------
        Problem
            404 ``app-not-found``: no registry has it, or these people do not see it; what its registry says.
        """
        registry = self.registries.member_of(app)
        found = rules.offered(self.registries.policy, registry.app(app), self.groups) if registry else None
        if found is None:
            raise Problem("app-not-found", field="app", app=app)
        return found

    def content(self, path: str) -> bytes:
        """Return a small file by its content's address, from the first registry that has it."""
        refusal = Problem("not-found")
        for registry in self.registries.everyone():
            try:
                return registry.content(path)
            except Problem as problem:
                refusal = problem
        raise refusal

    def problems(self) -> list[Problem]:
        """Return why registries are left out."""
        return self.registries.problems()
