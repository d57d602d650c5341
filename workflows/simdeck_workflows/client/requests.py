"""The API's requests as plain values, and the reading of its answers: what both clients share. No network here."""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
from simdeck_common.problems import Problem

from simdeck_workflows.models import Event

RETRY_STATUS = frozenset({502, 503, 504})
RETRY_DELAYS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds to wait before each further try of a request that may be repeated: enough for an agent to come back."""

EXPORTS = {"zip": "archive", "crate": "crate", "aiida": "export.aiida"}
BYTES = {"Content-Type": "application/octet-stream"}

STREAM_TIMEOUT = httpx.Timeout(30.0, read=60.0)
"""A stream that is silent for longer than ``read`` is opened anew; the server sends a comment every 15 s."""


@dataclass(frozen=True)
class Request:
    """One API request. ``repeatable``: sending it twice has the effect of sending it once."""

    method: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    repeatable: bool = True


def settings(api: str | None, token: str | None) -> tuple[str, dict[str, str]]:
    """Return the API's base address and the headers to send, from arguments or the environment.

    Raises
    ------
    ValueError
        No address was given and ``SIMDECK_API`` is not set.
    """
    address = api or os.environ.get("SIMDECK_API")
    if not address:
        raise ValueError("No API address: pass one, or set SIMDECK_API.")
    secret = token or os.environ.get("JUPYTERHUB_API_TOKEN")
    headers = {"Accept": "application/json"}
    if secret:
        headers["Authorization"] = f"token {secret}"
    return address.rstrip("/") + "/", headers


def submit(
    workflow: str, inputs: dict[str, Any], title: str | None, key: str | None, more: dict[str, Any] | None = None
) -> Request:
    """A submission. It always carries an Idempotency-Key, so that a lost answer can be asked for again."""
    body: dict[str, Any] = {"workflow": workflow, "inputs": inputs}
    body |= {name: value for name, value in (more or {}).items() if value is not None}
    if title is not None:
        body["title"] = title
    return Request("POST", "runs", body=body, headers={"Idempotency-Key": key or str(uuid.uuid4())})


def runs(limit: int, cursor: str | None, filters: dict[str, Any]) -> Request:
    params = {"limit": limit, "cursor": cursor, **filters}
    return Request("GET", "runs", params={name: str(value) for name, value in params.items() if value is not None})


def workflow(name: str, *rest: str, body: Any = None) -> Request:
    path = "/".join(["workflows", quote(name, safe=""), *rest])
    return Request("GET" if body is None else "POST", path, body=body)


def run(run_id: str, *rest: str) -> Request:
    """``GET /runs/{id}/…``; the parts of ``rest`` may hold slashes (a file's path)."""
    return Request("GET", "/".join(["runs", quote(run_id, safe=""), *(quote(part) for part in rest)]))


def retry(run_id: str, inputs: dict[str, Any] | None) -> Request:
    """A retry, with changed inputs if given. Like a submission it carries a key: it can be sent twice."""
    body = {"inputs": inputs} if inputs else None
    path = f"runs/{quote(run_id, safe='')}/retry"
    return Request("POST", path, body=body, headers={"Idempotency-Key": str(uuid.uuid4())})


def sweep(body: dict[str, Any], key: str | None) -> Request:
    return Request("POST", "sweeps", body=body, headers={"Idempotency-Key": key or str(uuid.uuid4())})


def act(run_id: str, action: str) -> Request:
    """``POST /runs/{id}/<action>``. May be repeated."""
    return Request("POST", f"runs/{quote(run_id, safe='')}/{action}")


def rename(run_id: str, title: str) -> Request:
    return Request("PATCH", f"runs/{quote(run_id, safe='')}", body={"title": title})


def left(run_id: str, deadline: float | None) -> float | None:
    """Seconds left until ``deadline``, or None without one. Raises ``TimeoutError`` when it has passed."""
    if deadline is None:
        return None
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError(f"run {run_id} has not ended in time")
    return seconds


def patience(seconds: float | None) -> httpx.Timeout:
    """How long a stream may be silent when so many seconds are left."""
    return STREAM_TIMEOUT if seconds is None else httpx.Timeout(min(30.0, seconds), read=min(60.0, seconds))


def problem_of(response: httpx.Response) -> Problem | None:
    """The refusal that a read response carries, or None if it is a success."""
    if response.is_success:
        return None
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict) and "detail" in body:
        return Problem.from_json({"status": response.status_code, "title": response.reason_phrase, **body})
    return Problem.from_json(
        {
            "code": "unexpected",
            "status": response.status_code,
            "title": response.reason_phrase or "Unexpected answer",
            "detail": f"{response.request.method} {response.request.url.path} answered {response.status_code}.",
            "remedy": "Try again; if it comes back, tell the administrator.",
        }
    )


_LINE_END = re.compile(r"\r\n|\n|\r")


class EventParser:
    """Reads a Server-Sent Events stream piece by piece (WHATWG rules, as far as the API uses them)."""

    def __init__(self) -> None:
        self._rest = ""
        self._id: str | None = None
        self._type = ""
        self._data: list[str] = []

    def feed(self, text: str) -> list[tuple[str | None, str, str]]:
        """Take the next piece of the stream; return the events it completed as (id, type, data)."""
        # A carriage return at the very end may be half of a line end: leave it until more has come.
        buffer = self._rest + text
        held = "\r" if buffer.endswith("\r") else ""
        lines = _LINE_END.split(buffer[: len(buffer) - len(held)])
        self._rest = lines.pop() + held
        found = []
        for line in lines:
            if line:
                self._field(line)
            elif self._data or self._type:
                found.append((self._id, self._type or "message", "\n".join(self._data)))
                self._type, self._data = "", []
        return found

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._id = value
        elif name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)


def event_of(seq: str | None, kind: str, data: str) -> Event:
    """An API event from its three SSE fields; the data are the event's own, or the whole event."""
    body = json.loads(data) if data else {}
    if isinstance(body, dict) and body.keys() >= {"seq", "time", "type", "data"}:
        return Event.model_validate(body)
    return Event(seq=int(seq or 0), time=datetime.now(UTC), type=kind, data=body)
