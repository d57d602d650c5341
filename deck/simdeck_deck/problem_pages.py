"""Errors for people: ``templates/problem.html``, with a plain page in its stead where it cannot be rendered."""

from __future__ import annotations

import html
import importlib
import logging

from fastapi import Request
from simdeck_common.problems import Problem
from starlette.responses import HTMLResponse, Response

log = logging.getLogger(__name__)


def wants_page(request: Request) -> bool:
    """Say whether the request comes from somebody who reads: outside the API, and asking for HTML."""
    if request.url.path.startswith(request.app.state.deck.settings.prefix + "api/"):
        return False
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


def problem_page(request: Request, problem: Problem) -> Response:
    """Return ``problem`` as a page: that of ``simdeck_deck.pages.problem_page(request, problem)``, or a plain one."""
    try:
        render = getattr(importlib.import_module("simdeck_deck.pages"), "problem_page", None)
        if render is not None:
            response: Response = render(request, problem)
            return response
    except Exception:
        log.exception("The problem page cannot be rendered")
    home = html.escape(request.app.state.deck.settings.prefix)
    title, detail, remedy = (html.escape(text) for text in (problem.title, problem.detail, problem.remedy))
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<h1>{title}</h1><p>{detail}</p><p>{remedy}</p><p><a href="{home}">Back to the deck</a></p></html>',
        status_code=problem.status,
    )
