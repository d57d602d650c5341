"""A table of results with units."""

from __future__ import annotations

from typing import Any

import traitlets

from simdeck_widgets.base import View, script, style


class ResultTable(View):
    """Shows ``rows`` (dicts) under ``columns``.

    A column is ``{"key", "title", "unit"?, "number"?: bool, "header"?: bool, "wrap"?: bool}``. A row with a true
    ``<key>_flag`` has that cell marked. With ``selectable`` a click or the arrow keys set ``selected`` (−1: none).
    """

    _esm = script("table")
    _css = style()
    columns = traitlets.List().tag(sync=True)
    rows = traitlets.List().tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    empty = traitlets.Unicode("Nothing to show.").tag(sync=True)
    selectable = traitlets.Bool(False).tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)


def column(key: str, title: str, unit: str = "", **more: Any) -> dict[str, Any]:
    """Describe a column."""
    return {"key": key, "title": title, "unit": unit, **more}
