"""What the scheduler says to a request before it is made, and what of the cluster is free now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simdeck_clusters.quantities import memory_text

from simdeck_deck.pages.views.amounts import start_words
from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.options import query_of
from simdeck_deck.pages.views.resources import chosen_partition
from simdeck_deck.pages.views.text import NO_BREAK, core_hours, duration, full_time, number, parse_time
from simdeck_deck.servers import ClusterView, EstimateView, Free


@dataclass(frozen=True)
class SoonerView:
    """A change that starts earlier, and the address of the form with it."""

    change: str
    start: str
    url: str


@dataclass(frozen=True)
class EstimateCard:
    """When it would start and what it costs at most."""

    start: str
    start_full: str
    cost: str
    balance: str
    dear: bool
    sooner: tuple[SoonerView, ...]


@dataclass(frozen=True)
class PartitionRow:
    """What is free in a partition now."""

    name: str
    title: str
    summary: str
    up: bool
    chosen: bool
    cores: str
    memory: str
    gpus: str
    waiting: str


def estimate_card(
    estimate: EstimateView, links: Links, now: datetime, options: Mapping[str, Any], kept: Mapping[str, str]
) -> EstimateCard:
    """Build the estimate's card; ``kept`` are the address's other values (app, run)."""
    hours, balance = estimate.cost.core_hours, estimate.cost.balance
    here = links.page("servers", "new")
    found = []
    for one in estimate.sooner:
        changed = {**options, **one.options}
        found.append(
            SoonerView(one.change, start_words(one.start, now), links.with_query(here, {**kept, **query_of(changed)}))
        )
    return EstimateCard(
        start=start_words(estimate.start, now),
        start_full=full_time(estimate.start) if parse_time(estimate.start) else "",
        cost=core_hours(hours) if hours is not None else "",
        balance=core_hours(balance) if balance is not None else "",
        dear=hours is not None and balance is not None and hours > balance,
        sooner=tuple(found),
    )


def partition_rows(cluster: ClusterView, options: Mapping[str, Any]) -> tuple[PartitionRow, ...]:
    """Build the table of what is free now."""
    chosen = chosen_partition(cluster, options)
    return tuple(
        PartitionRow(
            name=one.name,
            title=one.title or one.name,
            summary=one.summary,
            up=one.up,
            chosen=chosen is not None and one.name == chosen.name,
            cores=_of(one.free.cores, one.total.cores),
            memory=memory_text(one.free.memory_mb) if one.free.memory_mb else "",
            gpus=_gpus(one.free, one.gpu_types),
            waiting="" if one.waiting is None else number(one.waiting),
        )
        for one in cluster.partitions
    )


def _of(free: int | None, total: int | None) -> str:
    if free is None:
        return ""
    return number(free) if total is None else f"{number(free)} of {number(total)}"


def _gpus(free: Free, types: Mapping[str, int]) -> str:
    return ", ".join(f"{free.gpus.get(kind, 0)}{NO_BREAK}{kind or 'GPU'}" for kind in types)


def age_words(cluster: ClusterView, now: datetime) -> str:
    """Return how old the numbers are, and since when the scheduler is silent."""
    since = parse_time(cluster.unknown_since)
    if since is not None:
        return f"The scheduler has not answered for {duration((now - since).total_seconds())}; these numbers are old."
    if cluster.age is None:
        return "The scheduler has not been asked yet."
    return "As of a few seconds ago." if cluster.age < 10 else f"As of {duration(cluster.age)} ago."
