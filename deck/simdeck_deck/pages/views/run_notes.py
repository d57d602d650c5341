"""What is to be said of a run that has ended: what may help a failed one, and whose results it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simdeck_deck.pages.views.events import Event
from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.run_inputs import Change, changes_of
from simdeck_deck.pages.views.text import plural, short_id, text_of


@dataclass(frozen=True)
class CureView:
    """Something that may help: where it can be looked over and submitted, and what it changes."""

    title: str
    changes: tuple[Change, ...]
    url: str


def cure_views(run: Mapping[str, Any], schema: Any, inputs: Any, links: Links) -> tuple[CureView, ...]:
    """Return the likely cures of a failed run, most likely first."""
    old = inputs if isinstance(inputs, Mapping) else {}
    return tuple(
        CureView(
            title=text_of(cure, "title", "Try other inputs"),
            changes=changes_of(schema, old, cure["inputs"]),
            url=links.page("runs", text_of(run, "id"), "again", cure=str(number)),
        )
        for number, cure in enumerate(cures_of(run), start=1)
    )


def cures_of(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return ``{title, inputs}`` of a run's cures, those that say what to change."""
    problem = run.get("problem")
    cures = problem.get("cures") if isinstance(problem, Mapping) else None
    found = [cure for cure in cures if isinstance(cure, Mapping)] if isinstance(cures, Sequence) else []
    return [cure for cure in found if isinstance(cure.get("inputs"), Mapping)]


@dataclass(frozen=True)
class Source:
    """A run whose results were taken; ``url`` is None where it is gone."""

    id: str
    short_id: str
    title: str
    url: str | None


@dataclass(frozen=True)
class ReuseView:
    """How much of a run was not computed anew, and where it came from."""

    sentence: str
    whole: bool
    sources: tuple[Source, ...]


def reused_from(events: Sequence[Event]) -> list[str]:
    """Return the ids of the runs that calculations were taken from, in the order they appeared."""
    found = (text_of(data, "reused_from") for kind, data in events if kind == "step")
    return list(dict.fromkeys(name for name in found if name))


def reuse_view(
    run: Mapping[str, Any], events: Sequence[Event], known: Mapping[str, Mapping[str, Any] | None], links: Links
) -> ReuseView | None:
    """Return what a run took from earlier ones; None where it computed everything.

    ``known``: the earlier runs by id, None for one that is gone.
    """
    taken = {
        text_of(data, "process", str(number))
        for number, (kind, data) in enumerate(events)
        if kind == "step" and data.get("reused_from")
    }
    said = run.get("reused")
    count = max(said if isinstance(said, int) else 0, len(taken))
    if not count:
        return None
    jobs = {text_of(data, "process", str(number)) for number, (kind, data) in enumerate(events) if _is_job(kind, data)}
    total = len(jobs | taken)
    whole = total == count and run.get("state") == "finished"
    sources = tuple(_source(name, found, links) for name, found in known.items())
    if whole:
        sentence = (
            "Nothing was computed anew: an identical calculation had been done before, and its results stand here."
        )
        if count > 1:
            sentence = f"Nothing was computed anew: {_calculations(count)} had been done before, identically."
    else:
        of = f"{count} of {plural(total, 'calculation')}" if total > count else _calculations(count)
        verb = "was" if count == 1 else "were"
        sentence = f"{of} {verb} not computed anew: the results were taken from identical earlier ones."
    return ReuseView(sentence, whole, sources)


def _calculations(count: int) -> str:
    return plural(count, "calculation")


def _is_job(kind: str, data: Mapping[str, Any]) -> bool:
    return kind == "step" and "calculation" in text_of(data, "kind")


def _source(name: str, found: Mapping[str, Any] | None, links: Links) -> Source:
    title = text_of(found, "title", name) if found else ""
    return Source(name, short_id(name), title, links.page("runs", name) if found else None)
