"""``/store``: the apps on offer, and the pictures of the registry."""

from __future__ import annotations

import mimetypes
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from simdeck_agent.api.parts import content, refusals
from starlette.concurrency import run_in_threadpool

from simdeck_deck.auth import SessionUser, current_user, scoped
from simdeck_deck.store import StoreApp, StoreList

if TYPE_CHECKING:
    from simdeck_deck.app import Deck

router = APIRouter(tags=["store"])
User = Annotated[SessionUser, Depends(current_user)]


@router.get("/store", responses=refusals(503), **scoped("apps:read"))
async def list_store(
    request: Request,
    user: User,
    q: Annotated[str, Query(max_length=200, description="Words that must all occur.")] = "",
    category: Annotated[str | None, Query(max_length=100)] = None,
    method: Annotated[str | None, Query(max_length=100)] = None,
    code: Annotated[str | None, Query(max_length=100, description="A simulation code the app needs.")] = None,
) -> StoreList:
    """List the apps on offer, best match first, with the version the caller has installed."""
    found: StoreList = await _deck(request).store.list(user.name, q, category, method, code)
    return found


@router.get("/store/{app}", responses=refusals(404, 503), **scoped("apps:read"))
async def get_store_app(app: str, request: Request, user: User) -> StoreApp:
    """Show one app on offer, with its releases, pictures and citations."""
    found: StoreApp = await _deck(request).store.app(user.name, app)
    return found


@router.get(
    "/store/files/{path:path}",
    response_class=Response,
    responses=content("*/*") | refusals(404),
    **scoped("apps:read"),
)
async def get_store_file(path: str, request: Request, user: User) -> Response:
    """Return a logo or a screenshot. Its address holds its content's hash, so it never changes."""
    found = await run_in_threadpool(_deck(request).store.seen_by(user.name).content, "files/" + path)
    kind = mimetypes.guess_type(path)[0] or ""
    if not kind.startswith("image/"):
        kind = "application/octet-stream"
    return Response(found, media_type=kind, headers={"Cache-Control": "private, max-age=31536000, immutable"})


def _deck(request: Request) -> Deck:
    deck: Deck = request.app.state.deck
    return deck
