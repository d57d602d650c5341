"""Pages made of anywidgets in boxes need no JupyterLab in the browser: their state goes into the page, and 10 kB of
script
draws it and speaks to the kernel. Everything else is shown by Voilà's own front end. Here: which is which, and the
state."""

from __future__ import annotations

from typing import Any

VIEW = "application/vnd.jupyter.widget-view+json"
BOXES = frozenset({"VBoxModel", "HBoxModel", "BoxModel"})


def supported(state: dict[str, Any]) -> bool:
    """Whether the light front end draws this model."""
    name, module = state.get("_model_name"), state.get("_model_module")
    if module == "anywidget":
        return name == "AnyModel" and isinstance(state.get("_esm"), str) and not state["_esm"].startswith("http")
    if module == "@jupyter-widgets/base":
        return name == "LayoutModel"
    return module == "@jupyter-widgets/controls" and name in BOXES


def roots(cells: list[Any]) -> list[str] | None:
    """The widgets that the cells display, in order; None where a cell shows anything else."""
    found = []
    for cell in cells:
        if cell.cell_type != "code":
            return None
        for output in cell.outputs:
            if output.output_type == "stream":
                continue
            view = (
                output.get("data", {}).get(VIEW) if output.output_type in {"display_data", "execute_result"} else None
            )
            if not view:
                return None
            found.append(str(view["model_id"]))
    return found


def page_state(models: dict[str, dict[str, Any]], shown: list[str]) -> dict[str, Any] | None:
    """What the light front end needs, each script and style once; None where it cannot draw the page."""
    if not shown or any(root not in models for root in shown) or not all(map(supported, models.values())):
        return None
    texts: dict[str, int] = {}
    packed = {}
    for name, state in models.items():
        small = dict(state)
        for key in ("_esm", "_css"):
            if isinstance(small.get(key), str):
                small[key] = texts.setdefault(small[key], len(texts))
        packed[name] = {"state": small}
    return {"models": packed, "texts": list(texts), "roots": shown}
