"""A plot from a plain plotly figure dict; no plotly package is needed in the kernel."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, Self

import traitlets

from simdeck_widgets.base import View, library_url, script, style


class PlotlyPlot(View):
    """Draws ``figure`` (``{"data": […], "layout": {…}}``) in the page's colours, and saves it as PNG or ``csv``.

    A figure that comes without its data as ``csv`` gets them from its own curves.
    """

    _esm = script("plot")
    _css = style()
    library_url = traitlets.Unicode().tag(sync=True)
    figure = traitlets.Dict().tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    csv = traitlets.Unicode().tag(sync=True)
    filename = traitlets.Unicode("plot").tag(sync=True)

    @traitlets.default("library_url")  # type: ignore[untyped-decorator]
    def _default_library_url(self) -> str:
        return library_url("Plotly")

    @traitlets.observe("figure")  # type: ignore[untyped-decorator]
    def _bring_data(self, _: Any) -> None:
        if not self.csv or self.csv == self._made:
            self.csv = self._made = figure_csv(self.figure)

    _made = ""

    def follow(self, model: Any) -> Self:
        """Show a :class:`~simdeck_widgets.plot_model.PlotModel` from now on."""

        def show(_: Any = None) -> None:
            with self.hold_sync():
                self.csv, self.description, self.figure = model.csv, model.description, model.figure

        model.observe(show, ["figure", "csv", "description"])
        show()
        return self


def axis(title: str, unit: str = "", **more: Any) -> dict[str, Any]:
    """A plotly axis labelled the way journals ask: quantity / unit."""
    return {"title": {"text": f"{title} / {unit}" if unit else title}, **more}


def figure_csv(figure: dict[str, Any]) -> str:
    """The points of a figure's curves, a line each; empty where it has none."""
    frame = figure.get("layout", {})

    def title(name: str) -> str:
        said = (frame.get(name) or {}).get("title") or ""
        return str(said.get("text", "") if isinstance(said, dict) else said) or name[0]

    rows = [
        [one.get("name", ""), x, y]
        for one in figure.get("data", [])
        for x, y in zip(one.get("x") or [], one.get("y") or [], strict=False)
    ]
    return to_csv(["curve", title("xaxis"), title("yaxis")], rows) if rows else ""


def to_csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV text with a header line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
