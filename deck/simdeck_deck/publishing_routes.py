"""``/registries`` (those that the caller may publish into) and ``/publications`` (what the caller published)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, Field
from simdeck_agent import sse
from simdeck_agent.api.parts import EVENT_STREAM, refusals
from simdeck_appstore.publishing import Incoming
from simdeck_common.problems import Problem
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import StreamingResponse

from simdeck_deck.auth import SessionUser, current_user, scoped
from simdeck_deck.publications import Publication, Publications, manifest_of

if TYPE_CHECKING:
    from simdeck_deck.app import Deck

router = APIRouter(tags=["publishing"])
User = Annotated[SessionUser, Depends(current_user)]
SCOPE = "apps:publish"


class OpenRegistry(BaseModel):
    """A registry that the caller may publish into; ``source`` is its folder on the service's machine."""

    name: str
    source: str


class OpenRegistries(BaseModel):
    """All of them, in the site's order."""

    items: list[OpenRegistry]


class PublicationList(BaseModel):
    """The caller's publications, newest first."""

    items: list[Publication]


class PublicationBody(BaseModel):
    """The two parts of the form."""

    release: bytes = Field(json_schema_extra={"format": "binary"}, description="The wheel.")
    manifest: str = Field(description="The JSON file that `simdeck app publish` writes beside it.")


def publications_of(request: Request) -> Publications:
    """FastAPI dependency: the deck's part for publishing."""
    deck: Deck = request.app.state.deck
    return deck.publications


Part = Annotated[Publications, Depends(publications_of)]


@router.get("/registries", **scoped(SCOPE))
async def list_open_registries(user: User, publications: Part) -> OpenRegistries:
    """List the registries of the site that the caller may publish into."""
    found = publications.open_to(user.groups)
    return OpenRegistries(items=[OpenRegistry(name=one.name, source=str(one.source)) for one in found])


def _described() -> dict[str, Any]:
    declared = scoped(SCOPE)
    schema = PublicationBody.model_json_schema()
    declared["openapi_extra"]["requestBody"] = {
        "required": True,
        "content": {"multipart/form-data": {"schema": schema}},
    }
    return declared


@router.post(
    "/registries/{registry}/releases", status_code=202, responses=refusals(400, 403, 404, 409, 422), **_described()
)
async def publish_release(
    registry: str,
    request: Request,
    response: Response,
    user: User,
    publications: Part,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Publication:
    """Send a release: it is looked into, then the registry is built with it and signed with the service's key.

    The same `Idempotency-Key` and release give the same publication.
    """
    receiver = publications.receiver(registry, user.groups)
    room = await run_in_threadpool(publications.room)
    kept = False
    try:
        # Read by hand: what nobody may send is not taken in.
        async with request.form(max_files=1, max_fields=2) as form:
            sent, text = form.get("release"), form.get("manifest")
            if not isinstance(sent, UploadFile):
                raise Problem("invalid-input", field="release", detail="The form has no file called release.")
            if not isinstance(text, str):
                text = (await text.read()).decode("utf-8", "replace") if isinstance(text, UploadFile) else ""
            manifest = manifest_of(text)
            incoming = Incoming(room / manifest.file.name, manifest)
            await run_in_threadpool(_keep, sent, incoming.file)
        made, kept = await run_in_threadpool(publications.accept, user.name, receiver, incoming, idempotency_key)
    finally:
        if not kept:
            await run_in_threadpool(shutil.rmtree, room, ignore_errors=True)
    if kept:
        publications.begin(made)
    response.headers["Location"] = f"/publications/{made.id}"
    return made


def _keep(sent: UploadFile, target: Path) -> None:
    with target.open("xb") as stream:
        shutil.copyfileobj(sent.file, stream)


@router.get("/publications", **scoped(SCOPE))
async def list_publications(user: User, publications: Part) -> PublicationList:
    """List what the caller has published, newest first."""
    return PublicationList(items=await run_in_threadpool(publications.mine, user.name))


@router.get("/publications/{publication}", responses=refusals(404), **scoped(SCOPE))
async def get_publication(publication: str, user: User, publications: Part) -> Publication:
    """Show how far a publication is."""
    return await run_in_threadpool(publications.one, user.name, publication)


@router.get(
    "/publications/{publication}/events",
    response_class=StreamingResponse,
    responses=EVENT_STREAM | refusals(400, 404),
    **scoped(SCOPE),
)
async def publication_events(publication: str, request: Request, user: User, publications: Part) -> StreamingResponse:
    """Follow a publication: `step` and `state` events, then `end`."""
    after = sse.last_event_id(request)
    await run_in_threadpool(publications.one, user.name, publication)

    async def end() -> dict[str, Any]:
        made = await run_in_threadpool(publications.one, user.name, publication)
        return {"state": made.state, "problem": made.problem}

    deck: Deck = request.app.state.deck
    return sse.response(sse.stream(publications.events(user.name, publication, after), end, deck.closing))
