"""A page with every reusable part of the widget kit, live, with its code beside it: for those who write apps.

``examples`` (one function a part; what is shown is its own source), ``stand_in`` (runs without a service), ``page``.
"""

from __future__ import annotations

from typing import Any


def open_page() -> Any:
    """Build the gallery; returns the widget to display."""
    from simdeck_gallery.page import Gallery

    return Gallery().widget
