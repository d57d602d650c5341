"""What a calculation may use: the fields, what is usual, what it costs, and what the machines have. No widget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import traitlets

from simdeck_widgets.form_model import FormModel


class ResourceModel(traitlets.HasTraits):  # type: ignore[misc]
    """Resources over the fields of a form.

    Parameters
    ----------
    form
        The form whose values these are; it may have other fields too.
    fields
        Those that are resources, in order; ``cores``, ``walltime`` (minutes) and ``cluster`` are understood.
    seconds
        Values → (seconds that the whole takes on the cores asked for, number of calculations), a sentence of one's
        own, or None where nobody knows.
    presets
        ``{"id", "title", "values"}``: usual choices; one whose values the form does not allow is left out.
    """

    sentence = traitlets.Unicode()
    """Time and cost in words; empty where nothing is known."""
    notes = traitlets.List(traitlets.Unicode())
    """What the chosen cluster has, and how old that number is."""
    offers = traitlets.List()
    """The presets that fit: ``{"id", "title", "values", "chosen"}``."""
    clusters = traitlets.List()
    """``GET /clusters``' items (ClusterView); empty where runs are processes of one machine."""

    def __init__(
        self,
        form: FormModel,
        fields: Sequence[str] = ("cores", "walltime", "cluster"),
        *,
        seconds: Callable[[dict[str, Any]], tuple[float, int] | str | None] | None = None,
        presets: Sequence[Mapping[str, Any]] = (),
        **traits: Any,
    ) -> None:
        self.form = form
        self.fields = tuple(fields)
        self._seconds = seconds
        self._presets = [dict(preset) for preset in presets]
        super().__init__(**traits)
        form.observe(lambda _: self.judge(), ["values", "schema", "valid"])
        self.observe(lambda _: self.judge(), ["clusters"])
        self.judge()

    @property
    def values(self) -> dict[str, Any]:
        """The resources alone."""
        return {name: self.form.values[name] for name in self.fields if name in self.form.values}

    def choose(self, preset: str) -> None:
        """Take a preset's values."""
        for one in self.offers:
            if one["id"] == preset:
                self.form.values = {**self.form.values, **one["values"]}

    def judge(self) -> None:
        """Work out sentence, notes and offers anew."""
        values = self.values
        known = self.form.schema.get("properties", {})
        self.offers = [
            {**preset, "chosen": all(values.get(name) == value for name, value in preset["values"].items())}
            for preset in self._presets
            if all(_allowed(known.get(name), value) for name, value in preset["values"].items())
        ]
        found = self._seconds(dict(self.form.values)) if self._seconds is not None and self.form.valid else None
        if isinstance(found, str):
            self.sentence = found
        else:
            self.sentence = cost(found[0], found[1], int(values.get("cores") or 1)) if found else ""
        self.notes = notes(self._cluster(values))

    def _cluster(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        named = values.get("cluster")
        return next((one for one in self.clusters if one.get("name") == named), next(iter(self.clusters), {}))


def _allowed(about: Mapping[str, Any] | None, value: Any) -> bool:
    if about is None:
        return False
    if "enum" in about:
        return value in about["enum"]
    return bool(about.get("minimum", value) <= value <= about.get("maximum", value))


def cost(seconds: float, calculations: int, cores: int) -> str:
    """How long it takes and what it costs, in a sentence."""
    hours = seconds * cores / 3600
    price = f"{hours:.2g} core-hours" if hours >= 0.01 else "less than 0.01 core-hours"
    many = f" in {calculations} calculations" if calculations > 1 else ""
    return f"Takes {duration(seconds)} on {cores} core{'' if cores == 1 else 's'}{many} ({price})."


def duration(seconds: float) -> str:
    """Seconds as people say them, roughly."""
    if seconds < 50:
        return f"about {max(5, round(seconds / 5) * 5)} seconds"
    if seconds < 3000:
        minutes = max(1, round(seconds / 60))
        return f"about {minutes} minute{'' if minutes == 1 else 's'}"
    hours = seconds / 3600
    return f"about {hours:.1f} hours" if hours < 10 else f"about {hours:.0f} hours"


def notes(cluster: Mapping[str, Any]) -> list[str]:
    """What a cluster's default partition has free, how many wait there, and when that was asked."""
    if not cluster:
        return []
    title = str(cluster.get("title") or cluster.get("name"))
    if cluster.get("unknown_since"):
        return [f"{title} does not answer at the moment; what it has free is not known."]
    partitions = cluster.get("partitions") or []
    part = next((one for one in partitions if one.get("default")), next(iter(partitions), None))
    if part is None:
        return []
    free, total = part.get("free") or {}, part.get("total") or {}
    said = []
    if free.get("cores") is not None:
        of = f" of {total['cores']:,}" if total.get("cores") else ""
        waiting = part.get("waiting") or 0
        jobs = f"; {waiting:,} job{'' if waiting == 1 else 's'} waiting" if waiting else "; nothing is waiting"
        said.append(f"{title}: {free['cores']:,}{of} cores free{jobs}.")
    most = part.get("limits") or {}
    if most.get("cores"):
        said.append(f"One calculation may have up to {most['cores']:,} cores.")
    return said
