"""Event streams: order, resumption, end, keep-alive, and that nobody who left keeps one open."""

from __future__ import annotations

import asyncio

import pytest
from simdeck_agent import sse

SUBMIT = {"workflow": "molecule.optimize"}


async def read(client, url, until="end", headers=None):
    """Return ``(id, event, data)`` of a stream's events up to the one of type ``until``."""
    events = []
    async with asyncio.timeout(120), client.stream("GET", url, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        fields = {}
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif fields:
                events.append((fields.get("id"), fields.get("event"), fields.get("data")))
                fields = {}
                if events[-1][1] == until:
                    break
    return events


async def test_a_run_is_followed_to_its_end(agent):
    run = (await agent.client.post("/runs", json=SUBMIT)).json()
    await agent.backend.tell(run["id"], "progress", {"step": 1})
    following = asyncio.create_task(read(agent.client, f"/runs/{run['id']}/events"))
    await agent.backend.tell(run["id"], "progress", {"step": 2})
    await agent.backend.finish(run["id"])
    assert await following == [
        ("1", "progress", '{"step": 1}'),
        ("2", "progress", '{"step": 2}'),
        ("3", "state", '{"state": "finished"}'),
        (None, "end", '{"state": "finished", "problem": null}'),
    ]


@pytest.mark.parametrize(("headers", "query"), [({"Last-Event-ID": "1"}, ""), ({}, "?after=1")])
async def test_a_stream_resumes_after_the_last_event_seen(agent, headers, query):
    run = (await agent.client.post("/runs", json=SUBMIT)).json()
    for step in (1, 2):
        await agent.backend.tell(run["id"], "progress", {"step": step})
    await agent.backend.finish(run["id"])
    events = await read(agent.client, f"/runs/{run['id']}/events{query}", headers=headers)
    assert [event[0] for event in events] == ["2", "3", None]


async def test_a_last_event_id_that_is_no_number_is_refused(agent):
    run = (await agent.client.post("/runs", json=SUBMIT)).json()
    response = await agent.client.get(f"/runs/{run['id']}/events", headers={"Last-Event-ID": "x"})
    assert (response.status_code, response.json()["code"]) == (400, "bad-request")


async def test_the_events_of_an_unknown_run_are_a_plain_404(agent):
    assert (await agent.client.get("/runs/none/events")).status_code == 404


async def test_a_listener_that_leaves_is_forgotten(agent):
    run = (await agent.client.post("/runs", json=SUBMIT)).json()
    await agent.backend.tell(run["id"], "progress", {"step": 1})
    await read(agent.client, f"/runs/{run['id']}/events", until="progress")
    async with asyncio.timeout(120):
        while agent.backend.streams or agent.app.asgi.requests:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_silent_stream_says_that_it_is_still_there():
    async def silence():
        await asyncio.Event().wait()
        yield

    async def never():
        raise AssertionError

    stream = sse.stream(silence(), never, asyncio.Event(), keepalive=0.001)
    assert await anext(stream) == sse.KEEPALIVE
    assert await anext(stream) == sse.KEEPALIVE
    await stream.aclose()


async def test_a_stream_stops_when_the_server_ends():
    async def silence():
        await asyncio.Event().wait()
        yield

    async def never():
        raise AssertionError

    closing = asyncio.Event()
    closing.set()
    async with asyncio.timeout(120):
        assert [text async for text in sse.stream(silence(), never, closing)] == []


def test_line_breaks_in_data_do_not_break_the_frame():
    assert sse.encode("log", {"line": "a\nb\r\nc"}, 4) == 'id: 4\nevent: log\ndata: {"line": "a\\nb\\r\\nc"}\n\n'
