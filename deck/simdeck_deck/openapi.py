"""One OpenAPI document of the whole API: the agent's routes and the deck's own, sign-in and refusals."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRouter
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from simdeck_agent import api
from simdeck_agent.api.parts import SCOPE_KEY
from simdeck_agent.problem_answers import MEDIA_TYPE, ProblemModel

from simdeck_deck import scopes, xsrf

_SCHEMAS = "#/components/schemas/{model}"
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_EVERYWHERE = {
    "401": "Neither a valid token nor a session",
    "403": "The token lacks the scope, or the XSRF token is wrong",
    "503": "The hub, the agent or the worker does not answer; the same request may work in a moment",
}

_OF_CHANGES = {"507": "The disk is full; nothing was changed"}
_OF_PARAMETERS = {"422": "A value is not valid; `field` names it"}
_OF_BODIES = {"400": "The request cannot be read", "413": "The request is too large", **_OF_PARAMETERS}


def document(own: list[APIRouter], version: str, api_prefix: str, token_url: str) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    own
        The deck's own routers, without prefix.
    version
        Simdeck's version.
    api_prefix
        Where the API is served, for ``servers``.
    token_url
        Where people make tokens.

    Raises
    ------
    ValueError
        A route declares no scope.
    """
    app = FastAPI(title="Simdeck", version=version)
    for router in (*own, *api.ROUTERS):
        app.include_router(router)
    made = app.openapi()
    made["info"]["description"] = (
        "Apps, workflow runs and the Jupyter server of the caller. There is no user name in any path: a token reaches "
        f"its owner's things only. Make tokens at {token_url}. Every error is problem+json (RFC 9457)."
    )
    made["servers"] = [{"url": api_prefix}]
    components = _with_problem(made)
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A JupyterHub token; `Authorization: token …` works too.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "simdeck-session",
            "description": f"The browser's session; unsafe methods also need the header `{xsrf.HEADER}`.",
        },
    }
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            if method in _METHODS:
                _finish(operation, f"{method.upper()} {path}")
    return made


def _finish(operation: dict[str, Any], name: str) -> None:
    """Add security and refusals to one operation."""
    scope = operation.get(SCOPE_KEY)
    if scope not in scopes.DECLARABLE:
        raise ValueError(f"{name} declares no scope.")
    if scope == scopes.OPEN:
        operation["security"] = []
    else:
        operation["security"] = [{"token": []}, {"session": []}]
        if scope != scopes.SIGNED_IN:
            operation["description"] = f"{operation.get('description', '')}\n\nScope: `{scopes.PREFIX}{scope}`.".strip()
        refuse(operation, _EVERYWHERE)
    if not name.startswith("GET "):
        refuse(operation, _OF_CHANGES)
    if operation.get("requestBody"):
        refuse(operation, _OF_BODIES)
    if operation.get("parameters"):
        refuse(operation, _OF_PARAMETERS)
    as_problems(operation)


def refuse(operation: dict[str, Any], statuses: dict[str, str]) -> None:
    """Add refusals to one operation, where it does not say more of them itself."""
    for status, words in statuses.items():
        operation["responses"].setdefault(status, {"description": words})


def as_problems(operation: dict[str, Any]) -> None:
    """Say of all refusals of one operation that they are problem+json."""
    for status, response in operation["responses"].items():
        if status.startswith(("4", "5")):
            response.setdefault("description", "Refused")
            response["content"] = _PROBLEM


def _with_problem(made: dict[str, Any]) -> dict[str, Any]:
    """Put our problems in the place of FastAPI's own models of errors; return the document's components."""
    components: dict[str, Any] = made.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError", "ProblemModel"):
        schemas.pop(unused, None)
    schemas["Problem"] = ProblemModel.model_json_schema(ref_template=_SCHEMAS)
    return components


def of_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return what describes a body that the operation reads by itself, whatever its content type says."""
    return {
        "requestBody": {"content": {"application/json": {"schema": {"$ref": _SCHEMAS.format(model=model.__name__)}}}}
    }


def of_application(app: FastAPI, open_paths: frozenset[str], *bodies: type[BaseModel]) -> dict[str, Any]:
    """Return the document of an application of its own, whose refusals are problem+json too.

    ``bodies``: the models that ``of_body`` has named.
    """
    made = get_openapi(title=app.title, version=app.version, openapi_version=app.openapi_version, routes=app.routes)
    schemas = _with_problem(made)["schemas"]
    schemas.update(models_json_schema([(one, "validation") for one in bodies], ref_template=_SCHEMAS)[1]["$defs"])
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            if method not in _METHODS or path in open_paths:
                continue
            refuse(operation, _EVERYWHERE if method == "get" else _EVERYWHERE | _OF_CHANGES)
            if operation.get("requestBody"):
                refuse(operation, _OF_BODIES | {"409": "Not possible in the present state"})
            if operation.get("parameters"):
                refuse(operation, _OF_PARAMETERS | {"400": "The request cannot be read"})
            if "{" in path:
                refuse(operation, {"404": "There is no such thing of the caller's", "409": "Not possible now"})
            as_problems(operation)
    return made
