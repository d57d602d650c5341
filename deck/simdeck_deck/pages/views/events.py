"""A run's past events: the curve of its energies, and its steps as they stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simdeck_deck.pages.views.sparkline import Sparkline, sparkline
from simdeck_deck.pages.views.states import StateView, process_state
from simdeck_deck.pages.views.text import quantity, text_of

Event = tuple[str, dict[str, Any]]

# Which quantity of the progress records is drawn: the first of these that they have.
CURVE_KEYS = ("energy", "free_energy", "fmax", "residual")


@dataclass(frozen=True)
class StepRow:
    """A process of the run: its name for people, its class where that is another word, its state, its last words."""

    label: str
    type: str
    state: StateView
    message: str


def progress_curve(events: Sequence[Event]) -> tuple[Sparkline | None, str]:
    """Return the curve of the runs' energies (or the next best quantity) and the words below it.

    Only one ``stage`` is drawn, one that counts its ``step`` where there is such: energies of displaced geometries are
    not part of an optimisation's curve.
    """
    records = [data for kind, data in events if kind == "progress"]
    records = [record for record in records if "step" in record] or records
    for key in CURVE_KEYS:
        series: dict[str, list[float]] = {}
        for record in records:
            value = record.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                series.setdefault(text_of(record, "stage"), []).append(float(value))
        values = max(series.values(), key=len, default=[])
        curve = sparkline(values)
        if curve is not None:
            unit = next((text_of(record, key + "_unit") for record in records if key in record), "")
            change = quantity(float(f"{values[-1] - values[0]:.3g}"), unit or None)
            name = key.replace("_", " ").capitalize()
            return curve, f"{name} over {len(values)} steps, change {change}"
    return None, ""


def step_rows(events: Sequence[Event], active: bool = True) -> tuple[StepRow, ...]:
    """Return the run's processes in the order they appeared, each as its last ``step`` event says.

    In a run that is not ``active`` any more no process is under way, whatever was heard of it last.
    """
    latest: dict[str, dict[str, Any]] = {}
    for kind, data in events:
        if kind == "step":
            key = text_of(data, "process", text_of(data, "label"))
            latest[key] = {**latest.get(key, {}), **data}
    return tuple(
        StepRow(title, "" if kind == title else kind, state, text_of(data, "message"))
        for data in latest.values()
        for state in [process_state(data)]
        for kind in [text_of(data, "label", "Step")]
        for title in [text_of(data, "title", kind)]
        if active or not state.active
    )
