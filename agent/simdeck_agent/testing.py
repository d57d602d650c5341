"""Stand-ins for tests of the agent and of what stands before it: a backend and an installer in memory, and servers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simdeck_appstore.guest_versions import GuestVersion
from simdeck_appstore.models import InstalledApp, NotebookEntry
from simdeck_appstore.usage import AppUsage, GenerationUsage, VersionUsage
from simdeck_common.problems import Problem
from simdeck_workflows.clusters import RunCluster, offer
from simdeck_workflows.diff import RunDiff, diff_runs
from simdeck_workflows.models import (
    Cleaned,
    Deletion,
    Event,
    FileEntry,
    Run,
    RunPage,
    RunRequest,
    RunState,
    Scratch,
    Workflow,
)
from simdeck_workflows.notices import Notices
from simdeck_workflows.policy import NoticeSettings
from simdeck_workflows.run_records import Records
from simdeck_workflows.ssh_keys import KeyStore
from simdeck_workflows.store import Store
from simdeck_workflows.sweeps import Sweep, SweepRequest, SweepTable, inputs_at, points
from starlette.types import ASGIApp

from simdeck_agent.app import AgentApp
from simdeck_agent.launcher import Launcher
from simdeck_agent.models import now
from simdeck_agent.ports import InstallProgress
from simdeck_agent.serving import Server, unix_socket


class FakeBackend:
    """Runs that do what the test says: ``tell`` adds an event, ``finish`` ends the run."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.keys: dict[str, str] = {}
        self.told: dict[str, list[Event]] = {}
        self.reloads = 0
        self.streams = 0
        self.folder: Path | None = None
        self._kept = tempfile.TemporaryDirectory(prefix="simdeck-fake-")
        store = Store(Path(self._kept.name) / "store" / "runs.sqlite")
        self.ssh_keys = KeyStore(Path(self._kept.name) / "keys")
        self.records = Records(store)
        self.notices = Notices(store, NoticeSettings(), "")
        self.another = False
        self.clusters: tuple[RunCluster, ...] = ()
        self.sent: dict[str, RunRequest] = {}
        self._news = asyncio.Condition()

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def reload(self) -> None:
        self.reloads += 1

    def worker_state(self) -> dict[str, Any]:
        return {"state": "idle", "reason": None}

    def active(self) -> bool:
        return any(not run.state.ended for run in self.runs.values())

    def versions_in_use(self, app: str) -> set[str]:
        return {run.app_version for run in self.runs.values() if run.app == app and not run.state.ended}

    def workflows(self) -> list[Workflow]:
        return [self.workflow("molecule.optimize"), *([self.workflow("secret.bake")] if self.another else [])]

    def workflow(self, name: str) -> Workflow:
        if name != "molecule.optimize" and not (self.another and name == "secret.bake"):
            raise Problem("not-found")
        properties = {"charge": {"type": "integer"}, "structure": {"type": "object", "x-simdeck-type": "structure"}}
        schema = {"type": "object", "properties": properties}
        app = name.partition(".")[0]
        return offer(Workflow(name=name, app=app, title="Optimise", schema=schema), self.clusters)

    async def validate(self, name: str, inputs: dict[str, Any]) -> None:
        self.workflow(name)
        if inputs.get("charge", 0) > 10:
            raise Problem("invalid-input", field="charge", detail="The charge is too high.")

    def submit(self, request: RunRequest, idempotency_key: str | None = None) -> Run:
        if idempotency_key in self.keys:
            return self.run(self.keys[idempotency_key])
        run = Run(
            id=str(uuid.uuid4()),
            workflow=request.workflow,
            app="molecule",
            app_version="1.0",
            title=request.title or "A run",
            state=RunState.RUNNING,
            created=datetime.now(UTC),
        )
        self.runs[run.id] = run
        self.sent[run.id] = request
        self.told[run.id] = []
        if idempotency_key is not None:
            self.keys[idempotency_key] = run.id
        return run

    def list_runs(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        state: RunState | None = None,
        workflow: str | None = None,
        app: str | None = None,
        sweep: str | None = None,
        only: Collection[str] | None = None,
    ) -> RunPage:
        found = [run for run in reversed(self.runs.values()) if only is None or run.workflow in only]
        return RunPage(items=found[:limit])

    async def history(self, run_id: str, after: int = 0, limit: int = 500, wait: float = 0.0) -> list[Event]:
        async with self._news:
            if not [event for event in self.told[run_id] if event.seq > after] and not self.runs[run_id].state.ended:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), wait)
        return [event for event in self.told[run_id] if event.seq > after][:limit]

    def run(self, run_id: str) -> Run:
        if run_id not in self.runs:
            raise Problem("not-found")
        return self.runs[run_id]

    def rename(self, run_id: str, title: str) -> Run:
        return self._change(run_id, title=title)

    def inputs(self, run_id: str) -> dict[str, Any]:
        return {"of": self.run(run_id).id}

    def outputs(self, run_id: str) -> dict[str, Any]:
        return {"of": self.run(run_id).id}

    async def tell(self, run_id: str, kind: str, data: dict[str, Any]) -> None:
        """Add an event to the run, and wake its listeners."""
        async with self._news:
            events = self.told[run_id]
            events.append(Event(seq=len(events) + 1, time=datetime.now(UTC), type=kind, data=data))
            self._news.notify_all()

    async def finish(self, run_id: str, state: RunState = RunState.FINISHED) -> None:
        """End the run."""
        self._change(run_id, state=state, ended=datetime.now(UTC))
        await self.tell(run_id, "state", {"state": str(state)})

    async def events(self, run_id: str, after: int = 0) -> AsyncIterator[Event]:
        self.streams += 1
        try:
            while True:
                async with self._news:
                    news = [event for event in self.told[run_id] if event.seq > after]
                    if not news:
                        if self.runs[run_id].state.ended:
                            return
                        await self._news.wait()
                        continue
                for event in news:
                    after = event.seq
                    yield event
        finally:
            self.streams -= 1

    async def files(self, run_id: str) -> list[FileEntry]:
        self.run(run_id)
        return [FileEntry(path="out/result.html", size=5, node="n")]

    async def open_file(self, run_id: str, path: str) -> bytes:
        self.run(run_id)
        if path != "out/result.html":
            raise Problem("not-found")
        return b"<html"

    async def archive(self, run_id: str) -> Path:
        self.run(run_id)
        assert self.folder is not None
        path = self.folder / f"{run_id}.zip"
        path.write_bytes(b"PK")
        return path

    def release(self, path: Path) -> None:
        path.unlink()

    async def log(self, run_id: str) -> str:
        return f"log of {self.run(run_id).id}"

    async def graph(self, run_id: str) -> dict[str, Any]:
        return {"nodes": [{"id": self.run(run_id).id, "label": "run", "kind": "data"}], "edges": []}

    async def graph_svg(self, run_id: str) -> str:
        return f"<svg>{self.run(run_id).id}</svg>"

    async def cancel(self, run_id: str) -> Run:
        await self.finish(self.run(run_id).id, RunState.CANCELLED)
        return self.run(run_id)

    async def pause(self, run_id: str) -> Run:
        return self._change(run_id, paused=True)

    async def resume(self, run_id: str) -> Run:
        return self._change(run_id, paused=False)

    def sweep(self, request: SweepRequest, idempotency_key: str | None = None) -> Sweep:
        runs = []
        for point in points(request):
            run = self.submit(RunRequest(workflow=request.workflow, title=request.title))
            runs.append((run, inputs_at(request, point), point))
        return self.records.accept_sweep(request, request.title or "A sweep", runs)

    async def cancel_sweep(self, number: str) -> SweepTable:
        return self.records.sweep(number)

    async def deletion(self, run_id: str) -> Deletion:
        return Deletion(run=self.run(run_id), nodes=3, files=1, size=5)

    async def delete(self, run_id: str) -> None:
        self.run(run_id)
        del self.runs[run_id]

    async def export(self, run_id: str, kind: str, license: str | None = None) -> Path:
        return await self.archive(run_id)

    async def citations(self, run_id: str) -> list[dict[str, Any]]:
        return [{"kind": "engine", "text": self.run(run_id).id}]

    async def import_archive(self, pieces: AsyncIterator[bytes]) -> list[Run]:
        if not b"".join([piece async for piece in pieces]).startswith(b"PK"):
            raise Problem("archive-refused", reason="it is none")
        return []

    async def scratch(self) -> Scratch:
        zero = dict.fromkeys(Scratch.model_fields, 0)
        return Scratch.model_validate(zero)

    async def clean_scratch(self, older_than_days: float) -> Cleaned:
        return Cleaned(folders=0, size=0)

    def diff(self, left: str, right: str) -> RunDiff:
        runs = self.run(left), self.run(right)
        return diff_runs(runs, ({"of": left}, {"of": right}), ({}, {}))

    def retry(
        self,
        run_id: str,
        idempotency_key: str | None = None,
        changes: dict[str, Any] | None = None,
        reuse: bool = False,
    ) -> Run:
        old = self.run(run_id)
        request = RunRequest(workflow=old.workflow, title=old.title, inputs=changes or {})
        new = self.submit(request, idempotency_key)
        return self._change(new.id, retry_of=run_id, reuse=reuse)

    def _change(self, run_id: str, **changes: Any) -> Run:
        self.runs[run_id] = self.run(run_id).model_copy(update=changes)
        return self.runs[run_id]


class FakeInstaller:
    """Apps that are installed by saying so; with ``hold`` installs wait for ``release`` or their cancellation."""

    def __init__(self) -> None:
        self.apps: dict[str, list[str]] = {}
        self.hold = False
        self.begun = threading.Event()
        self.release = threading.Event()
        self.cleaned = 0
        self.for_all: set[str] = set()
        self.guest_versions: dict[str, list[str]] = {}
        self.open_pages: set[str] = set()

    def installed(self) -> list[InstalledApp]:
        return [self.get(app) for app in self.apps]

    def get(self, app: str) -> InstalledApp:
        versions = self.apps.get(app)
        if not versions:
            raise Problem("app-not-installed", app=app)
        return InstalledApp(
            id=app,
            title=app.title(),
            summary="",
            current=versions[-1],
            versions=versions,
            previous=versions[-2] if len(versions) > 1 else None,
            site_versions=["1.0"] if app in self.for_all else [],
            entry=NotebookEntry(path="app.ipynb"),
            installed=now(),
        )

    def version_for(self, app: str, version: str | None, groups: frozenset[str]) -> str | None:
        return version

    def is_for(self, app: str, groups: frozenset[str]) -> bool:
        return True

    def install(
        self,
        app: str,
        version: str | None = None,
        *,
        report: Callable[[InstallProgress], None],
        cancelled: threading.Event,
        beside: bool = False,
    ) -> InstalledApp:
        report(InstallProgress(step="resolve", message=f"Looking up {app}"))
        self.begun.set()
        if app == "nowhere":
            raise Problem("app-not-found", app=app)
        while self.hold and not self.release.wait(0.01):
            if cancelled.is_set():
                raise InterruptedError
        report(InstallProgress(step="build", kind="log", message="one line"))
        versions = self.apps.setdefault(app, [])
        versions.insert(max(0, len(versions) - 1) if beside else len(versions), version or "1.0")
        report(InstallProgress(step="ready", message=f"{app} is ready"))
        return self.get(app)

    def rollback(
        self, app: str, *, report: Callable[[InstallProgress], None], cancelled: threading.Event
    ) -> InstalledApp:
        self.apps[app].pop()
        return self.get(app)

    def remove(
        self,
        app: str,
        version: str | None = None,
        *,
        report: Callable[[InstallProgress], None],
        cancelled: threading.Event,
    ) -> None:
        if version is None:
            del self.apps[app]
        else:
            self.apps[app].remove(version)

    def install_guest(
        self, app: str, version: str, *, report: Callable[[InstallProgress], None], cancelled: threading.Event
    ) -> None:
        report(InstallProgress(step="build", message=f"Making {app} {version}"))
        self.guest_versions.setdefault(app, []).append(version)

    def guests(self) -> list[GuestVersion]:
        return [
            GuestVersion(app=app, version=version, title=app.title())
            for app, versions in self.guest_versions.items()
            for version in versions
            if version not in self.apps.get(app, [])
        ]

    def remove_guest(self, app: str, version: str) -> bool:
        if app in self.open_pages:
            return False
        self.guest_versions[app].remove(version)
        return True

    def follow_site(self, offered: Callable[[str], bool], stays: Callable[[str], bool]) -> bool:
        self.apps = {app: versions for app, versions in self.apps.items() if app not in self.for_all or offered(app)}
        new = {app: ["1.0"] for app in self.for_all if offered(app) and app not in self.apps}
        self.apps |= new
        return bool(new)

    def renew_backend(self, cancelled: threading.Event | None = None) -> bool:
        return False

    def usage(self) -> list[AppUsage]:
        one = VersionUsage(version="1.0", size=4096, own=1024)
        return [AppUsage(app=app, size=4096, own=1024, versions=[one]) for app in self.apps]

    def backend_usage(self) -> list[GenerationUsage]:
        return []

    def clean(self) -> None:
        self.cleaned += 1


class _QuietServer(Server):
    """A server among others in one event loop: signals stay the test's."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()


@asynccontextmanager
async def serving(app: ASGIApp, closing: asyncio.Event, listening: socket.socket | None = None) -> AsyncIterator[str]:
    """Serve ``app`` on ``listening`` (default: a free port of 127.0.0.1); yields its address."""
    if listening is None:
        listening = socket.create_server(("127.0.0.1", 0))
    address = "" if listening.family == socket.AF_UNIX else f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = _QuietServer(app, closing)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield address
    finally:
        server.end()
        await task


class FakeLauncher(Launcher):
    """Agents with fakes behind them, in this event loop, started on first use like real ones."""

    def prepare(self) -> None:
        """Begin with no agents."""
        self.agents: dict[str, AgentApp] = {}
        self.stack = contextlib.AsyncExitStack()

    async def ensure(self, user: str) -> Path:
        async with self._locks.setdefault(user, asyncio.Lock()):
            path = self.home(user).agent_socket
            if user not in self.agents:
                backend = FakeBackend()
                backend.folder = self.home(user).root
                agent = AgentApp(user, self.home(user), self.settings, FakeInstaller(), backend)
                await self.stack.enter_async_context(serving(agent.asgi, agent.closing, unix_socket(path)))
                self.agents[user] = agent
            return path

    def installer(self, user: str) -> FakeInstaller:
        installer = self.agents[user].app.state.agent.installer
        assert isinstance(installer, FakeInstaller)
        return installer

    def backend(self, user: str) -> FakeBackend:
        backend = self.agents[user].backend
        assert isinstance(backend, FakeBackend)
        return backend
