"""The deck service put together: login, pages, REST API, static files; and the agents' launcher beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from simdeck_agent.launcher import BaseLauncher, make_launcher
from simdeck_agent.problem_answers import headers_of_http, problem_of_http, problem_of_validation, problem_response
from simdeck_appstore.audit import NAME, Audit
from simdeck_appstore.registries import Registries
from simdeck_common.problems import Problem
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from simdeck_deck import (
    admin_routes,
    hpcwaas,
    login,
    openapi,
    pages,
    proxy,
    publishing_routes,
    server_routes,
    servers_routes,
    store_routes,
)
from simdeck_deck.agents import Agents
from simdeck_deck.auth import Auth, LoginNeededError, scoped
from simdeck_deck.choices import Choices
from simdeck_deck.hub_api import HubAPI
from simdeck_deck.hub_servers import HubServers
from simdeck_deck.keys import Keys
from simdeck_deck.limits import RequestLimit
from simdeck_deck.office import Office
from simdeck_deck.pages.frame import problem_page, wants_page
from simdeck_deck.publications import Publications, read_receivers
from simdeck_deck.scopes import OPEN
from simdeck_deck.security import STATIC, SecurityHeaders
from simdeck_deck.settings import DeckSettings
from simdeck_deck.sharing import Sharing
from simdeck_deck.sharing_routes import router as sharing_router
from simdeck_deck.store import Store
from simdeck_deck.trail import Trail
from simdeck_deck.usage import Usage

log = logging.getLogger(__name__)

WATCH_SECONDS = 2.0


@dataclass
class Deck:
    """The service's parts; pages and routes find it at ``request.app.state.deck``."""

    settings: DeckSettings
    keys: Keys
    auth: Auth
    agents: Agents
    office: Office
    hub: HubAPI
    registries: Registries
    store: Store
    servers: HubServers
    usage: Usage
    sharing: Sharing
    publications: Publications
    closing: asyncio.Event = field(default_factory=asyncio.Event)


def make_deck(settings: DeckSettings, launcher: BaseLauncher | None = None) -> Deck:
    """Return the parts that ``settings`` ask for."""
    keys = Keys.load(settings.data)
    agents = Agents(launcher or make_launcher(settings.agent_settings_file, settings.agent_settings))
    offered = settings.agent_settings
    registries = Registries(offered.registries or [settings.registry], settings.data / "deck" / "trust", offered.apps)
    auth = Auth(settings, keys)
    audit = Audit(settings.data / NAME)
    agents.trail = Trail(audit, agents)
    auth.heard = lambda user: agents.hear_groups(user.name, user.groups)
    hub = HubAPI(settings.api_url)
    usage = Usage(settings.data / "deck", keys)
    store = Store(registries, agents, settings.api_prefix + "/store/", usage)
    return Deck(
        settings=settings,
        keys=keys,
        auth=auth,
        agents=agents,
        office=Office(registries, audit, offered),
        hub=hub,
        usage=usage,
        sharing=Sharing(agents, keys, settings.prefix),
        publications=Publications(settings.data / "deck", read_receivers(settings.data / "deck"), audit),
        registries=registries,
        store=store,
        servers=HubServers(hub, Choices(settings.data / "deck"), registries),
    )


def create_app(deck: Deck, *, watch_seconds: float = WATCH_SECONDS) -> FastAPI:
    """Return the web application.

    Raises
    ------
    ValueError
        A route of the API declares no scope.
    """
    settings = deck.settings

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        beside = asyncio.create_task(_look_after_agents(deck.agents.launcher, watch_seconds))
        if deck.agents.trail is not None:
            await deck.agents.trail.resume()
        await deck.publications.start()
        try:
            yield
        finally:
            beside.cancel()
            await deck.publications.close()
            if deck.agents.trail is not None:
                deck.agents.trail.close()
            await deck.agents.close()
            await deck.hub.close()
            deck.servers.choices.close()
            deck.usage.close()

    app = FastAPI(title="Simdeck", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.deck = deck
    app.add_middleware(RequestLimit, limit=settings.max_request_bytes)
    app.add_middleware(SecurityHeaders, prefix=settings.prefix)
    _answer_errors(app)

    own = [
        server_routes.router,
        servers_routes.router,
        store_routes.router,
        sharing_router,
        publishing_routes.router,
        admin_routes.router,
        _documents(),
    ]
    app.state.openapi = openapi.document(own, version("simdeck"), settings.api_prefix, settings.hub_prefix + "token")
    for router in own:
        app.include_router(router, prefix=settings.api_prefix)
    app.router.routes.extend(proxy.routes(deck))
    app.mount(settings.hpcwaas_prefix, hpcwaas.make(deck, settings.hpcwaas_prefix))
    # Below the API nothing else answers: an unknown address there is a problem+json 404 for whoever asks.
    base = settings.prefix.rstrip("/")
    app.include_router(login.router, prefix=base)
    app.include_router(pages.router, prefix=base)
    if STATIC.is_dir():
        app.mount(settings.prefix + "static", StaticFiles(directory=STATIC), name="static")
    app.add_api_route(base, _to_home, include_in_schema=False)
    return app


def _documents() -> APIRouter:
    router = APIRouter(tags=["documents"])

    @router.get("/openapi.json", **scoped(OPEN))
    async def get_openapi(request: Request) -> dict[str, Any]:
        """Return this document."""
        made: dict[str, Any] = request.app.state.openapi
        return made

    return router


async def _to_home(request: Request) -> Response:
    return RedirectResponse(request.app.state.deck.settings.prefix)


async def _look_after_agents(launcher: BaseLauncher, interval: float) -> None:
    while True:
        try:
            await launcher.start_active()
            await launcher.watch(interval)
        except Exception:
            log.exception("Looking after the agents failed; it is begun anew")
        await asyncio.sleep(interval)


def _answer_errors(app: FastAPI) -> None:
    """Answer every error as problem+json, or as a page where one was asked for; without session, with the login."""

    def answer(request: Request, problem: Problem, headers: dict[str, str] | None = None) -> Response:
        if wants_page(request):
            return problem_page(request, problem)
        return problem_response(problem, headers)

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return answer(request, error)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(request, problem_of_validation(error))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return answer(request, problem_of_http(error), headers_of_http(request, error))

    async def on_bug(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return answer(request, Problem("unexpected"))

    async def on_login_needed(request: Request, _: Exception) -> Response:
        response = login.login_redirect(request)
        request.app.state.deck.auth.end_session(response)
        return response

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(LoginNeededError, on_login_needed)
    app.add_exception_handler(Exception, on_bug)
