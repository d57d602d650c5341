"""Every refusal as problem+json, whoever made it: our problems, FastAPI's input checks, the router's 404."""

from __future__ import annotations

import errno
import logging
import sqlite3
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from simdeck_common.problems import Problem
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class ProblemModel(BaseModel):
    """RFC 9457 problem details. ``code`` is stable; ``remedy`` says what to do; ``field`` where the fault is."""

    type: str = Field(examples=["urn:simdeck:problem:run-not-found"])
    code: str = Field(examples=["run-not-found"])
    title: str
    status: int
    detail: str
    remedy: str
    field: str | None = None


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """Return ``problem`` as an HTTP answer."""
    sent = dict(headers or {})
    if problem.status == 401:
        sent.setdefault("WWW-Authenticate", 'Bearer realm="simdeck"')
    return JSONResponse(problem.to_json(), status_code=problem.status, media_type=MEDIA_TYPE, headers=sent)


def problem_of_validation(error: RequestValidationError) -> Problem:
    """Return the first fault FastAPI found in a request as our problem: unreadable JSON is 400, a wrong value 422."""
    first: dict[str, Any] = dict(error.errors()[0])
    place = [str(part) for part in first.get("loc", ())]
    if first.get("type") == "json_invalid":
        return Problem("bad-request", detail="The body is not valid JSON.")
    field = ".".join(place[1:]) or (place[0] if place else "body")
    return Problem("invalid-input", field=field, detail=f"{field}: {first.get('msg', 'not valid')}.")


def problem_of_http(error: HTTPException) -> Problem:
    """Return the problem that stands for a bare HTTP error."""
    code = {404: "not-found", 405: "method-not-allowed", 401: "not-signed-in"}.get(error.status_code)
    if code is not None:
        return Problem(code)
    problem = Problem("bad-request" if error.status_code < 500 else "unexpected")
    problem.status = error.status_code
    return problem


def headers_of_http(request: Request, error: HTTPException) -> dict[str, str]:
    """Return the headers of the answer to a bare HTTP error.

    ``Allow`` names the methods of all routes at that path; the router knows those of the first one alone.
    """
    headers = dict(error.headers or {})
    if error.status_code == 405:
        routes = request.app.router.routes
        scopes = {method: {**request.scope, "method": method} for method in _METHODS}
        here = {name for name, scope in scopes.items() if any(one.matches(scope)[0] is Match.FULL for one in routes)}
        headers["Allow"] = ", ".join(sorted(here))
    return headers


def no_room(error: BaseException) -> bool:
    """Say whether an error means that the disk, or the user's share of it, is full."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def install(app: FastAPI) -> None:
    """Have ``app`` answer every error as problem+json."""

    async def on_problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return problem_response(error)

    async def on_validation(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(problem_of_validation(error))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem_response(problem_of_http(error), headers_of_http(request, error))

    async def on_bug(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem_response(Problem("disk-full" if no_room(error) else "unexpected"))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_bug)
