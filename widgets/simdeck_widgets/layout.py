"""Cards, columns and the texts between them."""

from __future__ import annotations

from typing import Any

import ipywidgets
import traitlets

from simdeck_widgets.base import View, script, style


class Text(View):
    """A heading, a line of text, and optionally a main button with a sentence ``beside`` it (action ``click``)."""

    _esm = script("text")
    _css = style()
    heading = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    button = traitlets.Unicode().tag(sync=True)
    button_class = traitlets.Unicode().tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    beside = traitlets.Unicode().tag(sync=True)


def card(*children: Any, name: str = "") -> Any:
    """Put widgets in a framed card; ``name`` becomes a further CSS class."""
    return box(*children, classes=["sd-card", *([name] if name else [])])


def columns(*children: Any) -> Any:
    """Put widgets side by side; on a narrow screen one below the other."""
    return box(*children, classes=["sd-columns"])


def box(*children: Any, classes: list[str] | None = None) -> Any:
    """A plain vertical box with CSS classes."""
    made = ipywidgets.VBox(list(children))
    for name in classes or []:
        made.add_class(name)
    return made


def show(widget: Any, visible: bool) -> None:
    """Show or hide a widget; hidden ones take no room."""
    display = None if visible else "none"
    if widget.layout.display != display:
        widget.layout.display = display
