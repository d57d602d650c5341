"""The Jupyter server's state, as the deck shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.states import StateView, server_state
from simdeck_deck.pages.views.text import ago, text_of


@dataclass(frozen=True)
class ServerView:
    """``message`` is the last line of a start; ``lab_url`` opens JupyterLab once the server runs."""

    state: StateView
    since: str
    message: str
    lab_url: str
    can_start: bool
    can_stop: bool


def server_view(server: Mapping[str, Any] | None, links: Links, now: datetime) -> ServerView:
    """Build the server's view; ``None`` (the hub did not answer) shows as not known, with nothing to press."""
    state = server_state(server or {})
    return ServerView(
        state=state,
        since=ago((server or {}).get("started"), now) if state.key == "running" else "",
        message=text_of(server or {}, "message"),
        lab_url=links.lab,
        can_start=state.key == "stopped",
        can_stop=state.key in ("running", "starting"),
    )
