"""What every view of the kit stands on: its script and style, and the library scripts it may ask for."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
import traitlets

STATIC = Path(__file__).with_name("static")
VENDOR = STATIC / "vendor"
LIBRARIES = {"$3Dmol": "3Dmol-min.js", "Plotly": "plotly-basic.min.js"}
"""Global name in the page → file in ``static/vendor``, which `make up` copies from the npm packages."""


@cache
def script(name: str) -> str:
    """The kit's shared functions and the script ``name``, as one module."""
    return (STATIC / "common.js").read_text() + "\n" + (STATIC / f"{name}.js").read_text()


@cache
def style() -> str:
    return (STATIC / "kit.css").read_text()


def library_url(name: str) -> str:
    """Address of a library script below the page's static files;

    Empty outside a Simdeck page (then the comm brings it).
    """
    base = os.environ.get("SIMDECK_STATIC_URL", "")
    return f"{base.rstrip('/')}/vendor/{LIBRARIES[name]}" if base else ""


class View(anywidget.AnyWidget):  # type: ignore[misc]
    """A view: traits are its whole interface, and what a person does arrives as named actions.

    Parameters
    ----------
    on
        Action name → function that gets the message (a dict) and its binary buffers.
    """

    css_class = traitlets.Unicode("").tag(sync=True)

    def __init__(self, *, on: dict[str, Callable[..., Any]] | None = None, **traits: Any) -> None:
        self._actions = dict(on or {})
        super().__init__(**traits)
        self.on_msg(self._heard)

    def when(self, action: str, call: Callable[..., Any]) -> None:
        """Have ``call(message, buffers)`` called at ``action``."""
        self._actions[action] = call

    def _heard(self, _: Any, message: Any, buffers: list[memoryview]) -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "library":
            self._send_library(str(message.get("name")))
        elif kind in self._actions:
            self._actions[kind](message, buffers)

    def _send_library(self, name: str) -> None:
        """Bring a library script through the comm, where no address serves it."""
        path = VENDOR / LIBRARIES[name] if name in LIBRARIES else None
        try:
            data = path.read_bytes() if path is not None else b""
        except OSError:
            data = b""
        answer: dict[str, Any] = {"type": "library", "name": name}
        if data:
            self.send(answer, buffers=[data])
        else:
            self.send({**answer, "error": f"{name} is not installed"})
