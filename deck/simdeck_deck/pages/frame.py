"""Rendering: the templates' environment, what every page gets, a refusal's page."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape
from simdeck_common.problems import Problem

from simdeck_deck import xsrf
from simdeck_deck.pages.views.links import Links
from simdeck_deck.pages.views.problems import problem_view
from simdeck_deck.pages.views.text import plural
from simdeck_deck.security import static_url

TEMPLATES = Path(__file__).parents[1] / "templates"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the Jinja environment: everything escaped, a misspelt variable is an error."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["plural"] = plural
    return found


@lru_cache(maxsize=1)
def _version() -> str:
    try:
        return version("simdeck")
    except PackageNotFoundError:
        return ""


def now() -> datetime:
    """Return the current time; the one clock of all pages."""
    return datetime.now(UTC)


def links_of(request: Request) -> Links:
    """Return the addresses as seen by the caller of ``request``."""
    user = getattr(request.state, "user", None)
    return Links(request.app.state.deck.settings.prefix, user.name if user is not None else "")


def is_fragment(request: Request) -> bool:
    """Say whether htmx asks for a part of a page (and not to restore a whole one from its history)."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-history-restore-request") != "true"


def page(request: Request, template: str, *, here: str = "", status: int = 200, **values: Any) -> HTMLResponse:
    """Render ``template``. ``here`` names the entry of the navigation that the page belongs to."""
    content = (
        environment()
        .get_template(template)
        .render(
            links=links_of(request),
            static=partial(static_url, request),
            xsrf=xsrf.token_for(request),
            version=_version(),
            here=here,
            looks_after=_looks_after(request),
            **{"flash": None, **values},
        )
    )
    # The same address answers htmx with a fragment and others with a page.
    return HTMLResponse(content, status_code=status, headers={"Vary": "HX-Request, Cookie"})


def _looks_after(request: Request) -> bool:
    """Say whether the caller looks after the site."""
    user = getattr(request.state, "user", None)
    return user is not None and bool(user.may("admin"))


def wants_page(request: Request) -> bool:
    """Say whether the request comes from somebody who reads: outside the API, and asking for HTML."""
    if request.url.path.startswith(request.app.state.deck.settings.prefix + "api/"):
        return False
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


def problem_page(request: Request, problem: Problem) -> HTMLResponse:
    """Render a refusal as a page of its own, with the problem's status."""
    return page(request, "problem.html", status=problem.status, problem=problem_view(problem), back=None)


def plain_text(request: Request, text: str) -> Response:
    """Answer with ``text``: as it is, or escaped for htmx, which would take it for HTML."""
    if is_fragment(request):
        return HTMLResponse(str(escape(text)))
    return PlainTextResponse(text)


def see_other(url: str) -> RedirectResponse:
    """Answer a form that was sent: go and GET ``url``, so that reloading does not send it again."""
    return RedirectResponse(url, status_code=303)
