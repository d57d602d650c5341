"""How the pages ask the deck's own parts: agents over HTTP, the registry, the hub."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from simdeck_appstore.registry import Registry
from simdeck_common.problems import Problem
from simdeck_deck.agents import Agents
from simdeck_deck.pages import binding
from simdeck_deck.pages.binding import AgentOf, StoreOf

Answer = Callable[[httpx.Request], httpx.Response]


class OneAgent(Agents):
    """Agents of which there is one, answering from a function."""

    def __init__(self, answer: Answer) -> None:
        self._client = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://agent")
        self.launcher = SimpleNamespace(  # type: ignore[assignment]
            unavailable=lambda user, reason: Problem("agent-unavailable", reason=reason, log="agent.log")
        )

    async def client(self, user: str) -> httpx.AsyncClient:
        return self._client


class Past(httpx.AsyncByteStream):
    """An event stream that tells the past and then stays open, or ends."""

    def __init__(self, *events: tuple[str, Any], ends: bool) -> None:
        self.events = events
        self.ends = ends

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b": still here\n\n"
        for number, (kind, data) in enumerate(self.events):
            yield f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()
        if self.ends:
            yield b'event: end\ndata: {"state": "finished"}\n\n'
        else:
            await asyncio.Event().wait()


async def test_an_answer_without_a_body_is_nothing() -> None:
    agent = AgentOf(OneAgent(lambda _: httpx.Response(204)), "ada")
    assert await agent.send("DELETE", "/runs/1") is None


@pytest.mark.parametrize("ends", [True, False])
async def test_the_history_of_a_stream_is_its_past_without_waiting_for_news(ends: bool) -> None:
    events = (("state", {"state": "running"}), ("progress", {"text": "data: tricky\nevent: end"}))
    agent = AgentOf(OneAgent(lambda _: httpx.Response(200, stream=Past(*events, ends=ends))), "ada")
    assert await agent.history("/runs/1/events") == list(events)


async def test_a_stream_that_never_pauses_has_a_history_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "HISTORY_SECONDS", 0.1)

    class Chatter(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b'event: progress\ndata: {"step": 1}\n\n'
                await asyncio.sleep(0.005)

    agent = AgentOf(OneAgent(lambda _: httpx.Response(200, stream=Chatter())), "ada")
    assert ("progress", {"step": 1}) in await agent.history("/runs/1/events")


async def test_a_problem_of_the_agent_is_raised_as_it_came() -> None:
    body = Problem("run-not-found", run="1").to_json()
    agent = AgentOf(OneAgent(lambda _: httpx.Response(404, json=body)), "ada")
    for ask in (
        agent.get("/runs/1"),
        agent.text("/runs/1/log"),
        agent.send("POST", "/runs/1/cancel"),
        agent.history("/x"),
    ):
        with pytest.raises(Problem) as caught:
            await ask
        assert caught.value.to_json() == body


async def test_an_agent_that_breaks_off_is_unavailable() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone")

    agent = AgentOf(OneAgent(broken), "ada")
    for ask in (agent.get("/runs"), agent.text("/x"), agent.send("POST", "/x"), agent.history("/x")):
        with pytest.raises(Problem) as caught:
            await ask
        assert caught.value.code == "agent-unavailable"


async def test_a_page_does_not_wait_for_ever_for_an_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "PATIENCE", 0.01)
    agents = OneAgent(lambda _: httpx.Response(200))

    async def never(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    agents.get_json = never  # type: ignore[method-assign]
    with pytest.raises(Problem) as caught:
        await AgentOf(agents, "ada").get("/runs")
    assert caught.value.code == "agent-unavailable"


async def test_a_change_sends_its_body_and_nothing_else() -> None:
    seen: list[tuple[str, str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path, request.content))
        return httpx.Response(202, json={"id": "t"})

    agent = AgentOf(OneAgent(answer), "ada")
    assert await agent.send("POST", "/apps/a/install", {"version": "1"}) == {"id": "t"}
    await agent.send("DELETE", "/apps/a")
    assert seen == [("POST", "/apps/a/install", b'{"version":"1"}'), ("DELETE", "/apps/a", b"")]


async def test_the_store_reads_a_real_registry_and_misses_an_app_quietly(tmp_path: Path) -> None:
    entry = {"id": "mol", "title": "Molecule", "summary": "s", "categories": ["qc"], "latest": "1", "versions": ["1"]}
    index = {"revision": "r", "categories": {"qc": {"title": "Quantum chemistry"}}, "apps": [entry]}
    (tmp_path / "api/v2").mkdir(parents=True)
    (tmp_path / "api/v2/index.json").write_text(json.dumps(index))
    store = StoreOf(Registry(tmp_path))
    found = await store.index()
    assert (found["apps"][0]["title"], found["categories"]["qc"]["title"]) == ("Molecule", "Quantum chemistry")
    assert [item["id"] for item in await store.search("molec")] == ["mol"]
    assert await store.search("nothing") == []
    assert await store.app("elsewhere") is None


async def test_a_registry_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem):
        await StoreOf(Registry(tmp_path / "nowhere")).app("mol")
