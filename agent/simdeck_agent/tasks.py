"""Runs the tasks: one thread each, one at a time per app, durable, cancellable, and told as events.

Order of things, so that a crash at any line is recoverable: the task is on disk as ``queued`` before the caller gets
its id, as ``running`` before anything is touched; the installer switches versions atomically; the worker learns of it;
then the task is ``done``. An agent that finds a task ``running`` at its start marks it failed, empties the staging
folder and has the worker read the apps anew; one that was only queued is begun.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from simdeck_common.problems import Problem

from simdeck_agent.models import Task, TaskEvent, TaskKind
from simdeck_agent.ports import AppInstaller, InstallProgress, WorkflowBackend
from simdeck_agent.task_store import TaskStore

log = logging.getLogger(__name__)

# Longer than a worker may take to start and to stop.
RELOAD_TIMEOUT = 120.0
# How long an install may take to break off when the agent ends.
STOP_SECONDS = 5.0


class _CancelledError(Exception):
    """The task was cancelled before it had begun."""


@dataclass
class _Job:
    """A task that is queued or running in this process."""

    task: Task
    cancelled: threading.Event = field(default_factory=threading.Event)


class Tasks:
    """All tasks of one user. Create it, then ``await start()`` within the event loop."""

    def __init__(self, store: TaskStore, installer: AppInstaller, backend: WorkflowBackend, parallel: int = 2) -> None:
        self.store = store
        self._installer = installer
        self._backend = backend
        self._slots = threading.BoundedSemaphore(parallel)
        self._lock = threading.Lock()
        self._queues: dict[str, list[_Job]] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self._ending = threading.Event()
        self._changed: dict[asyncio.Event, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Settle what the last agent left unfinished, and begin what it had queued."""
        self._loop = asyncio.get_running_loop()
        unfinished = await asyncio.to_thread(self.store.unfinished)
        interrupted = [task for task in unfinished if task.state == "running"]
        await asyncio.to_thread(self._installer.clean)
        for task in interrupted:
            problem = Problem("task-interrupted", kind=task.kind, app=task.app)
            self._end(task, "failed", problem=problem.to_json())
        if interrupted:
            await self._backend.reload()
        for task in unfinished:
            if task.state == "queued":
                self._enqueue(task)
        # The backend may have been updated since; fitting the apps' needs to it takes seconds, and nobody waits.
        thread = threading.Thread(target=self._renew, name="tasks-renew", daemon=True)
        self._threads.append(thread)
        thread.start()

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Break off what runs, so that no program of an install outlives the agent; the next one settles it."""
        with self._lock:
            self._stopping = True
            self._ending.set()
            threads = list(self._threads)
            for queue in self._queues.values():
                for job in queue:
                    job.cancelled.set()
        deadline = time.monotonic() + seconds
        for thread in threads:
            await asyncio.to_thread(thread.join, max(0.0, deadline - time.monotonic()))

    def active(self) -> bool:
        """Say whether a task is queued or running."""
        with self._lock:
            return any(self._queues.values())

    def submit(self, kind: TaskKind, app: str, version: str | None = None) -> Task:
        """Write the task down and begin it; the same request again while it is unfinished returns the same task."""
        with self._lock:
            for job in self._queues.get(app, []):
                same = job.task.kind == kind and job.task.version == version
                if same and not job.cancelled.is_set():
                    return self.store.get(job.task.id) or job.task
        task = self.store.create(kind, app, version)
        self._enqueue(task)
        return task

    def cancel(self, task_id: str) -> Task:
        """Ask a task to stop; it ends as ``cancelled`` soon after, unless it was already past undoing.

        Raises
        ------
        Problem
            404 ``task-not-found``; 409 ``task-ended``.
        """
        task = self.get(task_id)
        if task.over:
            raise Problem("task-ended", task=task_id)
        with self._lock:
            for job in self._queues.get(task.app, []):
                if job.task.id == task_id:
                    job.cancelled.set()
        return self.get(task_id)

    def get(self, task_id: str) -> Task:
        """Return the task; raises ``Problem`` 404 ``task-not-found``."""
        task = self.store.get(task_id)
        if task is None:
            raise Problem("task-not-found", task=task_id)
        return task

    async def events(self, task_id: str, after: int = 0) -> AsyncIterator[TaskEvent]:
        """Yield the task's events after ``after`` as they happen; ends when the task has ended."""
        changed = asyncio.Event()
        self._changed[changed] = task_id
        try:
            while True:
                changed.clear()
                # Asked before the events are read: a task that is over by then can have no later event.
                over = (await asyncio.to_thread(self.get, task_id)).over
                while events := await asyncio.to_thread(self.store.events, task_id, after):
                    for event in events:
                        yield event
                        after = event.seq
                if over:
                    return
                await changed.wait()
        finally:
            del self._changed[changed]

    # --- the threads ---------------------------------------------------------------------------------------------

    def _enqueue(self, task: Task) -> None:
        job = _Job(task)
        with self._lock:
            queue = self._queues.setdefault(task.app, [])
            queue.append(job)
            first = len(queue) == 1
        if first:
            thread = threading.Thread(target=self._work, args=(task.app,), name=f"tasks-{task.app}", daemon=True)
            self._threads = [other for other in self._threads if other.is_alive()] + [thread]
            thread.start()

    def _work(self, app: str) -> None:
        """Work off one app's queue, then end."""
        while True:
            with self._lock:
                queue = self._queues[app]
                if not queue:
                    return
                job = queue[0]
            with self._slots:
                try:
                    self._run(job)
                except Exception:
                    # The store itself fails (a full disk): the next start marks the task; the app's others go on.
                    log.exception("Cannot record task %s", job.task.id)
            with self._lock:
                queue.pop(0)
                if not queue:
                    # Under the same lock as the append: a task that comes now starts a thread of its own.
                    return

    def _run(self, job: _Job) -> None:
        task = job.task
        try:
            if job.cancelled.is_set():
                raise _CancelledError
            self._record(task, "state", {"state": "running"}, state="running")
            version = self._act(job)
            self._reload()
            self._end(task, "done", version=version)
        except Exception as error:
            if self._stopping:
                # Left as it stands on disk: the next agent settles what ran and begins what was queued.
                return
            if job.cancelled.is_set():
                self._end(task, "cancelled")
                return
            if not isinstance(error, Problem):
                log.exception("%s of %s failed", task.kind, task.app)
            problem = error if isinstance(error, Problem) else Problem("unexpected")
            self._end(task, "failed", problem=problem.to_json())

    def _act(self, job: _Job) -> str | None:
        """Do what the task asks; return the version concerned."""
        task = job.task
        report, cancelled = self._reporter(task), job.cancelled
        if task.kind == "install":
            return self._installer.install(task.app, task.version, report=report, cancelled=cancelled).current
        if task.kind == "add":
            self._installer.install(task.app, task.version, report=report, cancelled=cancelled, beside=True)
            return task.version
        if task.kind == "guest":
            self._installer.install_guest(task.app, str(task.version), report=report, cancelled=cancelled)
            return task.version
        if task.kind == "rollback":
            return self._installer.rollback(task.app, report=report, cancelled=cancelled).current
        check_unused(self._backend, task.app, task.version)
        self._installer.remove(task.app, task.version, report=report, cancelled=cancelled)
        return task.version

    def _reporter(self, task: Task) -> Callable[[InstallProgress], None]:
        def report(progress: InstallProgress) -> None:
            if progress.kind == "log":
                self._record(task, "log", {"line": progress.message})
            else:
                data = {"step": progress.step, "message": progress.message}
                self._record(task, "step", data, step=progress.step, message=progress.message)

        return report

    def _renew(self) -> None:
        try:
            if self._installer.renew_backend(self._ending):
                self._reload()
        except Exception as error:
            if not self._stopping:
                log.warning("The workflow backend lacks what installed apps need: %s", error)

    def _reload(self) -> None:
        """Have the worker see the apps as they are now."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._backend.reload(), self._loop).result(RELOAD_TIMEOUT)

    def _end(self, task: Task, state: str, **changes: Any) -> None:
        data = {"state": state} | ({"problem": changes["problem"]} if "problem" in changes else {})
        self._record(task, "state", data, state=state, **changes)

    def _record(self, task: Task, event: str, data: dict[str, Any], **changes: Any) -> None:
        self.store.update(task.id, event, data, **changes)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, task.id)

    def _wake(self, task_id: str) -> None:
        for changed, watched in self._changed.items():
            if watched == task_id:
                changed.set()


def check_unused(backend: WorkflowBackend, app: str, version: str | None) -> None:
    """Refuse (409 ``version-in-use``) to remove an app, or one version of it, that unfinished runs need."""
    used = backend.versions_in_use(app)
    needed = sorted(used if version is None else used & {version})
    if needed:
        raise Problem("version-in-use", field="version", app=app, version=", ".join(needed))
