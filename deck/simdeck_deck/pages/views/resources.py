"""The form for a server's resources: what it offers, what is chosen, and what the scheduler says to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simdeck_clusters.quantities import memory_text, minutes_text

from simdeck_deck.pages.views.amounts import gpu_choice, memory_words, size_words, walltime_words
from simdeck_deck.pages.views.options import PREFIX
from simdeck_deck.pages.views.text import core_hours
from simdeck_deck.servers import ClusterView, Limits, PartitionView

USUAL = "The default one"
Extra = Sequence[tuple[str, str, str, Mapping[str, Any]]]
"""Cards before the presets: value, title, summary, options."""

# Fields in the form's order, with the words before them.
LABELS = {
    "cluster": "Cluster",
    "partition": "Partition",
    "account": "Account",
    "qos": "Quality of service",
    "cores": "Cores",
    "memory_mb": "Memory",
    "gpus": "GPUs",
    "walltime_minutes": "Time limit",
    "reservation": "Reservation",
    "environment": "Environment",
    "name": "Server name",
}


@dataclass(frozen=True)
class Choice:
    """One entry of a list to choose from."""

    value: str
    label: str
    selected: bool


@dataclass(frozen=True)
class PresetCard:
    """A choice of several values at once."""

    value: str
    title: str
    summary: str
    size: str
    selected: bool


@dataclass(frozen=True)
class FormView:
    """The form's fields. A list that is empty is not shown; hints say what is allowed."""

    presets: tuple[PresetCard, ...]
    clusters: tuple[Choice, ...]
    partitions: tuple[Choice, ...]
    accounts: tuple[Choice, ...]
    qos: tuple[Choice, ...]
    gpu_types: tuple[Choice, ...]
    reservations: tuple[Choice, ...]
    environments: tuple[Choice, ...]
    environment_words: str
    partition_words: str
    account_words: str
    cluster: str
    cores: str
    memory: str
    gpu_count: str
    walltime: str
    hints: Mapping[str, str]
    limits: Limits
    unlisted: Mapping[str, str]

    @property
    def shown(self) -> tuple[str, ...]:
        """The fields that can be filled in, and so have a place for what is wrong with them."""
        lists: dict[str, tuple[object, ...]] = {
            "cluster": self.clusters[1:],
            "account": self.accounts,
            "qos": self.qos,
            "gpus": self.gpu_types,
            "reservation": self.reservations,
            "environment": self.environments[1:],
        }
        return tuple(name for name in LABELS if lists.get(name, (True,)))


def form_view(
    clusters: Sequence[ClusterView],
    options: Mapping[str, Any],
    extra: Extra,
) -> FormView:
    """Build the form for ``options``."""
    cluster = next((one for one in clusters if one.name == options.get("cluster")), clusters[0])
    partition = chosen_partition(cluster, options)
    limits = partition.limits if partition else Limits()
    kind, count = gpu_choice(options.get("gpus"))
    account = next((one for one in cluster.accounts if one.name == options.get("account")), None)
    qos = list(account.qos) if account is not None and account.qos else list(cluster.qos)
    types = partition.gpu_types if partition else {}
    environment = next((one for one in cluster.environments if one.name == options.get("environment")), None)
    return FormView(
        presets=_presets(cluster, options, extra),
        clusters=tuple(Choice(one.name, one.title or one.name, one is cluster) for one in clusters),
        partitions=tuple(
            Choice(one.name, _partition_label(one), partition is not None and one.name == partition.name)
            for one in cluster.partitions
        ),
        accounts=_choices([(one.name, one.name) for one in cluster.accounts], options.get("account"), USUAL),
        qos=_choices([(name, name) for name in qos], options.get("qos"), USUAL),
        gpu_types=_choices(
            [(name, f"{name} (up to {most} on a node)") for name, most in types.items()], kind, "Any type"
        ),
        reservations=_choices(
            [(one.name, f"{one.name}{'' if one.active else ' (not yet open)'}") for one in cluster.reservations],
            options.get("reservation"),
            "None",
        ),
        environments=tuple(
            Choice(one.name, one.title or one.name, one.name == options.get("environment"))
            for one in cluster.environments
        ),
        environment_words=environment.summary if environment else "",
        partition_words=partition.summary if partition else "",
        account_words=_account_words(cluster, options.get("account")),
        cluster=cluster.name,
        cores=_shown(options.get("cores")),
        memory=memory_words(options.get("memory_mb")),
        gpu_count=count or "0",
        walltime=walltime_words(options.get("walltime_minutes")),
        hints=_hints(limits),
        limits=limits,
        unlisted={
            PREFIX + name: str(value)
            for name, value in options.items()
            if name not in LABELS and name != "app" and value not in (None, "")
        },
    )


def chosen_partition(cluster: ClusterView, options: Mapping[str, Any]) -> PartitionView | None:
    """Return the partition that is chosen, else the cluster's default, else its first."""
    wanted = options.get("partition")
    for test in (lambda one: one.name == wanted, lambda one: one.default, lambda one: True):
        found = next((one for one in cluster.partitions if test(one)), None)
        if found is not None:
            return found
    return None


def _choices(known: Sequence[tuple[str, str]], chosen: Any, none: str) -> tuple[Choice, ...]:
    if not known:
        return ()
    return (Choice("", none, not chosen), *(Choice(value, label, value == chosen) for value, label in known))


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def _partition_label(partition: PartitionView) -> str:
    words = partition.name if not partition.title else f"{partition.title} ({partition.name})"
    return words if partition.up else f"{words}, closed now"


def _account_words(cluster: ClusterView, chosen: Any) -> str:
    account = next((one for one in cluster.accounts if one.name == chosen), None) or next(
        (one for one in cluster.accounts if one.default), None
    )
    if account is None or account.core_hours_left is None:
        return ""
    return f"{core_hours(account.core_hours_left)} left in {account.name}"


def _hints(limits: Limits) -> dict[str, str]:
    hints = {}
    if limits.cores is not None:
        hints["cores"] = f"up to {limits.cores}"
    hints["memory_mb"] = (
        f"up to {memory_text(limits.memory_mb)}" if limits.memory_mb is not None else "such as 8 GiB; empty: the usual"
    )
    most = limits.walltime_minutes
    hints["walltime_minutes"] = "hours:minutes" + (
        f", up to {minutes_text(most)}" if most is not None else "; empty: the usual"
    )
    if limits.gpus is not None:
        hints["gpus"] = f"up to {limits.gpus}" if limits.gpus else "none in this partition"
    return hints


def _presets(cluster: ClusterView, options: Mapping[str, Any], extra: Extra) -> tuple[PresetCard, ...]:
    found = [*extra, *((one.name, one.title or one.name, one.summary, one.options) for one in cluster.presets)]
    cards: list[PresetCard] = []
    for value, title, summary, chosen in found:
        # Of several cards that mean the same, one is the choice.
        selected = not any(card.selected for card in cards) and _same(chosen, options)
        cards.append(PresetCard(value, title, summary, _size(chosen), selected))
    return tuple(cards)


def _same(preset: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    def plain(name: str, value: Any) -> Any:
        return gpu_choice(value) if name == "gpus" else value

    kinds = {name: plain(name, value) for name, value in preset.items() if name != "app"}
    if "gpus" not in kinds:
        kinds["gpus"] = ("", "0")
    mine = {name: plain(name, options.get(name)) for name in kinds}
    if mine["gpus"][1] in ("", "0"):
        mine["gpus"] = ("", "0")
    return bool(preset) and mine == kinds


def _size(options: Mapping[str, Any]) -> str:
    walltime = options.get("walltime_minutes")
    time = minutes_text(walltime) if isinstance(walltime, int) else ""
    return " · ".join(part for part in (size_words(options), time) if part)


def not_offered(clusters: Sequence[ClusterView], options: Mapping[str, Any]) -> dict[str, str]:
    """Return the chosen values that cannot be chosen, by field: a link may be older than the site's offers."""
    wanted = str(options.get("cluster") or "")
    cluster = next((one for one in clusters if one.name == wanted), clusters[0])
    offers = {
        "cluster": [one.name for one in clusters],
        "partition": [one.name for one in cluster.partitions],
        "account": [one.name for one in cluster.accounts],
        "qos": [*cluster.qos, *(name for one in cluster.accounts for name in one.qos)],
        "reservation": [one.name for one in cluster.reservations],
        "environment": [one.name for one in cluster.environments],
    }
    return {
        name: str(value)
        for name, known in offers.items()
        if (value := options.get(name)) not in (None, "") and value not in known
    }
