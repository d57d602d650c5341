"""One visit to a page: who comes, what they may do, what the page can ask, and how it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from simdeck_common.problems import Problem

from simdeck_deck.auth import SessionUser, require_user
from simdeck_deck.pages import frame
from simdeck_deck.pages.binding import get_sources
from simdeck_deck.pages.sources import AgentSource, FactsSource, ServerSource, ServersSource, Sources, StoreSource
from simdeck_deck.pages.views.links import Links


@dataclass(frozen=True)
class Visit:
    """A signed-in request with the sources of its user. ``fragment``: htmx wants a part of the page."""

    request: Request
    user: SessionUser
    agent: AgentSource
    store: StoreSource
    server: ServerSource
    servers: ServersSource
    facts: FactsSource
    links: Links
    fragment: bool

    def page(self, template: str, *, here: str = "", status: int = 200, **values: Any) -> HTMLResponse:
        """Render ``template``; ``here`` names the entry of the navigation that the page belongs to."""
        return frame.page(self.request, template, here=here, status=status, **values)

    def need(self, scope: str) -> None:
        """Refuse (403 ``missing-scope``) when the session may not do ``scope`` (short) stands for, as the API."""
        if not self.user.may(scope):
            raise Problem("missing-scope", scope=scope)


def _visit(
    request: Request, user: SessionUser = Depends(require_user), sources: Sources = Depends(get_sources)
) -> Visit:
    return Visit(
        request,
        user,
        sources.agent,
        sources.store,
        sources.server,
        sources.servers,
        sources.facts,
        frame.links_of(request),
        frame.is_fragment(request),
    )


Visiting = Annotated[Visit, Depends(_visit)]
