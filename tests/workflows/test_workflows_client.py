"""The light client: the same behaviours for the blocking and the asynchronous one, against a small fake of the API."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from simdeck_common.problems import Problem
from simdeck_workflows.client import AsyncClient, Client, aio, sync
from simdeck_workflows.client.requests import EventParser

from workflows import blocking_client

RUN = {
    "id": "r1", "workflow": "toy.bake", "app": "toy", "app_version": "1.0", "title": "Bake", "state": "running",
    "created": "2026-01-01T00:00:00.000Z",
}  # fmt: skip


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A response body in pieces; an exception among them breaks the connection."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


class Api:
    """Answers requests in turn with what is queued, and remembers them."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response | Exception] = []
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Caller:
    """Calls either client; an asynchronous answer is awaited, an iterator is read to its end."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:
        answer = getattr(self.client, method)(*args, **kwargs)
        if inspect.isawaitable(answer):
            answer = await answer
        if inspect.isasyncgen(answer):
            return [item async for item in answer]
        return list(answer) if inspect.isgenerator(answer) else answer


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture(params=["blocking", "asynchronous"])
def call(request: pytest.FixtureRequest, api: Api, monkeypatch: pytest.MonkeyPatch) -> Caller:
    for module in (aio, sync):
        monkeypatch.setattr(module, "RETRY_DELAYS", (0.0, 0.0, 0.0))
    kind: Any = Client if request.param == "blocking" else AsyncClient
    return Caller(kind("http://hub/services/deck/api/v1", "secret", transport=httpx.MockTransport(api)))


def _stream(*pieces: bytes | Exception) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(*pieces))


def _event(seq: int, kind: str = "progress", **data: Any) -> bytes:
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


END = b"event: end\ndata: {}\n\n"


async def test_a_submission_carries_token_body_and_a_key(call: Caller, api: Api) -> None:
    api.answers = [httpx.Response(202, json=RUN)]
    run = await call("submit", "toy.bake", {"steps": 1}, title="T")
    request = api.requests[0]
    assert (run.id, request.method, request.url.path) == ("r1", "POST", "/services/deck/api/v1/runs")
    assert json.loads(request.content) == {"workflow": "toy.bake", "inputs": {"steps": 1}, "title": "T"}
    assert request.headers["authorization"] == "token secret"
    assert request.headers["idempotency-key"]


async def test_a_lost_answer_is_asked_for_again_with_the_same_key(call: Caller, api: Api) -> None:
    api.answers = [httpx.ReadError("gone"), httpx.Response(503), httpx.Response(202, json=RUN)]
    await call("submit", "toy.bake", {})
    assert len({request.headers["idempotency-key"] for request in api.requests}) == 1
    assert len(api.requests) == 3


async def test_a_retry_whose_answer_was_lost_is_asked_for_again_under_the_same_key(call: Caller, api: Api) -> None:
    api.answers = [httpx.ReadError("gone"), httpx.Response(202, json=RUN)]
    await call("retry", "r1", {"steps": 5})
    assert len({request.headers["idempotency-key"] for request in api.requests}) == 1
    assert json.loads(api.requests[-1].content) == {"inputs": {"steps": 5}}


async def test_a_refusal_is_a_problem(call: Caller, api: Api) -> None:
    body = Problem("invalid-input", field="steps", detail="Too many.").to_json()
    api.answers = [httpx.Response(422, json=body)]
    with pytest.raises(Problem) as caught:
        await call("submit", "toy.bake", {})
    assert (caught.value.code, caught.value.field, caught.value.detail) == ("invalid-input", "steps", "Too many.")


async def test_an_answer_that_is_no_problem_json_is_told_with_its_status(call: Caller, api: Api) -> None:
    api.answers = [httpx.Response(404, text="<html>")]
    with pytest.raises(Problem) as caught:
        await call("run", "r1")
    assert caught.value.status == 404


async def test_events_are_read_until_the_end(call: Caller, api: Api) -> None:
    api.answers = [_stream(_event(1, "state", state="running"), b": still here\n\n", _event(2, step=1), END)]
    events = await call("events", "r1")
    assert [(event.seq, event.type, event.data) for event in events] == [
        (1, "state", {"state": "running"}),
        (2, "progress", {"step": 1}),
    ]


@pytest.mark.parametrize("broken", [httpx.ReadError("reset"), httpx.ReadTimeout("silent"), b""])
async def test_a_broken_stream_is_taken_up_where_it_broke(call: Caller, api: Api, broken: Any) -> None:
    api.answers = [_stream(_event(1), _event(2), broken), httpx.Response(502), _stream(_event(3), END)]
    assert [event.seq for event in await call("events", "r1")] == [1, 2, 3]
    assert [request.headers.get("last-event-id") for request in api.requests] == [None, "2", "2"]


async def test_a_stream_that_stays_away_is_given_up(call: Caller, api: Api) -> None:
    api.answers = [httpx.ConnectError("refused") for _ in range(9)]
    with pytest.raises(httpx.ConnectError):
        await call("events", "r1")


async def test_a_refused_stream_is_a_problem(call: Caller, api: Api) -> None:
    api.answers = [httpx.Response(404, json=Problem("run-not-found", run="r1").to_json())]
    with pytest.raises(Problem) as caught:
        await call("events", "r1")
    assert caught.value.code == "run-not-found"


async def test_waiting_returns_the_ended_run(call: Caller, api: Api) -> None:
    api.answers = [_stream(_event(1), END), httpx.Response(200, json={**RUN, "state": "finished"})]
    seen: list[int] = []
    run = await call("wait", "r1", on_event=lambda event: seen.append(event.seq))
    assert (run.state, seen) == ("finished", [1])


async def test_all_pages_of_runs_are_read(call: Caller, api: Api) -> None:
    api.answers = [
        httpx.Response(200, json={"items": [RUN], "next_cursor": "7"}),
        httpx.Response(200, json={"items": [{**RUN, "id": "r0"}], "next_cursor": None}),
    ]
    assert [run.id for run in await call("runs", state="running")] == ["r1", "r0"]
    assert dict(api.requests[1].url.params) == {"limit": "100", "cursor": "7", "state": "running"}


async def test_a_files_path_keeps_its_slashes(call: Caller, api: Api) -> None:
    api.answers = [httpx.Response(200, content=b"x")]
    assert await call("file", "r1", "outputs/a b/r.txt") == b"x"
    assert api.requests[0].url.raw_path == b"/services/deck/api/v1/runs/r1/files/outputs/a%20b/r.txt"


async def test_an_archive_is_saved_whole_or_not_at_all(call: Caller, api: Api, tmp_path: Path) -> None:
    api.answers = [httpx.Response(200, stream=Body(b"half", httpx.ReadError("gone")))]
    with pytest.raises(httpx.ReadError):
        await call("archive", "r1", tmp_path / "run.zip")
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240
    api.answers = [httpx.Response(200, stream=Body(b"who", b"le"))]
    assert (await call("archive", "r1", tmp_path / "run.zip")).read_bytes() == b"whole"


def test_address_and_token_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api()
    api.answers = [httpx.Response(200, json={"items": []})]
    monkeypatch.setenv("SIMDECK_API", "http://hub/api/v1")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "from-env")
    with Client(transport=httpx.MockTransport(api)) as client:
        assert client.workflows() == []
    assert str(api.requests[0].url) == "http://hub/api/v1/workflows"
    assert api.requests[0].headers["authorization"] == "token from-env"
    monkeypatch.delenv("SIMDECK_API")
    with pytest.raises(ValueError, match="SIMDECK_API"):
        Client()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_stream_may_be_cut_anywhere(size: int) -> None:
    text = 'id: 1\r\nevent: log\r\ndata: {"a": "\u2028"}\r\n\r\n: hello\n\nid:2\ndata: x\ndata: y\n\n'
    parser = EventParser()
    found = []
    for start in range(0, len(text), size):
        found += parser.feed(text[start : start + size])
    assert found == [("1", "log", '{"a": "\u2028"}'), ("2", "message", "x\ny")]


def test_the_client_is_light() -> None:
    code = (
        "import sys, simdeck_workflows.client; "
        "print([m for m in ('sqlalchemy', 'fastapi', 'starlette', 'aiida', 'jsonschema') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_blocking_client_is_the_asynchronous_one_without_waiting() -> None:
    made = blocking_client.blocking(blocking_client.SOURCE.read_text(encoding="utf-8"))
    assert blocking_client.TARGET.read_text(encoding="utf-8") == made
