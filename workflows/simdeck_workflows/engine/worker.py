"""The worker: one process per user that carries out runs, with AiiDA's broker and daemon runner inside.

``python -m simdeck_workflows.engine.worker --root HOME --runtime DIR``. The agent starts it when there is something to
do; it ends by itself when there has been nothing for a while. It may be killed at any line: the next one finds in the
run store what was wanted, in AiiDA's database what was begun, and in the work directories the calculations that went
on.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import importlib
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from simdeck_common.layout import UserHome, private_dir

from simdeck_workflows.engine import profile
from simdeck_workflows.engine.standing import Standing
from simdeck_workflows.rpc import Server
from simdeck_workflows.store import Store

LOG = logging.getLogger("simdeck_workflows.engine.worker")

PROGRESS_EVERY = 0.2
LOOK_EVERY = 5.0


def take_lock(home: UserHome) -> int | None:
    """Become the only worker of this home; None if another one lives. The lock goes with the process."""
    private_dir(home.workflows)
    handle = os.open(home.workflows / "worker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle


class Worker:
    """Broker, runner, run keeper and RPC server on one event loop."""

    def __init__(self, home: UserHome, idle_seconds: float, standing: Standing) -> None:
        self._home = home
        self.standing = standing
        self._idle_seconds = idle_seconds
        self._store = Store(home.workflows / "runs.sqlite")
        self._wake = asyncio.Event()
        self._last_use = time.monotonic()
        self._stopping = False
        self.started = time.time()

    def run(self) -> None:
        """Work until idle or told to stop."""
        from aiida.manage import get_manager

        from simdeck_workflows import clusters
        from simdeck_workflows.engine import checkpoints, gate, links, reuse, slurm_options
        from simdeck_workflows.engine.broker import BrokerThread
        from simdeck_workflows.engine.daemon_desk import DaemonDesk, end_plain_daemon
        from simdeck_workflows.engine.recover import remove_leftovers
        from simdeck_workflows.engine.runs import Runs
        from simdeck_workflows.engine.service import Service
        from simdeck_workflows.engine.watch import Watch
        from simdeck_workflows.steps.chain import on_progress

        links.install()
        loaded = profile.load(self._home)
        links.keep_loaded(get_manager().get_profile_storage())
        end_plain_daemon()
        unfinished = remove_leftovers()
        loop = asyncio.new_event_loop()
        self._broker = BrokerThread(loaded, self._home.runtime)
        desk = DaemonDesk(loaded, self._broker.sockets, lambda: loop.call_soon_threadsafe(self.stop))
        self._broker.start()
        desk.start()
        manager = get_manager()
        runner = checkpoints.install(manager, lambda: manager.create_daemon_runner(loop=loop))
        slurm_options.install(runner, clusters.read(clusters.file_of(self._home)))
        manager.set_runner(runner)
        asyncio.set_event_loop(loop)
        sys.setrecursionlimit(3000)

        self._service = Service(self._home, self._store, self)
        self._server = Server(self._home.worker_socket, self._service.handlers())
        self._runs = Runs(self._home, self._store, runner, lambda run: self._server.notify("changed", {"run": run}))
        self._runs.is_stale = self.standing.is_stale
        self._runs.hand_over = self.stop
        self._service.runs = self._runs
        self._watch = Watch(runner.controller, self.stop)
        self._runs.adopt()
        self._runs.gate.adopt(unfinished)
        self._runs.gate.on_pause_end = self._wake.set
        gate.install(self._runs.gate)
        reuse.install()
        on_progress(self._runs.tell_progress)
        runner.communicator.add_broadcast_subscriber(self._on_broadcast)
        for node in unfinished:
            # Known to its parent's checkpoint, if it has one: nothing to wait for.
            runner.controller.now(node.pk)
        LOG.info("worker %s carries on with %s processes", os.getpid(), len(unfinished))

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        main = loop.create_task(self._main())
        try:
            loop.run_until_complete(main)
        finally:
            self._server.stop()
            desk.stop()
            self._broker.stop()
            self._store.close()
        LOG.info("worker %s ends", os.getpid())

    # --- asked by the service ------------------------------------------------------------------------------------

    def nudge(self) -> None:
        """Something is wanted: look now."""
        self.touch()
        self._wake.set()

    def touch(self) -> None:
        """Somebody uses the worker: the time until it counts as idle begins anew."""
        self._last_use = time.monotonic()

    def stop(self) -> None:
        """End soon. What runs is carried on by the next worker."""
        self._stopping = True
        self._wake.set()

    # --- below ---------------------------------------------------------------------------------------------------

    async def _main(self) -> None:
        await self._server.start()
        reading = asyncio.create_task(self._read_progress())
        watching = asyncio.create_task(self._watch.run())
        letting = asyncio.create_task(self._runs.gate.watch())
        self._wake.set()
        while not self._stopping:
            try:
                await asyncio.wait_for(self._wake.wait(), LOOK_EVERY)
            except TimeoutError:
                if not self._broker.healthy():
                    LOG.error("the broker has lost its worker; ending, to be started afresh")
                    break
                if self._idle():
                    break
            self._wake.clear()
            await self._runs.look()
        reading.cancel()
        watching.cancel()
        letting.cancel()

    def _idle(self) -> bool:
        from simdeck_workflows.engine import tree

        if self._server.busy() or time.monotonic() - self._last_use < self._idle_seconds:
            return False
        if self._store.any_unfinished() or tree.active_processes():
            self._last_use = time.monotonic()
            return False
        # No new caller can come in any more; a run that was accepted until here is seen now.
        self._server.stop()
        if self._store.any_unfinished():
            LOG.info("a run came in at the last moment; the agent starts the next worker for it")
        return True

    async def _read_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_EVERY)
            if self._runs.tails.open:
                try:
                    self._runs.read_progress()
                except Exception:
                    LOG.exception("progress could not be read; it is tried again")

    def _on_broadcast(self, _comm: Any, _body: Any, sender: Any, subject: str, _correlation_id: Any) -> None:
        if subject.startswith("state_changed.") and sender is not None:
            self._last_use = time.monotonic()
            try:
                self._runs.changed(int(sender))
            except Exception:
                LOG.exception("a change of process %s was not told; it is when the run ends", sender)


def main() -> None:
    parser = argparse.ArgumentParser(description="Carry out one user's workflow runs.")
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--runtime", required=True, type=Path)
    parser.add_argument("--idle-seconds", type=float, default=600.0)
    parser.add_argument("--stands-for", help="ignored; what AiiDA looks for in the command line of its daemon")
    options = parser.parse_args()
    home = UserHome(root=options.root, runtime=options.runtime)

    lock = take_lock(home)
    if lock is None:
        return
    os.umask(0o077)
    profile.set_environment(home)
    standing = Standing(home)
    if not standing.hold():
        sys.exit(f"{sys.prefix} has been removed; the next worker is started with another environment")
    standing.note()
    sys.path[:0] = [str(folder) for folder in standing.folders]
    importlib.invalidate_caches()
    # Alembic's templates would colour their error pages with it: megabytes, for pages that nobody sees.
    sys.modules.setdefault("mako.ext.pygmentplugin", None)  # type: ignore[arg-type]
    _log_to_stderr()
    try:
        Worker(home, options.idle_seconds, standing).run()
    except Exception:
        LOG.exception("the worker failed")
        os._exit(1)
    # Threads of libraries must not keep a finished worker, and with it the lock, alive.
    sys.stderr.flush()
    os._exit(0)


def _log_to_stderr() -> None:
    import warnings

    warnings.filterwarnings("ignore", message="Creating AiiDA configuration folder")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    ours = logging.getLogger("simdeck_workflows")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False


if __name__ == "__main__":
    main()
