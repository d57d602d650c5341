"""The app's page. :func:`open_page` is all the notebook calls.

``structures`` (what a person chose) and ``model`` (the state of the page) know no widget; ``results`` turns a run's
outputs
into rows and figures; ``page`` and ``result_view`` put widgets on the screen. ASE and RDKit are imported when first
needed.
"""

from __future__ import annotations

from typing import Any


def open_page() -> Any:
    """Build the page for the run named in the page's address, if any; returns the widget to display."""
    from simdeck_molecule.ui.page import Page

    page = Page.from_environment()
    return page.widget
