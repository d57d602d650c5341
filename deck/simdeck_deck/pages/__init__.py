"""The deck's pages: server-rendered, live through htmx and Server-Sent Events, whole without JavaScript.

``router`` is mounted at the deck's prefix. One module per visit (``home``, ``store``, ``installing``, ``runs``,
``opening``, ``resources``, ``servers``, ``sharing``, ``account``) fetches and decides; ``views`` turns what it gets
into what a template shows; ``frame`` renders.
"""

from fastapi import APIRouter

from simdeck_deck.pages import account, admin, disk, home, installing, opening, resources, runs, servers, sharing, store

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
# Sharing before the runs, whose last route takes any action of a run.
for part in (home, store, installing, sharing, runs, opening, resources, servers, account, admin, disk):
    router.include_router(part.router)
