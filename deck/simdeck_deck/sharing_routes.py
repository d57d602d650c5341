"""``/shares`` (the caller's own) and ``/shared`` (what others share with the caller, read-only)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from simdeck_agent.api.parts import content, refusals
from simdeck_agent.api.sharing import SharedRun
from simdeck_agent.shares import Received, ShareRequest

from simdeck_deck.auth import SessionUser, current_user, scoped
from simdeck_deck.sharing import SharedApp, ShareView, Sharing, split_link

if TYPE_CHECKING:
    from simdeck_deck.app import Deck

router = APIRouter(tags=["shares"])
User = Annotated[SessionUser, Depends(current_user)]


class Shares(BaseModel):
    """The caller's shares, newest first."""

    items: list[ShareView]


class ReceivedShares(BaseModel):
    """What others share with the caller, newest first."""

    items: list[Received]


class LinkRequest(BaseModel):
    """A link that somebody gave the caller."""

    model_config = ConfigDict(extra="forbid", strict=True)

    link: str = Field(max_length=2000, description="The whole link, or what stands behind `shared/` in it.")


def sharing_of(request: Request) -> Sharing:
    """FastAPI dependency: the deck's part for sharing."""
    deck: Deck = request.app.state.deck
    return deck.sharing


Part = Annotated[Sharing, Depends(sharing_of)]


@router.get("/shares", **scoped("runs:read"))
async def list_shares(user: User, sharing: Part) -> Shares:
    """List what the caller shares, with the links and who has opened them."""
    return Shares(items=await sharing.mine(user))


@router.post("/shares", status_code=201, responses=refusals(404, 422), **scoped("runs"))
async def create_share(wanted: ShareRequest, user: User, sharing: Part) -> ShareView:
    """Share a run, read-only, or a version of an app, or an app that opens with the run, by the link in the answer.

    The app comes from the store, for those whom the store offers it to; they open it without installing it.
    """
    return await sharing.create(user, wanted)


@router.get("/shares/{share}", responses=refusals(404), **scoped("runs:read"))
async def get_share(share: str, user: User, sharing: Part) -> ShareView:
    """Show one share of the caller's."""
    return await sharing.one(user, share)


@router.delete("/shares/{share}", responses=refusals(404), **scoped("runs"))
async def revoke_share(share: str, user: User, sharing: Part) -> ShareView:
    """End a share now; its link opens nothing any more."""
    return await sharing.revoke(user, share)


@router.get("/shared", **scoped("runs:read"))
async def list_shared(user: User, sharing: Part) -> ReceivedShares:
    """List what others share with the caller, as far as the caller has opened the links."""
    return ReceivedShares(items=await sharing.received(user))


@router.post("/shared", status_code=201, responses=refusals(404, 410), **scoped("runs"))
async def open_link(body: LinkRequest, user: User, sharing: Part) -> Received:
    """Open a link: what it leads to is on the caller's list from then on."""
    ticket, key = split_link(body.link)
    return await sharing.claim(user, ticket, key)


@router.get("/shared/{ticket}", responses=refusals(404, 410), **scoped("runs:read"))
async def get_shared(ticket: str, user: User, sharing: Part) -> SharedRun:
    """Show a run that somebody shares with the caller."""
    return SharedRun.model_validate(await sharing.read(user, ticket, "run"))


@router.delete("/shared/{ticket}", status_code=204, responses=refusals(404, 410), **scoped("runs"))
async def forget_shared(ticket: str, user: User, sharing: Part) -> Response:
    """Take it off the caller's list; the link opens it again."""
    await sharing.forget(user, ticket)
    return Response(status_code=204)


@router.get("/shared/{ticket}/app", responses=refusals(404, 410), **scoped("runs:read"))
async def get_shared_app(ticket: str, user: User, sharing: Part) -> SharedApp:
    """Show the app that somebody shares with the caller, and whether it can be opened at once."""
    return await sharing.app(user, ticket)


@router.post("/shared/{ticket}/app", status_code=202, responses=refusals(403, 404, 409, 410), **scoped("apps:install"))
async def prepare_shared_app(ticket: str, user: User, sharing: Part) -> SharedApp:
    """Make the shared version of the app ready to be opened, without installing it.

    Follow `task` at `/tasks/{id}/events`. Open it at `/user/<name>/deck/<app>@<version>/`, with `?run=<ticket>` for the
    run that is shared with it. It goes when the share is over.
    """
    return await sharing.prepare(user, ticket)


@router.get("/shared/{ticket}/inputs", responses=refusals(404, 410), **scoped("runs:read"))
async def get_shared_inputs(ticket: str, user: User, sharing: Part) -> dict[str, Any]:
    """Return the shared run's inputs by name."""
    return await sharing.read(user, ticket, "inputs")


@router.get("/shared/{ticket}/outputs", responses=refusals(404, 410), **scoped("runs:read"))
async def get_shared_outputs(ticket: str, user: User, sharing: Part) -> dict[str, Any]:
    """Return the shared run's outputs by name."""
    return await sharing.read(user, ticket, "outputs")


@router.get("/shared/{ticket}/files", responses=refusals(404, 410), **scoped("runs:read"))
async def list_shared_files(ticket: str, user: User, sharing: Part) -> dict[str, Any]:
    """List the shared run's files."""
    return await sharing.read(user, ticket, "files")


@router.get(
    "/shared/{ticket}/files/{path:path}",
    response_class=Response,
    responses=content("*/*") | refusals(404, 410),
    **scoped("runs:read"),
)
async def get_shared_file(ticket: str, path: str, user: User, sharing: Part) -> Response:
    """Download one of the shared run's files."""
    return await sharing.stream(user, ticket, "files/" + path)


@router.get(
    "/shared/{ticket}/archive",
    response_class=Response,
    responses=content("application/zip") | refusals(404, 410),
    **scoped("runs:read"),
)
async def get_shared_archive(ticket: str, user: User, sharing: Part) -> Response:
    """Download everything of the shared run as a zip."""
    return await sharing.stream(user, ticket, "archive")
