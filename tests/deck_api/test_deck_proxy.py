"""The agent's routes through the deck: bodies and streams both ways, headers, limits."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from simdeck_common.problems import Problem
from simdeck_deck.proxy import agent_path

API = "/services/deck/api/v1"
SUBMIT = {"workflow": "molecule.optimize"}


@pytest.fixture
async def alice(site):
    async with site.client(site.hub.token("alice", "runs", "apps:install", "server")) as client:
        yield client


async def until(condition):
    """Wait until ``condition()`` holds, at most 20 s."""
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_submission_arrives_whole_and_its_place_is_the_webs(site, alice):
    response = await alice.post("/runs", json=SUBMIT | {"title": "Wässer"}, headers={"Idempotency-Key": "k"})
    assert response.status_code == 202
    assert response.headers["location"] == f"{API}/runs/{response.json()['id']}"
    assert response.json()["title"] == "Wässer"
    assert site.launcher.backend("alice").keys == {"k": response.json()["id"]}


async def test_an_agents_refusal_comes_through_as_it_is(alice):
    response = await alice.post("/workflows/molecule.optimize/validate", json={"inputs": {"charge": 99}})
    assert (response.status_code, response.json()["field"]) == (422, "charge")
    assert response.headers["content-type"] == "application/problem+json"


async def test_the_query_comes_through(alice):
    for _ in range(3):
        await alice.post("/runs", json=SUBMIT)
    assert len((await alice.get("/runs?limit=2")).json()["items"]) == 2


async def test_the_callers_credentials_end_at_the_deck(site, alice, monkeypatch):
    seen = []
    await alice.get("/status")
    agent = site.launcher.agents["alice"].asgi
    real = agent.app

    async def look(scope, receive, send):
        seen.append({name.decode() for name, _ in scope["headers"]})
        await real(scope, receive, send)

    monkeypatch.setattr(agent, "app", look)
    await alice.get(
        "/status", headers={"Cookie": "a=b", "X-XSRF-Token": "t", "X-Forwarded-For": "1.2.3.4", "X-Kept": "y"}
    )
    assert "x-kept" in seen[0]
    assert not seen[0] & {"authorization", "cookie", "x-xsrf-token", "x-forwarded-for"}


async def test_events_come_as_they_happen_and_resume(site, alice):
    run = (await alice.post("/runs", json=SUBMIT)).json()
    backend = site.launcher.backend("alice")
    await backend.tell(run["id"], "progress", {"step": 1})
    async with asyncio.timeout(120), alice.stream("GET", f"/runs/{run['id']}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        assert [await anext(lines) for _ in range(4)] == ["id: 1", "event: progress", 'data: {"step": 1}', ""]
        # The first event has been read while the run goes on: nothing is held back.
        await backend.tell(run["id"], "progress", {"step": 2})
        assert await anext(lines) == "id: 2"
    await backend.finish(run["id"])
    async with asyncio.timeout(120):
        rest = await alice.get(f"/runs/{run['id']}/events", headers={"Last-Event-ID": "2"})
    assert [line for line in rest.text.splitlines() if line.startswith(("id", "event"))] == [
        "id: 3",
        "event: state",
        "event: end",
    ]


async def test_a_reader_that_leaves_closes_the_stream_at_the_agent(site, alice):
    run = (await alice.post("/runs", json=SUBMIT)).json()
    backend = site.launcher.backend("alice")
    await backend.tell(run["id"], "progress", {})
    async with alice.stream("GET", f"/runs/{run['id']}/events") as response:
        chunks = response.aiter_raw()
        await anext(chunks)
        assert backend.streams == 1
    await until(lambda: backend.streams == 0)


async def test_an_open_stream_does_not_hold_up_the_end_of_the_deck(site, alice):
    run = (await alice.post("/runs", json=SUBMIT)).json()
    await site.launcher.backend("alice").tell(run["id"], "progress", {})
    async with alice.stream("GET", f"/runs/{run['id']}/events") as response:
        chunks = response.aiter_raw()
        await anext(chunks)
        site.deck.closing.set()
        async with asyncio.timeout(120):
            text = b"".join([chunk async for chunk in chunks])
    # Without an ``end``: the browser comes back to the next deck.
    assert b"event: end" not in text


async def test_a_file_of_a_run_is_downloaded_and_can_do_nothing_here(alice):
    run = (await alice.post("/runs", json=SUBMIT)).json()
    response = await alice.get(f"/runs/{run['id']}/files/out/result.html")
    assert response.content == b"<html"
    assert response.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["../../../apps", "..%2f..%2f..%2fapps", "out/../../x", "%2e%2e/%2e%2e/apps", "out//x"]
)
async def test_a_path_cannot_leave_the_route_that_was_authorised(site, alice, path):
    run = (await alice.post("/runs", json=SUBMIT)).json()
    target = f"{API}/runs/{run['id']}/files/{path}"
    # A raw request: clients tidy such paths up before they send them.
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(site.url).port)
    head = f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {alice.headers['authorization']}\r\nConnection: close"
    writer.write(f"{head}\r\n\r\n".encode())
    assert (await asyncio.wait_for(reader.readline(), 120)).split()[1] == b"404"
    writer.close()


def test_a_parameter_is_escaped_for_the_agent():
    assert agent_path("/runs/{run_id}/files/{path:path}", {"run_id": "a/b".replace("/", "?"), "path": "x y/é#"}) == (
        "/runs/a%3Fb/files/x%20y/%C3%A9%23"
    )
    with pytest.raises(Problem):
        agent_path("/runs/{run_id}", {"run_id": ".."})


async def test_a_request_that_says_it_is_too_large_is_refused_before_it_is_read(site, alice):
    response = await alice.post("/runs", content=b"x" * (2**20 + 1))
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
    assert "1 MiB" in response.json()["detail"]
    assert site.launcher.agents == {}


async def test_a_request_that_turns_out_too_large_is_refused(alice):
    async def endless():
        for _ in range(64):
            yield b"x" * 2**16

    response = await alice.post("/runs", content=endless())
    assert (response.status_code, response.json()["code"]) == (413, "too-large")


async def test_the_decks_own_routes_have_the_same_limit(alice):
    response = await alice.post("/server", content=b"x" * (2**20 + 1))
    assert (response.status_code, response.json()["code"]) == (413, "too-large")
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_an_agent_that_cannot_start_is_a_503_that_says_why(site, alice, monkeypatch):
    async def fail(user):
        raise site.launcher.unavailable(user, "no space left on device")

    monkeypatch.setattr(site.launcher, "ensure", fail)
    response = await alice.get("/runs")
    assert (response.status_code, response.json()["code"]) == (503, "agent-unavailable")
    assert "no space left" in response.json()["detail"]


async def test_an_agent_that_just_ended_is_asked_again(site, alice, monkeypatch):
    assert (await alice.get("/runs")).status_code == 200
    ensure, calls = site.launcher.ensure, []

    async def late(user):
        calls.append(user)
        path = await ensure(user)
        return path.with_name("gone.sock") if len(calls) == 1 else path

    monkeypatch.setattr(site.launcher, "ensure", late)
    assert (await alice.get("/runs")).status_code == 200
    assert len(calls) == 2


async def test_an_unknown_address_is_a_problem_and_not_a_page(alice):
    response = await alice.get("/nothing", headers={"Accept": "text/html"})
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


async def test_a_method_that_a_route_has_not_is_405(alice):
    response = await alice.put("/runs")
    assert (response.status_code, response.json()["code"]) == (405, "method-not-allowed")


async def test_an_agents_long_silence_is_told_and_not_asked_again(site, alice, monkeypatch):
    assert (await alice.get("/runs")).status_code == 200
    asked, over = [], asyncio.Event()

    async def silent(*_args, **_options):
        asked.append(1)
        await over.wait()

    monkeypatch.setattr("simdeck_deck.proxy.TIMEOUT", httpx.Timeout(0.05))
    monkeypatch.setattr(site.launcher.agents["alice"].asgi, "app", silent)
    response = await alice.get("/runs")
    assert (response.status_code, response.json()["code"]) == (503, "agent-unavailable")
    over.set()
    assert asked == [1]
