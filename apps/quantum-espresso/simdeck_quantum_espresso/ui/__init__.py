"""The app's page, a wizard. :func:`open_page` is all the notebook calls.

``crystals`` (what a person chose) and ``model`` (the state of the page) know no widget; ``texts`` says what the page
says; ``page`` and ``result_view`` put widgets on the screen.
"""

from __future__ import annotations

from typing import Any


def open_page() -> Any:
    """Build the page for the run named in the page's address, if any; returns the widget to display."""
    from simdeck_quantum_espresso.ui.page import Page

    return Page.from_environment().widget
