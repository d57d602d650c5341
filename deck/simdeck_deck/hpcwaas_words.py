"""HPCWaaS's words and ours: ids, states, log entries, durations, errors of its Execution API. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field
from simdeck_common.problems import Problem
from simdeck_workflows.models import Event, Run, RunState, Workflow

LOCAL = "local"
"""The environment of a site without clusters for runs: the machine itself."""

STATUS = {
    RunState.ACCEPTED: "RUNNING",
    RunState.RUNNING: "RUNNING",
    RunState.FINISHED: "SUCCESS",
    RunState.FAILED: "FAILED",
    RunState.REJECTED: "FAILED",
    RunState.CANCELLED: "CANCELLED",
}
LEVELS = {"DEBUG": 1, "INFO": 2, "WARN": 4, "ERROR": 8}
USUAL = LEVELS["INFO"] | LEVELS["WARN"] | LEVELS["ERROR"]
"""What ``levels=0`` means."""

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


class HpcWorkflow(BaseModel):
    """A workflow in one environment. Its id is ``application@environment@workflow``."""

    id: str
    name: str
    application_id: str
    environment_id: str
    environment_name: str


class HpcWorkflowDetails(HpcWorkflow):
    """A workflow with what it takes and gives."""

    title: str
    summary: str
    inputs: dict[str, Any] = Field(description="JSON Schema of the inputs (2020-12).")
    outputs: list[dict[str, Any]]


class HpcWorkflows(BaseModel):
    """The workflows that the caller may run."""

    workflows: list[HpcWorkflow]


class Execution(BaseModel):
    """One execution: a run. ``outputs`` is left out while there are none."""

    id: str
    status: str = Field(description="RUNNING, SUCCESS, FAILED, CANCELLING or CANCELLED")
    outputs: dict[str, Any] | None = None
    workflow: str
    title: str
    error: dict[str, Any] | None = Field(default=None, description="Why it failed, as problem+json.")
    waiting: dict[str, Any] | None = Field(default=None, description="Why it waits.")


class Executions(BaseModel):
    """Executions, newest first."""

    executions: list[Execution]
    next_cursor: str | None = None


class Log(BaseModel):
    """One log entry."""

    level: str
    timestamp: str
    content: str


class Logs(BaseModel):
    """Log entries from the one numbered ``from`` on; ``logs`` is null where there are none (yet)."""

    logs: list[Log] | None
    total_results: int
    from_: int = Field(serialization_alias="from")


# --- workflows -------------------------------------------------------------------------------------------------------


def environments(workflow: Workflow) -> list[str]:
    """The clusters that a workflow can run on; ``local`` where there is none to choose."""
    choice = workflow.input_schema.get("properties", {}).get("cluster", {})
    return [str(name) for name in choice.get("enum", ())] if choice.get("x-simdeck-advanced") else [LOCAL]


def listed(workflow: Workflow) -> list[HpcWorkflow]:
    """The entries of a workflow in a list: one for each environment."""
    return [entry(workflow, name) for name in environments(workflow)]


def entry(workflow: Workflow, environment: str) -> HpcWorkflow:
    return HpcWorkflow(
        id=f"{workflow.app}@{environment}@{workflow.name}",
        name=workflow.name,
        application_id=workflow.app,
        environment_id=environment,
        environment_name="This machine" if environment == LOCAL else environment,
    )


def name_in(workflow_id: str) -> str:
    """The workflow's name in an id: the triple, or (as the documentation has it) the name alone."""
    return workflow_id.split("@")[-1]


def chosen(workflow_id: str, workflow: Workflow) -> str | None:
    """The environment that an id names, or None where it leaves the choice.

    Raises
    ------
    Problem
        ``workflow-not-found``: not this app's, or not offered there.
    """
    parts = workflow_id.split("@")
    if len(parts) == 1:
        return None
    if len(parts) != 3 or parts[0] != workflow.app or parts[1] not in environments(workflow):
        raise Problem("workflow-not-found", workflow=workflow_id)
    return parts[1]


# --- executions ------------------------------------------------------------------------------------------------------


def status_of(run: Run) -> str:
    return "CANCELLING" if run.cancelling and not run.state.ended else STATUS[run.state]


def execution(run: Run, outputs: dict[str, Any] | None = None, files: str = "") -> Execution:
    """A run as an execution. ``files``: address below which the run's files are found."""
    return Execution(
        id=run.id,
        status=status_of(run),
        outputs=_with_links(outputs, files) if outputs else None,
        workflow=run.workflow,
        title=run.title,
        error=run.problem,
        waiting=run.waiting.model_dump() if run.waiting else None,
    )


def _with_links(value: Any, files: str) -> Any:
    """Outputs in which each file has an address."""
    if isinstance(value, dict):
        found = {name: _with_links(item, files) for name, item in value.items()}
        if isinstance(found.get("path"), str) and "size" in found:
            found["href"] = f"{files}/{quote(found['path'])}"
        return found
    return [_with_links(item, files) for item in value] if isinstance(value, list) else value


# --- logs ------------------------------------------------------------------------------------------------------------


def log_entry(event: Event) -> Log:
    """An event as a log entry."""
    level, content = _LOG.get(event.type, _other)(event.data)
    return Log(level=level, timestamp=event.time.isoformat().replace("+00:00", "Z"), content=content)


def _state(data: dict[str, Any]) -> tuple[str, str]:
    problem = data.get("problem")
    if problem:
        return "ERROR", f"{data['state']}: {problem.get('detail', '')}"
    return "INFO", str(data["state"]) + (", paused" if data.get("paused") else "")


def _step(data: dict[str, Any]) -> tuple[str, str]:
    text = f"{data.get('title') or data.get('label')}: {data.get('state')}"
    if data.get("exit_status"):
        return "WARN", f"{text}, exit status {data['exit_status']}: {data.get('message', '')}".rstrip(": ")
    return "INFO", text


def _progress(data: dict[str, Any]) -> tuple[str, str]:
    return "DEBUG", ", ".join(f"{name} {value}" for name, value in data.items())


def _log(data: dict[str, Any]) -> tuple[str, str]:
    level = str(data.get("level", "INFO")).upper()
    return {"WARNING": "WARN", "CRITICAL": "ERROR", "REPORT": "INFO"}.get(level, level), str(data.get("message", ""))


def _other(data: dict[str, Any]) -> tuple[str, str]:
    return "INFO", str(data)


_LOG = {"state": _state, "step": _step, "progress": _progress, "log": _log}


def of_levels(events: Iterable[Event], levels: int) -> list[Log]:
    """The entries of these events whose level is in the bit mask."""
    wanted = levels or USUAL
    return [one for one in map(log_entry, events) if LEVELS.get(one.level, LEVELS["INFO"]) & wanted]


def seconds(text: str) -> float:
    """A Go duration (``1m0s``, ``500ms``) in seconds.

    Raises
    ------
    Problem
        400 ``bad-request``: it is none.
    """
    if text == "0":
        return 0.0
    if not text or not re.fullmatch(f"(?:{_DURATION.pattern})+", text):
        raise Problem("bad-request", field="timeout", detail="timeout must be a duration such as 30s or 1m30s.")
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))


# --- errors ----------------------------------------------------------------------------------------------------------


def error_body(problem: Problem) -> dict[str, Any]:
    """A refusal for both kinds of readers: problem+json, with HPCWaaS's list of errors among its members."""
    known = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 409: "conflict"}
    number = known.get(problem.status, "internal_server_error" if problem.status >= 500 else "bad_request")
    error = {"id": number, "status": problem.status, "title": problem.title, "detail": problem.detail}
    return {**problem.to_json(), "errors": [error]}
