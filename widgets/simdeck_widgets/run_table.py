"""Recent runs, to reopen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import traitlets

from simdeck_widgets.base import View, script, style
from simdeck_widgets.run_list import RunListModel


class RunTable(View):
    """Lists ``runs`` (``{"id", "title", "state", "created", "headline"}``).

    Actions: ``open`` (``run``) and ``refresh``.
    """

    _esm = script("runs")
    _css = style()
    runs = traitlets.List().tag(sync=True)
    title = traitlets.Unicode("Recent runs").tag(sync=True)
    headline = traitlets.Unicode("Result").tag(sync=True)
    current = traitlets.Unicode().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    loaded = traitlets.Bool(False).tag(sync=True)

    def fill(self, runs: list[dict[str, Any]], headline: str) -> None:
        """Show API runs; ``headline`` names the entry of their summary to show."""
        with self.hold_sync():
            self.error = ""
            self.runs = [row(run, headline) for run in runs]
            self.loaded = True

    def follow(self, model: RunListModel, headline: Callable[[], str]) -> None:
        """Show a list of runs from now on; ``headline`` names the entry of their summary to show."""
        model.observe(lambda _: self.fill(model.runs, headline()), ["runs"])
        model.observe(lambda _: setattr(self, "error", model.error), ["error"])


def row(run: dict[str, Any], headline: str) -> dict[str, Any]:
    """One line of the list."""
    result = (run.get("summary") or {}).get(headline) or {}
    value = result.get("value") if isinstance(result, dict) else None
    text = ""
    if isinstance(value, int | float):
        text = f"{value:.4f} {result.get('unit') or ''}".strip().replace("-", "−")
    return {**{k: run.get(k) for k in ("id", "title", "state", "created")}, "headline": text}
