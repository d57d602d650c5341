"""Lines over a common axis: the figure, its data as CSV and a sentence for those who do not see it. No widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import traitlets

from simdeck_widgets.plot import axis, to_csv


class PlotModel(traitlets.HasTraits):  # type: ignore[misc]
    """Curves ``y(x)``.

    ``x`` and ``y`` are (title, unit); ``lines`` are ``{"name", "x", "y"}`` with numbers. ``figure``, ``csv`` and
    ``description`` follow from them.
    """

    x = traitlets.Tuple(traitlets.Unicode(), traitlets.Unicode(), default_value=("", ""))
    y = traitlets.Tuple(traitlets.Unicode(), traitlets.Unicode(), default_value=("", ""))
    lines = traitlets.List()
    mode = traitlets.Unicode("lines")
    """plotly's: ``lines``, ``markers``, ``lines+markers``."""
    figure = traitlets.Dict()
    csv = traitlets.Unicode()
    description = traitlets.Unicode()

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.observe(lambda _: self.draw(), ["x", "y", "lines", "mode"])
        self.draw()

    def draw(self) -> None:
        """Work out figure, data and description anew."""
        with self.hold_trait_notifications():
            self.figure = self._figure()
            self.csv = self._csv()
            self.description = self._description()

    def _figure(self) -> dict[str, Any]:
        if not self.lines:
            return {}
        drawn = [
            {"type": "scatter", "mode": self.mode} | {"name": one.get("name", ""), "x": one["x"], "y": one["y"]}
            for one in self.lines
        ]
        frame = {"xaxis": axis(*self.x), "yaxis": axis(*self.y), "showlegend": len(drawn) > 1}
        return {"data": drawn, "layout": frame}

    def _csv(self) -> str:
        """Every point a line; the curve's name first where there are several."""
        across, up = heading(*self.x), heading(*self.y)
        if len(self.lines) == 1:
            return to_csv([across, up], list(zip(self.lines[0]["x"], self.lines[0]["y"], strict=False)))
        rows = [[one.get("name", ""), a, b] for one in self.lines for a, b in zip(one["x"], one["y"], strict=False)]
        return to_csv(["curve", across, up], rows) if rows else ""

    def _description(self) -> str:
        if not self.lines or not len(self.lines[0]["y"]):
            return ""
        first = self.lines[0]
        many = f"; {len(self.lines)} curves" if len(self.lines) > 1 else ""
        return (
            f"{self.y[0]} by {self.x[0]}{many}; {len(first['y'])} points, last "
            f"{first['y'][-1]:.6g} {self.y[1]}".strip().replace("-", "−")
        )


def heading(title: str, unit: str = "") -> str:
    """A column's head: ``Energy / eV``."""
    return f"{title} / {unit}" if unit else title


def line(name: str, x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """Describe one curve."""
    return {"name": name, "x": list(x), "y": list(y)}
