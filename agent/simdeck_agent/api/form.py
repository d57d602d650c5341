"""A run from one command line: a posted form in, the run's result out.

``curl -F structure=@water.xyz -F charge=1 '…/workflows/molecule.optimize/run?wait=120'``
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from simdeck_common.problems import Problem
from simdeck_workflows import text_inputs
from simdeck_workflows.models import Run, RunRequest
from starlette.datastructures import FormData, UploadFile

from simdeck_agent.api.parts import LIMITED_KEY, SCOPE_KEY, Agent, Responses, agent_of, guard, in_thread, refusals

router = APIRouter(tags=["workflows"], dependencies=[Depends(guard)])

TITLE = "title"
LONGEST_WAIT = 600.0
_ENDED: Responses = {200: {"description": "The run has ended", "model": Run}}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "description": "One field for each input, read by the type its schema declares; files for structures. "
                "`title` names the run.",
                "additionalProperties": True,
            }
        }
    },
}


@router.post(
    "/workflows/{name}/run",
    status_code=202,
    responses=_ENDED | refusals(400, 404, 409, 422, 503),
    openapi_extra={SCOPE_KEY: "runs", LIMITED_KEY: True, "requestBody": _BODY},
)
async def run_form(
    name: str,
    request: Request,
    response: Response,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the run's end")] = 0.0,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
    agent: Agent = Depends(agent_of),
) -> Run:
    """Submit a posted form and, with `wait`, answer with the ended run (200); 202 while it goes on."""
    workflow = await in_thread(agent.backend.workflow, name)
    async with request.form(max_files=20, max_fields=200) as form:
        title = form.get(TITLE)
        inputs = await inputs_of(form, workflow.input_schema)
    await agent.backend.validate(name, inputs)
    await in_thread(agent.mark)
    body = RunRequest(workflow=name, inputs=inputs, title=title if isinstance(title, str) and title else None)
    run = await in_thread(agent.backend.submit, body, idempotency_key)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait):
            async for _ in agent.backend.events(run.id, 0):
                if agent.closing.is_set():
                    break
    run = await in_thread(agent.backend.run, run.id)
    response.headers["Location"] = f"/runs/{run.id}"
    if run.state.ended:
        response.status_code = 200
    return run


async def inputs_of(form: FormData, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs that a form gives for ``schema``.

    Raises
    ------
    Problem
        ``input-unreadable`` with the ``field``: an unknown input, or a value that is not of its type.
    """
    inputs: dict[str, Any] = {}
    declared = schema.get("properties", {})
    for name, value in form.multi_items():
        if name == TITLE and TITLE not in declared:
            continue
        wanted = text_inputs.schema_of(schema, name)
        if isinstance(value, UploadFile):
            kind = text_inputs.file_kind(wanted, schema)
            if kind is None:
                raise Problem("input-unreadable", field=name, reason=f"{name} takes no file", hint="Give its value")
            read: Any = text_inputs.file_value(name, value.filename or name, await value.read(), kind)
        else:
            read = text_inputs.value_of(name, value, wanted, schema)
        text_inputs.put(inputs, name, read)
    return inputs
