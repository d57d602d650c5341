"""The gate every calculation passes before it begins: limits, rates, priorities and the administrator's pause.

A calculation holds its place from its upload until its job is done. Those that wait are let through by priority, then
by age, and say why they wait. What waits is an ordinary process of the engine, so a worker that dies loses nothing:
the next one has it wait again. A group's limit is one file for each calculation, which a worker locks: the places of
a worker that dies are free at once.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiida import orm
from aiida.common.datastructures import CalcJobState
from aiida.engine.processes.calcjobs import tasks
from aiida.schedulers import JobState
from simdeck_clusters.reasons import explain
from simdeck_common.problems import Problem

from simdeck_workflows.clusters import RunCluster
from simdeck_workflows.models import Waiting
from simdeck_workflows.policy import GroupLimit, RunPolicy, read_pause

LOG = logging.getLogger(__name__)

LOOK_EVERY = 1.0
_SWEEP_EVERY = 30.0
_MINUTE = 60.0


@dataclass
class Waiter:
    """A calculation at the gate."""

    order: tuple[int, int, int]
    node: Any
    cluster: str
    future: asyncio.Future[None]


@dataclass
class Place:
    """A calculation that was let through, with the files it holds locked."""

    node: Any
    cluster: str
    locks: list[int] = field(default_factory=list)


class Gate:
    """Lets calculations through.

    Parameters
    ----------
    order
        Of a node: rank of its run's priority (low first served), the run's age.
    tell
        Called with a node and why it waits, or None when it does not (any more).
    """

    def __init__(
        self,
        policy: RunPolicy,
        user: str,
        clusters: Iterable[RunCluster],
        order: Callable[[Any], tuple[int, int]],
        tell: Callable[[Any, Waiting | None], None],
    ) -> None:
        self._policy = policy
        self._groups = policy.groups_of(user)
        self._rates = {one.name: one.submissions_per_minute for one in clusters if one.submissions_per_minute}
        self._elsewhere = {one.name for one in clusters}
        self._order = order
        self._tell = tell
        self._places: dict[int, Place] = {}
        self._queue: list[Waiter] = []
        self._submitted: dict[str, deque[float]] = {name: deque() for name in self._rates}
        self._here = policy.calculations_here or max(4, os.cpu_count() or 1)
        self._swept = time.monotonic()
        self.on_pause_end: Callable[[], None] = lambda: None

    def paused(self) -> Waiting | None:
        """The administrator's pause, as what is told of those that wait for its end."""
        pause = read_pause(self._policy.pause_file)
        if pause is None:
            return None
        return _waiting("waiting-pause", reason=f": {pause.reason.rstrip('.')}" if pause.reason else "")

    # --- coming and going ----------------------------------------------------------------------------------------

    def adopt(self, nodes: Iterable[Any]) -> None:
        """Give their places to calculations that run already, whatever the limits say now."""
        for node in nodes:
            if isinstance(node, orm.CalcJobNode) and node.get_state() is CalcJobState.WITHSCHEDULER:
                self._place(node)

    async def enter(self, node: Any, cancellable: Any) -> None:
        """Wait until the calculation may begin."""
        if node.pk in self._places:
            return
        if node.get_state() is CalcJobState.WITHSCHEDULER:
            self._place(node)
            return
        future = asyncio.get_running_loop().create_future()
        waiter = Waiter((*self._order(node), node.pk), node, _cluster(node), future)
        self._queue.append(waiter)
        self.look()
        try:
            if not future.done():
                await cancellable.with_interrupt(future)
        except BaseException:
            # Let through at the very moment of its interruption: the place is free again.
            if future.done() and not future.cancelled():
                self.release(node.pk)
            future.cancel()
            raise
        finally:
            if waiter in self._queue:
                self._queue.remove(waiter)
                self._tell(node, None)

    def release(self, pk: int) -> None:
        """The calculation's job is done, or never began."""
        place = self._places.pop(pk, None)
        if place is None:
            return
        for lock in place.locks:
            os.close(lock)
        self.look()

    def look(self) -> None:
        """Let through whoever may go, the most important first."""
        if time.monotonic() - self._swept > _SWEEP_EVERY:
            self._sweep()
        pause = self.paused() if self._queue else None
        for waiter in sorted(self._queue, key=lambda one: one.order):
            why = pause or self._why_not(waiter)
            if why is None:
                self._queue.remove(waiter)
                self._tell(waiter.node, None)
                if not waiter.future.done():
                    waiter.future.set_result(None)
            else:
                self._tell(waiter.node, why)

    async def watch(self) -> None:
        """Look now and then: pauses end, minutes pass, other users' calculations end, and nobody says so."""
        rests = False
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                rested, rests = rests, self.paused() is not None
                if rested and not rests:
                    self.on_pause_end()
                if self._queue or time.monotonic() - self._swept > _SWEEP_EVERY:
                    self.look()
            except Exception:
                LOG.exception("the gate could not be looked after; it is tried again")

    # --- below ---------------------------------------------------------------------------------------------------

    def _why_not(self, waiter: Waiter) -> Waiting | None:
        """Give the calculation a place and return None, or say why there is none."""
        most = self._policy.calculations_per_user
        if most is not None and len(self._places) >= most:
            return _waiting("waiting-user-limit", most=most)
        if waiter.cluster not in self._elsewhere:
            here = sum(place.cluster not in self._elsewhere for place in self._places.values())
            if here >= self._here:
                return _waiting("waiting-here", most=self._here)
        if not self._in_time(waiter.cluster):
            return _waiting("waiting-rate", cluster=waiter.cluster, most=self._rates[waiter.cluster])
        locks: list[int] = []
        for group in self._groups:
            lock = self._lock(group)
            if lock is None:
                for held in locks:
                    os.close(held)
                return _waiting("waiting-group-limit", group=group.name, most=group.calculations)
            locks.append(lock)
        self._places[waiter.node.pk] = Place(waiter.node, waiter.cluster, locks)
        if waiter.cluster in self._submitted:
            self._submitted[waiter.cluster].append(time.monotonic())
        return None

    def _place(self, node: Any) -> None:
        if node.pk not in self._places:
            found = (self._lock(group) for group in self._groups)
            self._places[node.pk] = Place(node, _cluster(node), [lock for lock in found if lock is not None])

    def _in_time(self, cluster: str) -> bool:
        recent = self._submitted.get(cluster)
        if recent is None:
            return True
        while recent and recent[0] < time.monotonic() - _MINUTE:
            recent.popleft()
        return len(recent) < self._rates[cluster]

    def _lock(self, group: GroupLimit) -> int | None:
        if self._policy.slots is None:
            return None
        for number in range(group.calculations):
            try:
                handle = os.open(self._policy.slots / group.name / str(number), os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                LOG.warning("a slot of the group %s cannot be opened: %s", group.name, error)
                return None
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            return handle
        return None

    def _sweep(self) -> None:
        """Free the places of processes that have ended without a word."""
        self._swept = time.monotonic()
        ended = [pk for pk, place in self._places.items() if place.node.is_terminated]
        for pk in ended:
            LOG.warning("calculation %s had ended and still held its place", pk)
            self.release(pk)


def _cluster(node: Any) -> str:
    return str(node.computer.label) if node.computer is not None else ""


def _waiting(code: str, **params: Any) -> Waiting:
    problem = Problem(code, **params)
    return Waiting(code=code, title=problem.title, detail=problem.detail)


def install(gate: Gate) -> None:
    """Have every calculation of this process pass the gate: before its upload, and before its submission."""
    upload, submit, update = tasks.task_upload_job, tasks.task_submit_job, tasks.task_update_job

    async def task_upload_job(process: Any, transport_queue: Any, cancellable: Any) -> Any:
        pk = process.node.pk
        await gate.enter(process.node, cancellable)
        try:
            skips = await upload(process, transport_queue, cancellable)
        except BaseException:
            gate.release(pk)
            raise
        if skips:
            gate.release(pk)
        return skips

    async def task_submit_job(node: Any, transport_queue: Any, cancellable: Any) -> Any:
        await gate.enter(node, cancellable)
        try:
            result = await submit(node, transport_queue, cancellable)
        except BaseException:
            gate.release(node.pk)
            raise
        if node.get_state() is not CalcJobState.WITHSCHEDULER:
            gate.release(node.pk)
        return result

    async def task_update_job(node: Any, job_manager: Any, cancellable: Any) -> Any:
        done = await update(node, job_manager, cancellable)
        if done:
            gate.release(node.pk)
            gate._tell(node, None)
        else:
            gate._tell(node, _pending(node))
        return done

    # AiiDA offers no way to choose these; they are looked up in the module at each call.
    tasks.task_upload_job = task_upload_job
    tasks.task_submit_job = task_submit_job
    tasks.task_update_job = task_update_job


def _pending(node: Any) -> Waiting | None:
    """Why a job waits in its cluster's queue; None for one that does not, or of which nothing is said."""
    if node.get_scheduler_state() not in (JobState.QUEUED, JobState.QUEUED_HELD):
        return None
    info = node.get_last_job_info()
    reason = (getattr(info, "annotation", None) or "").strip()
    if not reason or reason == "None":
        return None
    return _waiting("waiting-queue", cluster=_cluster(node), sentence=explain(reason).sentence)
