"""eFlows4HPC's HPCWaaS Execution API, route by route, on the same runs as everything else.

Its clients work unchanged: base address ``…/services/deck/api/hpcwaas``, a hub token as ``Bearer`` or as the password
of basic authentication. What that API lacks is here too: input schemas, outputs, lists, owners, ``Idempotency-Key``,
webhooks and event streams.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import httpx
from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from simdeck_agent.api.parts import EVENT_STREAM
from simdeck_agent.problem_answers import MEDIA_TYPE, headers_of_http, problem_of_http, problem_of_validation
from simdeck_common.problems import Problem
from simdeck_workflows.models import Event, Notify, Run, Workflow
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from simdeck_deck import hpcwaas_words as words
from simdeck_deck import openapi
from simdeck_deck.auth import SessionUser
from simdeck_deck.proxy import agent_path, forward, limiting

if TYPE_CHECKING:
    from simdeck_deck.app import Deck

Model = TypeVar("Model", bound=BaseModel)

LONGEST_POLL = 600.0
_ONE_POLL = 30.0
_OPEN = frozenset({"/auth/login"})
_PAGE = 500


@dataclass(frozen=True)
class Caller:
    """Who asks, and for which workflows alone (None: all)."""

    deck: Deck
    user: SessionUser
    limits: frozenset[str] | None

    async def ask(self, method: str, template: str, headers: dict[str, str] | None = None, **sent: Any) -> Any:
        """Ask the caller's agent; ``template`` is filled from keyword arguments in ``path``."""
        path = agent_path(template, sent.pop("path", {}))
        answer = await self.deck.agents.ask(
            self.user.name, method, path, headers={**limiting(self.limits), **(headers or {})}, **sent
        )
        return answer.json() if answer.content else None

    async def run(self, execution_id: str) -> Run:
        return Run.model_validate(await self.ask("GET", "/runs/{run_id}", path={"run_id": execution_id}))

    async def workflow(self, workflow_id: str) -> Workflow:
        name = words.name_in(workflow_id)
        found = await self.ask("GET", "/workflows/{name}", path={"name": name})
        return Workflow.model_validate(found)


class ExecutionRequest(BaseModel):
    """What to run it with. HPCWaaS knows ``inputs`` alone."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: dict[str, Any] | None = None
    title: str | None = Field(default=None, max_length=200)
    notify: Notify | None = None


class SshKeyMade(BaseModel):
    """The public half of a new key."""

    id: str
    public_key: str


async def identify(request: Request) -> SessionUser:
    """Return the caller by token, session, or a token as the password of basic authentication."""
    auth = request.app.state.deck.auth
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        found: SessionUser = await auth.authenticate(request)
        return found
    try:
        name, _, token = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Problem("not-signed-in") from None
    user: SessionUser | None = await auth.identify(token) if token else None
    if user is None or user.name != name:
        raise Problem("not-signed-in")
    return user


def caller(scope: str, *, limited: bool = True) -> Any:
    """FastAPI dependency: the caller, who may use routes of the short ``scope``."""

    async def enforce(request: Request) -> Caller:
        user = await identify(request)
        limits = user.limits(scope)
        if limits is not None and not limited:
            raise Problem("missing-scope", scope=f"custom:simdeck:{scope}")
        return Caller(request.app.state.deck, user, limits)

    return Depends(enforce)


def make(deck: Deck, prefix: str) -> FastAPI:
    """Return the application to mount at ``prefix``."""
    app = FastAPI(title="HPCWaaS Execution API", openapi_url="/openapi.json", docs_url=None, redoc_url=None)
    app.state.deck = deck
    _answer_errors(app)
    files = deck.settings.api_prefix + "/runs/{}/files"

    @app.get("/auth/login", status_code=302, tags=["auth"], response_class=RedirectResponse)
    @app.get("/auth/authorize", status_code=302, tags=["auth"], include_in_schema=False)
    async def login() -> RedirectResponse:
        """Go where tokens are made: the hub's token page."""
        return RedirectResponse(deck.settings.hub_host + deck.settings.hub_prefix + "token", status_code=302)

    @app.get("/workflows", tags=["workflows"])
    async def list_workflows(who: Annotated[Caller, caller("runs:read")]) -> words.HpcWorkflows:
        """List the workflows that the caller may run, one entry for each cluster."""
        items = (await who.ask("GET", "/workflows"))["items"]
        found = [one for item in items for one in words.listed(Workflow.model_validate(item))]
        return words.HpcWorkflows(workflows=found)

    @app.get("/workflows/{workflow_id}", tags=["workflows"])
    async def get_workflow(workflow_id: str, who: Annotated[Caller, caller("runs:read")]) -> words.HpcWorkflowDetails:
        """Show a workflow: the schema of its inputs, its outputs."""
        found = await who.workflow(workflow_id)
        environment = words.chosen(workflow_id, found) or words.environments(found)[0]
        return words.HpcWorkflowDetails(
            **words.entry(found, environment).model_dump(),
            title=found.title,
            summary=found.summary,
            inputs=found.input_schema,
            outputs=[one.model_dump() for one in found.outputs],
        )

    @app.post(
        "/workflows/{workflow_id}", status_code=201, tags=["workflows"], openapi_extra=openapi.of_body(ExecutionRequest)
    )
    async def trigger(
        workflow_id: str,
        request: Request,
        response: Response,
        who: Annotated[Caller, caller("runs")],
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    ) -> words.Execution:
        """Run a workflow; `Location` names the execution."""
        asked = _read(ExecutionRequest, await request.body())
        found = await who.workflow(workflow_id)
        inputs = _placed(dict(asked.inputs or {}), words.chosen(workflow_id, found))
        sent = {"workflow": found.name, **asked.model_dump(exclude_none=True), "inputs": inputs}
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        run = Run.model_validate(await who.ask("POST", "/runs", headers, json=sent))
        response.headers["Location"] = f"{prefix}/executions/{run.id}"
        return words.execution(run)

    @app.get("/executions", tags=["executions"])
    async def list_executions(
        who: Annotated[Caller, caller("runs:read")],
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> words.Executions:
        """List the caller's executions, newest first."""
        chosen = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = await who.ask("GET", "/runs", params=chosen)
        found = [words.execution(Run.model_validate(item)) for item in page["items"]]
        return words.Executions(executions=found, next_cursor=page["next_cursor"])

    @app.get("/executions/{execution_id}", tags=["executions"], response_model_exclude_none=True)
    async def get_execution(execution_id: str, who: Annotated[Caller, caller("runs:read")]) -> words.Execution:
        """Show an execution: its status and, once it has them, its outputs."""
        run = await who.run(execution_id)
        outputs = None
        if run.state.ended:
            outputs = await who.ask("GET", "/runs/{run_id}/outputs", path={"run_id": execution_id})
        return words.execution(run, outputs, files.format(run.id))

    @app.get("/executions/{execution_id}/logs", tags=["executions"])
    async def get_logs(
        execution_id: str,
        who: Annotated[Caller, caller("runs:read")],
        from_: Annotated[int, Query(alias="from", ge=0)] = 0,
        size: Annotated[int, Query(ge=-1)] = -1,
        timeout: str = "1m",  # noqa: ASYNC109 - the wire's name
        levels: Annotated[int, Query(ge=0, le=255)] = 0,
    ) -> Response:
        """Return log entries from number `from` on; where there are none, wait up to `timeout` for some."""
        logs, total = await _poll(who, execution_id, from_, min(words.seconds(timeout), LONGEST_POLL), levels)
        chosen = logs if size < 0 else logs[:size]
        made = words.Logs(logs=chosen or None, total_results=total, from_=from_)
        return JSONResponse(made.model_dump(by_alias=True))

    @app.get(
        "/executions/{execution_id}/events",
        tags=["executions"],
        response_class=StreamingResponse,
        responses=EVENT_STREAM,
    )
    async def get_events(
        execution_id: str, request: Request, who: Annotated[Caller, caller("runs:read")]
    ) -> StreamingResponse:
        """Follow an execution on Server-Sent Events; `Last-Event-ID` resumes."""
        path = agent_path("/runs/{run_id}/events", {"run_id": execution_id})
        answer = await forward(deck, request, who.user.name, path, who.limits)
        assert isinstance(answer, StreamingResponse)
        return answer

    @app.delete("/executions/{execution_id}", status_code=202, tags=["executions"], response_class=Response)
    async def cancel(execution_id: str, who: Annotated[Caller, caller("runs")]) -> Response:
        """Cancel an execution."""
        await who.ask("POST", "/runs/{run_id}/cancel", path={"run_id": execution_id})
        return Response(status_code=202)

    @app.get("/ssh_keys", tags=["ssh keys"])
    async def list_keys(who: Annotated[Caller, caller("runs:read", limited=False)]) -> dict[str, Any]:
        """List the public halves of the caller's keys."""
        return {"ssh_keys": (await who.ask("GET", "/ssh_keys"))["items"]}

    @app.post("/ssh_keys", status_code=201, tags=["ssh keys"], openapi_extra=openapi.of_body(KeyNotes))
    async def make_key(request: Request, who: Annotated[Caller, caller("runs", limited=False)]) -> SshKeyMade:
        """Make a key: its id is what a workflow takes as `vault_id`."""
        asked = _read(KeyNotes, await request.body())
        made = await who.ask("POST", "/ssh_keys", json={"metadata": asked.metadata or {}})
        return SshKeyMade(id=made["id"], public_key=made["public_key"])

    @app.delete("/ssh_keys/{key_id}", status_code=204, tags=["ssh keys"], response_class=Response)
    async def delete_key(key_id: str, who: Annotated[Caller, caller("runs", limited=False)]) -> Response:
        """Revoke a key."""
        await who.ask("DELETE", "/ssh_keys/{key_id}", path={"key_id": key_id})
        return Response(status_code=204)

    document = openapi.of_application(app, _OPEN, ExecutionRequest, KeyNotes)
    app.openapi = lambda: document  # type: ignore[method-assign]
    return app


class KeyNotes(BaseModel):
    """What the owner wants to note of a new key."""

    metadata: dict[str, Any] | None = None


def _read(kind: type[Model], body: bytes) -> Model:
    """Read a body of JSON, whatever its content type says: HPCWaaS's own client sends none."""
    try:
        return kind.model_validate(json.loads(body) if body.strip() else {})
    except ValidationError as error:
        raise problem_of_validation(RequestValidationError(error.errors())) from None
    except ValueError:
        raise Problem("bad-request", detail="The body is not valid JSON.") from None


def _placed(inputs: dict[str, Any], environment: str | None) -> dict[str, Any]:
    """The inputs with the cluster that the workflow's id names."""
    if environment in (None, words.LOCAL):
        return inputs
    if inputs.get("cluster", environment) != environment:
        detail = "The workflow's id and the input cluster name different clusters."
        raise Problem("invalid-input", field="inputs.cluster", detail=detail)
    return {**inputs, "cluster": environment}


async def _poll(
    who: Caller, execution_id: str, first: int, patience: float, levels: int
) -> tuple[list[words.Log], int]:
    """The entries from number ``first`` on, and how many there are in all; waits for one, or for the run's end."""
    deadline = time.monotonic() + patience
    found: list[words.Log] = []
    after = 0
    while True:
        left = deadline - time.monotonic()
        page = await who.ask(
            "GET",
            "/runs/{run_id}/history",
            path={"run_id": execution_id},
            params={"after": after, "limit": _PAGE, "wait": max(0.0, min(left, _ONE_POLL))},
            timeout=httpx.Timeout(_ONE_POLL + 30.0, connect=5.0),
        )
        events = [Event.model_validate(item) for item in page["items"]]
        found += words.of_levels(events, levels)
        after = events[-1].seq if events else after
        if len(events) == _PAGE:
            continue
        if len(found) > first or page["ended"] or time.monotonic() >= deadline or who.deck.closing.is_set():
            return found[first:], len(found)
        await asyncio.sleep(0)


def _answer_errors(app: FastAPI) -> None:
    def handler(translate: Callable[[Any], Problem]) -> Callable[[Request, Exception], Awaitable[Response]]:
        async def answer(request: Request, error: Exception) -> Response:
            problem = translate(error)
            headers = headers_of_http(request, error) if isinstance(error, HTTPException) else {}
            if problem.status == 401:
                headers["WWW-Authenticate"] = 'Bearer realm="simdeck"'
            return JSONResponse(words.error_body(problem), problem.status, headers, MEDIA_TYPE)

        return answer

    app.add_exception_handler(Problem, handler(lambda problem: problem))
    app.add_exception_handler(RequestValidationError, handler(problem_of_validation))
    app.add_exception_handler(HTTPException, handler(problem_of_http))
