"""Stand-ins for what the pages ask: an agent, the store, the Jupyter servers; and everything around one user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from simdeck_agent.shares import Received, ShareRequest
from simdeck_appstore.models import IndexEntry
from simdeck_appstore.search import SearchIndex
from simdeck_common.problems import Problem
from simdeck_deck.pages.sources import Sources
from simdeck_deck.servers import DEFAULT, ClusterView, EstimateView, Options, ServerView
from simdeck_deck.sharing import ShareView


def down() -> Problem:
    return Problem("agent-unavailable", reason="it does not answer", log="agent.log")


@dataclass
class FakeAgent:
    """An agent that answers from dictionaries and writes down what it is sent."""

    apps: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    workflows: list[dict[str, Any]] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    log: str = ""
    worker: dict[str, Any] = field(default_factory=lambda: {"state": "running", "reason": None})
    problem: Problem | None = None
    refusal: Problem | None = None
    more: dict[str, Any] = field(default_factory=dict)
    sent: list[tuple[str, str, Any]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def get(self, path: str, **params: Any) -> Any:
        if self.problem:
            raise self.problem
        self.asked.append((path, params))
        if path in self.more:
            if isinstance(found := self.more[path], Problem):
                raise found
            return found
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match parts:
            case ["status"]:
                return {"worker": self.worker}
            case ["apps"]:
                return {"items": self.apps}
            case ["usage", "apps"]:
                items = [
                    {"app": app["id"], "size": 84_000_000, "own": 9_100_000, "versions": [
                        {"version": version, "size": 84_000_000, "own": 9_100_000, "site": False}
                        for version in app["versions"]
                    ]}
                    for app in self.apps
                ]  # fmt: skip
                return {"items": items, "size": 84_000_000 * len(items), "own": 9_100_000 * len(items)}
            case ["guests"]:
                return {"items": []}
            case ["tasks"]:
                return {"items": self.tasks}
            case ["tasks", task]:
                return self._one(self.tasks, task, "task-not-found", task=task)
            case ["workflows"]:
                return {"items": self.workflows}
            case ["workflows", name]:
                found = [item for item in self.workflows if item["name"] == name]
                if not found:
                    raise Problem("workflow-not-found", workflow=name)
                return found[0]
            case ["runs"]:
                return self._page(params)
            case ["runs", run]:
                return self._one(self.runs, run, "run-not-found", run=run)
            case ["runs", _, "inputs"]:
                return self.inputs
            case ["runs", _, "outputs"]:
                return self.outputs
            case ["runs", _, "files"]:
                return {"items": self.files}
            case ["runs", run, "deletion" | "diff"]:
                found = self._one(self.runs, run, "run-not-found", run=run)
                if found["state"] in ("accepted", "running"):
                    raise Problem("run-not-ended")
                raise Problem("run-in-use", others="1b7e0c52")
            case ["sweeps"]:
                return {"items": []}
            case ["sweeps", sweep]:
                raise Problem("sweep-not-found", sweep=sweep)
        raise AssertionError(f"the fake agent does not know {path}")

    def _page(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found = [
            run
            for run in self.runs
            if all(params.get(key) in (None, run.get(key)) for key in ("state", "workflow", "app"))
        ]
        at = int(params.get("cursor") or 0)
        end = at + int(params.get("limit") or 50)
        return {"items": found[at:end], "next_cursor": str(end) if end < len(found) else None}

    def _one(self, items: list[dict[str, Any]], wanted: str, code: str, **params: Any) -> dict[str, Any]:
        found = [item for item in items if item["id"] == wanted]
        if not found:
            raise Problem(code, **params)
        return found[0]

    async def text(self, path: str) -> str:
        if self.problem:
            raise self.problem
        return self.log

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        if self.problem:
            raise self.problem
        self.sent.append((method, path, body))
        if self.refusal:
            raise self.refusal
        return {"id": "new-id"}

    async def history(self, path: str) -> list[tuple[str, dict[str, Any]]]:
        if self.problem:
            raise self.problem
        return self.events


@dataclass
class FakeStore:
    entries: list[dict[str, Any]] = field(default_factory=list)
    categories: dict[str, dict[str, str]] = field(default_factory=dict)
    problem: Problem | None = None

    async def index(self) -> Mapping[str, Any]:
        if self.problem:
            raise self.problem
        return {"apps": self.entries, "categories": self.categories}

    async def search(self, text: str) -> list[Mapping[str, Any]]:
        if self.problem:
            raise self.problem
        found = SearchIndex([IndexEntry.model_validate(entry) for entry in self.entries]).find(text)
        return [dict(entry) for entry in found]

    async def app(self, app: str) -> Mapping[str, Any] | None:
        if self.problem:
            raise self.problem
        return next((entry for entry in self.entries if entry["id"] == app), None)


@dataclass
class FakeServer:
    answer: dict[str, Any] = field(default_factory=lambda: {"state": "stopped"})
    problem: Problem | None = None
    started: int = 0
    stopped: int = 0

    async def state(self) -> Mapping[str, Any]:
        if self.problem:
            raise self.problem
        return self.answer

    async def start(self) -> None:
        if self.problem:
            raise self.problem
        self.started += 1

    async def stop(self) -> None:
        self.stopped += 1


@dataclass
class FakeServers:
    """Servers and clusters, shaped as the hub tells them, read by the deck's own models."""

    told: list[dict[str, Any]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)
    begun: dict[str, Any] = field(default_factory=dict)
    source: str = "site"
    problem: Problem | None = None
    refusal: Problem | None = None
    started: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    stopped: list[tuple[str, bool]] = field(default_factory=list)
    continued: list[str] = field(default_factory=list)
    estimated: list[dict[str, Any]] = field(default_factory=list)

    async def clusters(self) -> list[ClusterView]:
        if self.problem:
            raise self.problem
        return [ClusterView.model_validate(one) for one in self.told]

    async def servers(self) -> list[ServerView]:
        if self.problem:
            raise self.problem
        return [ServerView.model_validate(one) for one in self.views]

    async def server(self, name: str) -> ServerView:
        found = [one for one in await self.servers() if one.name == name]
        if not found and name != DEFAULT:
            raise Problem("server-not-found", server=name)
        return found[0] if found else ServerView()

    async def estimate(self, options: dict[str, Any]) -> EstimateView:
        self.estimated.append(options)
        if self.refusal:
            raise self.refusal
        return EstimateView.model_validate(self.answer)

    async def beginning(self, app: str, clusters: list[ClusterView]) -> Options:
        return Options.model_validate({"options": self.begun, "source": self.source})

    async def start(self, name: str, options: dict[str, Any]) -> ServerView:
        if self.refusal:
            raise self.refusal
        self.started.append((name, options))
        self.views = [one for one in self.views if one["name"] != name]
        self.views.append({"name": name, "phase": "submitting", "options": options})
        return await self.server(name)

    async def replace(self, name: str, options: dict[str, Any]) -> ServerView:
        self.stopped.append((name, False))
        return await self.start(name, options)

    async def stop(self, name: str, *, remove: bool = False) -> None:
        await self.server(name)
        self.stopped.append((name, remove))

    async def continue_(self, name: str, changes: dict[str, Any]) -> ServerView:
        await self.server(name)
        self.continued.append(name)
        return ServerView(name=f"{name.strip('-') or 'server'}-2", phase="submitting")


@dataclass
class FakeFacts:
    people: dict[str, int] = field(default_factory=dict)
    offered: list[str] = field(default_factory=list)

    async def used(self, app: str) -> int:
        return self.people.get(app, 0)

    async def codes(self) -> list[str]:
        return self.offered


@dataclass
class FakeSharing:
    """What one user shares and has been given; ``told`` are the parts of the one shared run that can be read."""

    shares: list[ShareView] = field(default_factory=list)
    items: list[Received] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None
    done: list[tuple[Any, ...]] = field(default_factory=list)

    async def mine(self, user: Any) -> list[ShareView]:
        if self.problem:
            raise self.problem
        return self.shares

    async def create(self, user: Any, wanted: ShareRequest) -> ShareView:
        self.done.append(("create", wanted))
        return self.shares[0]

    async def revoke(self, user: Any, share: str) -> None:
        self.done.append(("revoke", share))

    async def received(self, user: Any) -> list[Received]:
        if self.problem:
            raise self.problem
        return self.items

    async def claim(self, user: Any, ticket: str, key: str) -> None:
        self.done.append(("claim", ticket, key))

    async def forget(self, user: Any, ticket: str) -> None:
        self.done.append(("forget", ticket))

    async def read(self, user: Any, ticket: str, part: str) -> Any:
        if part not in self.told:
            raise Problem("share-ended")
        return self.told[part]


@dataclass
class World:
    """Everything around one user's pages."""

    agent: FakeAgent = field(default_factory=FakeAgent)
    store: FakeStore = field(default_factory=FakeStore)
    server: FakeServer = field(default_factory=FakeServer)
    servers: FakeServers = field(default_factory=FakeServers)
    facts: FakeFacts = field(default_factory=FakeFacts)
    sharing: FakeSharing = field(default_factory=FakeSharing)

    def sources(self) -> Sources:
        return Sources(self.agent, self.store, self.server, self.servers, self.facts)
