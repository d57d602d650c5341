"""The account (tokens, a curl example, signing out) and the help page."""

from __future__ import annotations

from fastapi import APIRouter, Response

from simdeck_deck.pages.views.states import PAUSED, RUN_STATES
from simdeck_deck.pages.visit import Visiting

router = APIRouter()

SCOPES = (
    ("custom:simdeck:runs:read", "See runs, their results and files"),
    ("custom:simdeck:runs", "Also submit, cancel, pause and retry runs"),
    ("custom:simdeck:apps:read", "See apps and their installation"),
    ("custom:simdeck:apps:install", "Also install, update and remove apps"),
    ("custom:simdeck:apps:publish", "Publish apps into registries of this site that your groups may fill"),
    ("custom:simdeck:server", "Start and stop your Jupyter server"),
    ("access:services!service=deck", "Reach this service at all; every token needs it"),
)

STATES = (
    (RUN_STATES["accepted"], "It is saved and begins as soon as the workflow engine is free."),
    (RUN_STATES["running"], "It is being worked on; nothing needs to stay open."),
    (PAUSED, "It waits until you resume it."),
    (RUN_STATES["finished"], "All went well; the results are there."),
    (RUN_STATES["failed"], "It ended without its results; its page says why and what to do."),
    (RUN_STATES["cancelled"], "You stopped it."),
    (RUN_STATES["rejected"], "The workflow did not accept the inputs; nothing was computed."),
)


@router.get("/account")
async def account(
    visit: Visiting,
) -> Response:
    """Tokens, an example for scripts, signing out."""
    return visit.page(
        "account.html", here="account", scopes=SCOPES, origin=f"{visit.request.url.scheme}://{visit.request.url.netloc}"
    )


@router.get("/help")
async def help_page(
    visit: Visiting,
) -> Response:
    """How it works, in a few words."""
    return visit.page("help.html", here="help", states=STATES)
