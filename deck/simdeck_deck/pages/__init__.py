"""The deck's pages: server-rendered, live through htmx and Server-Sent Events, whole without JavaScript.

``router`` is mounted at the deck's prefix. One module per visit (``home``, ``store``, ``installing``, ``runs``,
``run_new``, ``run_again``, ``run_sets``, ``run_diff``, ``run_delete``, ``opening``, ``resources``, ``servers``,
``sharing``, ``sharing_apps``, ``account``) fetches and decides; ``views`` turns what it gets
into what a template shows; ``frame`` renders.
"""

from fastapi import APIRouter

from simdeck_deck.pages import (
    account,
    admin,
    disk,
    home,
    installing,
    opening,
    resources,
    run_again,
    run_delete,
    run_diff,
    run_new,
    run_sets,
    runs,
    servers,
    sharing,
    sharing_apps,
    store,
)

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
# What has routes below a run comes before the runs, whose last route takes any action of a run.
OF_RUNS = (sharing, run_new, run_again, run_sets, run_diff, run_delete, runs)
for part in (home, store, sharing_apps, installing, *OF_RUNS, opening, resources, servers, account, admin, disk):
    router.include_router(part.router)
