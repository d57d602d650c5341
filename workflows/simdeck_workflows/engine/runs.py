"""Carrying out runs: from an accepted row to an AiiDA process, through its life, to the run's end.

Everything here can be repeated: the store says what is wanted, AiiDA's database says what is, and ``look`` closes the
gap. It is called when something was asked for, when a process changed, and now and then as a safety net.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.common.exceptions import EntryPointError, NotExistent
from aiida.engine import CalcJob
from aiida.plugins import CalculationFactory, WorkflowFactory
from simdeck_common.layout import UserHome
from simdeck_common.problems import Problem

from simdeck_workflows import clusters, policy
from simdeck_workflows.engine import inputs, outputs, removal, reuse, tree
from simdeck_workflows.engine.clearing import clear_cluster_jobs, clear_jobs
from simdeck_workflows.engine.control import Control
from simdeck_workflows.engine.events import Tails, step_event
from simdeck_workflows.engine.gate import Gate
from simdeck_workflows.engine.profile import code_for
from simdeck_workflows.models import Run, RunState, Waiting
from simdeck_workflows.steps import processes
from simdeck_workflows.store import PRIORITIES, NewEvent, Store, Unfinished

LOG = logging.getLogger(__name__)

_THOROUGH_EVERY = 4.0
_KNOWN_PROCESSES = 100_000
_TERMINAL = frozenset({"finished", "excepted", "killed"})


def process_class(name: str) -> Any:
    """The process class of a workflow's name. Raises ``Problem`` ``workflow-not-found``."""
    for factory in (WorkflowFactory, CalculationFactory):
        try:
            found = factory(name)
        except EntryPointError:
            continue
        if isinstance(found, type):
            return found
    if (function := processes.process_class(name)) is not None:
        return function
    raise Problem("workflow-not-found", workflow=name)


class Runs:
    """The worker's runs. ``notify(run_id)`` is called after each change that a reader may wait for."""

    def __init__(self, home: UserHome, store: Store, runner: Any, notify: Callable[[str], None]) -> None:
        self._home = home
        self._store = store
        self._runner = runner
        self._notify = notify
        self._control = Control(runner)
        self._nodes: dict[str, Any] = {}
        self._run_of: dict[int, str | None] = {}
        self._adoptable: dict[str, Any] = {}
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._cleared: set[str] = set()
        self._rested: set[str] = set()
        self._thorough_at = 0.0
        self.tails = Tails(store)
        self.is_stale: Callable[[str], bool] = lambda app: False
        self.hand_over: Callable[[], None] = lambda: None
        self._clusters = clusters.read(clusters.file_of(home))
        self._priorities: dict[str, tuple[int, int]] = {}
        self._held: dict[str, dict[int, Waiting]] = {}
        stored = policy.read(home)
        self.gate = Gate(stored.policy, stored.user, self._clusters, self._order, self._waits)

    # --- start ---------------------------------------------------------------------------------------------------

    def adopt(self) -> None:
        """Find the processes of runs that a crashed worker began: by label, whether or not it noted them."""
        unfinished = self._store.unfinished()
        self._adoptable = tree.processes_labelled(item.run.id for item in unfinished)

    # --- what is wanted ------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Bring every unfinished run a step towards what is wanted of it.

        What was asked for is seen at each look. Runs of which nothing is wanted tell by themselves when they change;
        whether they really do is looked at now and then, and not more than a tenth of the time.
        """
        begun = time.monotonic()
        thorough = begun >= self._thorough_at
        for item in self._store.unfinished():
            if item.run.id in self._at_work or not (thorough or self._wants(item)):
                continue
            try:
                if item.run.state is RunState.ACCEPTED and self.is_stale(item.run.app):
                    LOG.info("run %s needs %s as it is now: the next worker takes over", item.run.id, item.run.app)
                    self.hand_over()
                    return
                if item.run.state is RunState.ACCEPTED:
                    self._begin(item)
                else:
                    self._tend(item)
            except Exception:
                LOG.exception("run %s could not be looked after; it is tried again", item.run.id)
            # Processes of other runs, and callers, get their turn between two runs.
            await asyncio.sleep(0)
        if thorough:
            ended = time.monotonic()
            self._thorough_at = ended + max(_THOROUGH_EVERY, 10 * (ended - begun))

    def _wants(self, item: Unfinished) -> bool:
        """Whether anything is to be done for a run that goes its way."""
        run = item.run
        if run.state is RunState.ACCEPTED or item.wanted is not None or run.id not in self._nodes:
            return True
        if run.paused:
            self._rested.add(run.id)
            return True
        # It was resumed: all its processes are to be played.
        return run.id in self._rested

    def validate(self, name: str, values: dict[str, Any], app: str, version: str) -> None:
        """The deep check of inputs, without a run. Raises ``Problem``."""
        self._build(process_class(name), values, app, version)

    def _build(self, process: Any, values: dict[str, Any], app: str, version: str) -> dict[str, Any]:
        try:
            cluster, rest = clusters.choose(values, process.spec().inputs, self._clusters)
        except KeyError:
            detail = "This cluster is not offered (any more)."
            raise Problem("invalid-input", field=clusters.INPUT, detail=detail) from None
        return inputs.build(process, rest, lambda: code_for(self._home, app, version, cluster))

    def node(self, run: Run) -> Any:
        """The process of a run, or None if it never had one."""
        found = self._nodes.get(run.id)
        if found is None and run.process is not None:
            try:
                found = orm.load_node(uuid=run.process)
            except NotExistent:
                return None
            if not run.state.ended:
                self._nodes[run.id] = found
        return found

    def _begin(self, item: Unfinished) -> None:
        run = item.run
        node = self._adoptable.pop(run.id, None)
        if node is None:
            if item.wanted == "cancel":
                self._end(run, RunState.CANCELLED, None)
                return
            if run.paused:
                return
            if (pause := self.gate.paused()) is not None:
                self._say_waiting(run.id, pause)
                return
            if run.waiting is not None:
                self._say_waiting(run.id, None)
            node = self._submit(item)
            if node is None:
                return
            processes = [node]
        else:
            processes = tree.with_descendants(node)
        self._nodes[run.id] = node
        self._run_of[node.pk] = run.id
        self._store.begin(run.id, node.uuid, self._seen(run.id, processes))
        self._notify(run.id)
        LOG.info("run %s is process %s (%s)", run.id, node.pk, run.workflow)

    def _submit(self, item: Unfinished) -> Any:
        run = item.run
        try:
            process = process_class(run.workflow)
            nodes = self._build(process, item.inputs, run.app, run.app_version)
            metadata: dict[str, Any] = {"label": run.id, "description": run.title}
            if issubclass(process, CalcJob):
                metadata["options"] = {"resources": {"num_machines": 1, "num_mpiprocs_per_machine": 1}}
            with reuse.whole(process) if run.reuse else contextlib.nullcontext():
                node = self._runner.submit(process, {**nodes, "metadata": metadata})
            if run.reuse:
                # Its steps begin after this; a crash in between computes them anew, which is never wrong.
                reuse.want(node)
            return node
        except Problem as problem:
            state = RunState.REJECTED if problem.status == 422 else RunState.FAILED
            self._end(run, state, problem.to_json())
        except Exception as error:
            LOG.exception("run %s could not be begun", run.id)
            crash = Problem("workflow-crashed", message=f"{type(error).__name__}: {error}")
            self._end(run, RunState.FAILED, crash.to_json())
        return None

    def _tend(self, item: Unfinished) -> None:
        run = item.run
        self._adoptable.pop(run.id, None)
        known = run.id in self._nodes
        node = self.node(run)
        if node is None:
            self._end(run, RunState.FAILED, Problem("workflow-crashed", message="its process was deleted").to_json())
            return
        if not known:
            self._follow(run.id, node)
        if node.is_terminated and not (item.wanted == "cancel" and self._clusters and run.id not in self._cleared):
            self._finish(run, node)
        elif item.wanted == "cancel":
            self._work(run, self._cancel(run, node))
        else:
            rest = [process for process in tree.with_descendants(node) if not process.is_terminated]
            if any(process.paused != run.paused for process in rest if run.paused or process.paused):
                self._work(run, self._set_paused(run, node))
            elif not run.paused:
                self._rested.discard(run.id)

    def _work(self, run: Run, doing: Any) -> None:
        task = asyncio.get_running_loop().create_task(doing)
        self._at_work[run.id] = task

        def done(finished: asyncio.Task[None]) -> None:
            self._at_work.pop(run.id, None)
            if not finished.cancelled() and finished.exception() is not None:
                LOG.error("run %s: %s", run.id, finished.exception())

        task.add_done_callback(done)

    async def _set_paused(self, run: Run, node: Any) -> None:
        await self._control.set_paused(node, run.paused)
        self._notify(run.id)

    async def _cancel(self, run: Run, node: Any) -> None:
        await self._control.kill(node)
        await clear_jobs(node)
        if self._clusters:
            if not await clear_cluster_jobs(node):
                # It is tried again at the next look.
                return
            self._cleared.add(run.id)
        if node.is_terminated:
            self._finish(run, node, RunState.CANCELLED)

    # --- what happens --------------------------------------------------------------------------------------------

    def changed(self, pk: int) -> None:
        """A process has entered a new state."""
        run_id = self._owner(pk)
        if run_id is None:
            return
        root = self._nodes.get(run_id)
        node = root if root is not None and root.pk == pk else orm.load_node(pk=pk)
        state = tree.state_name(node)
        if state not in _TERMINAL:
            self._told(run_id, [node])
            return
        self.gate.release(pk)
        if run_id not in self._at_work and (node is root or node.caller is None):
            run = self._store.get(run_id)
            # A killed one may have left jobs on a cluster: the next look sees to them.
            if run.state is RunState.RUNNING and not (self._clusters and state == "killed"):
                self._finish(run, node)
                return
        # What it called has ended before it, although a crash may have kept that from being told.
        self._told(run_id, tree.with_descendants(node))

    def scratch(self) -> list[Path]:
        """The folders that working directories lie in."""
        return [self._home.workflows / "scratch", *(cluster.scratch_folder(self._home) for cluster in self._clusters)]

    def deletion(self, run: Run) -> dict[str, Any]:
        """What deleting the run takes away. Raises ``run-in-use``."""
        node = self.node(run)
        nothing = {"nodes": 0, "files": 0, "size": 0, "folders": 0, "scratch": 0}
        return nothing if node is None else removal.preview(node, self.scratch())

    def delete(self, run: Run) -> None:
        """Delete everything of an ended run but its record. Raises ``run-in-use``."""
        if (node := self.node(run)) is not None:
            removal.remove(node, self.scratch())
        self._run_of.clear()

    def read_progress(self) -> None:
        """Turn new lines of all progress files into events."""
        for run_id in self.tails.read():
            self._notify(run_id)

    def tell_progress(self, node: Any, data: dict[str, Any]) -> None:
        """A process of a run says itself how far it is."""
        if (run_id := self._owner(node.pk)) is not None:
            self._store.progress(run_id, node.uuid, 0, [data])
            self._notify(run_id)

    def _owner(self, pk: int) -> str | None:
        if pk not in self._run_of:
            node = orm.load_node(pk=pk)
            caller = node.caller
            if caller is not None:
                self._run_of[pk] = self._owner(caller.pk)
            else:
                self._run_of[pk] = node.label if node.label in self._nodes else None
                if self._run_of[pk] is None and len(node.label) == 36:
                    # It may be a run whose row is about to be written: ask again at its next change.
                    return self._run_of.pop(pk)
        return self._run_of[pk]

    def _follow(self, run_id: str, node: Any) -> None:
        self._told(run_id, tree.with_descendants(node))

    def _told(self, run_id: str, nodes: Iterable[Any]) -> None:
        if self._store.tell(run_id, self._seen(run_id, nodes)):
            self._notify(run_id)

    def _seen(self, run_id: str, nodes: Iterable[Any]) -> list[NewEvent]:
        """The events that these processes have entered their states; calculations' progress is told before them."""
        found = list(nodes)
        for node in found:
            if isinstance(node, orm.CalcJobNode):
                self.tails.follow(run_id, node)
                if node.is_terminated:
                    self.tails.drain(node.uuid)
        return [step_event(node) for node in (tree.as_they_happen(found) if len(found) > 1 else found)]

    def _finish(self, run: Run, node: Any, as_state: RunState | None = None) -> None:
        processes = tree.with_descendants(node)
        events = self._seen(run.id, processes)
        state, problem = outputs.ending(node)
        values = outputs.outputs(node)
        taken = sum(reuse.source(process) is not None for process in processes)
        headline: dict[str, Any] | None = None
        if state is RunState.FINISHED:
            headline = outputs.summary(values, process_class(run.workflow))
        elif as_state is not None:
            state, problem = as_state, None
        self._end(run, state, problem, headline, values, taken, events)
        if len(self._run_of) > _KNOWN_PROCESSES:
            self._run_of.clear()
        for process in processes:
            self._run_of.pop(process.pk, None)
        # Late news of it are nothing new. The numbers of others come again where somebody deletes the latest nodes.
        self._run_of[node.pk] = None

    def _order(self, node: Any) -> tuple[int, int]:
        """Who goes first at the gate: by the run's priority, then its age. Others' processes are like normal runs."""
        run_id = self._owner(node.pk)
        if run_id is None:
            return PRIORITIES["normal"], node.pk
        if run_id not in self._priorities:
            root = node
            while root.caller is not None:
                root = root.caller
            self._priorities[run_id] = PRIORITIES[self._store.get(run_id).priority], root.pk
        return self._priorities[run_id]

    def _waits(self, node: Any, why: Waiting | None) -> None:
        """A calculation waits, or does not any more. A run says why the first of its calculations does."""
        run_id = self._owner(node.pk)
        if run_id is None:
            return
        held = self._held.setdefault(run_id, {})
        if held.get(node.pk) == why:
            return
        if why is None:
            held.pop(node.pk, None)
        else:
            held[node.pk] = why
        self._say_waiting(run_id, held[min(held)] if held else None)

    def _say_waiting(self, run_id: str, why: Waiting | None) -> None:
        if self._store.set_waiting(run_id, why):
            self._notify(run_id)

    def _end(
        self,
        run: Run,
        state: RunState,
        problem: dict[str, Any] | None,
        headline: dict[str, Any] | None = None,
        values: dict[str, Any] | None = None,
        reused: int = 0,
        events: Iterable[NewEvent] = (),
    ) -> None:
        self._store.end(run.id, state, summary=headline, problem=problem, outputs=values, reused=reused, events=events)
        self._nodes.pop(run.id, None)
        self._cleared.discard(run.id)
        self._rested.discard(run.id)
        self._priorities.pop(run.id, None)
        self._held.pop(run.id, None)
        self._notify(run.id)
        LOG.info("run %s has ended: %s", run.id, state.value)
